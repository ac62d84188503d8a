"""An x86-64 ELF object -> executable memory, without LLVM.

A process that finds its code on disk would otherwise import LLVM (24 ms) and start its linker
(1.7 ms) to do what takes 0.1 ms here: our code refers to itself with 32-bit offsets and to
functions of the process by name, which makes four kinds of relocation. An object that needs
anything else, or is for another system, is left to LLVM.

In memory: code and constants; for each symbol that is reached through its address, or lies
outside, a word with the address and a jump through it; on pages of their own, what may be written.
System V ABI, AMD64 supplement, section 4.4 (relocation types).
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache
from struct import Struct, error, pack_into
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_HEADER: Final = Struct("<16sHHI3QI6H")
_SECTION: Final = Struct("<IIQQQQIIQQ")
_SYMBOL: Final = Struct("<IBBHQQ")
_RELOCATION: Final = Struct("<QQq")
_IDENTITY: Final = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian, version 1
_RELOCATABLE: Final = 1
_X86_64: Final = 62

_SYMBOLS, _WITH_ADDENDS, _ZEROS = 2, 4, 8  # kinds of section
_WRITABLE, _IN_MEMORY, _THREAD_LOCAL = 1, 2, 0x400  # flags of sections
_OUTSIDE: Final = 0  # section number of what another object defines
_ABSOLUTE, _RELATIVE, _CALL = 1, 2, 4  # relocations: R_X86_64_64, _PC32, _PLT32
_THROUGH_ADDRESS: Final = (9, 41, 42)  # _GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX

_JUMP: Final = b"\xff\x25\xf2\xff\xff\xff\xcc\xcc"  # jmp *-14(%rip): through the word before it
_ENTRY_BYTES: Final = 8 + len(_JUMP)
_PAGE: Final = 4096
_MOST_BYTES: Final = 1 << 28
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS: Final = 0x22
_IS_SYSTEM: Final = sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8


class UnusualObjectError(Exception):
    """Not an object that this module can load."""


class Image:
    """Loaded code. The memory is given back when the last reference goes."""

    __slots__ = ("_base", "_bytes", "_exports", "_unmap")

    def __init__(self, code: bytes, imports: Mapping[str, int]) -> None:
        """Raises `UnusualObjectError`, or what `load_image` knows broken files to lead to; OSError
        if the system refuses the memory."""
        map_pages, self._unmap, protect = _memory_functions()
        self._bytes, self._base = 0, 0
        plan = _Object(code)
        size = -(-max(plan.size, 1) // _PAGE) * _PAGE
        base = map_pages(0, size, _READ | _WRITE, _PRIVATE_ANONYMOUS, -1, 0)
        if base == ctypes.c_size_t(-1).value:
            raise OSError("no memory for code")
        self._bytes, self._base = size, base
        content = plan.linked(base, imports)
        ctypes.memmove(base, bytes(content), len(content))
        if protect(base, plan.fixed_bytes, _READ | _EXECUTE):
            raise OSError("memory cannot be made executable")
        self._exports = {name: base + offset for name, offset in plan.defined()}

    def address(self, symbol: str) -> int | None:
        """The address of a symbol that the object defines."""
        return self._exports.get(symbol)

    # Bound, because at exit the module's names may be gone; and threads may still run the code.
    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._base and not is_finalizing():
            self._unmap(self._base, self._bytes)
            self._base = 0


class _Object:
    """The parts of an object file, and where each lies in memory."""

    def __init__(self, code: bytes) -> None:
        header = _HEADER.unpack_from(code)
        identity, kind, machine, start, count = *header[:3], header[6], header[12]
        if not identity.startswith(_IDENTITY) or (kind, machine) != (_RELOCATABLE, _X86_64):
            raise UnusualObjectError("not an object for x86-64")
        self._sections = [_SECTION.unpack_from(code, start + 64 * k) for k in range(count)]
        self._code = code
        self._symbols, self._names = self._symbol_table()
        self._entries: dict[int, int] = {}
        self._places = self._layout()

    def _symbol_table(self) -> tuple[list[tuple[int, ...]], bytes]:
        for section in self._sections:
            if section[1] == _SYMBOLS:
                names = self._content(self._sections[section[6]])
                return list(_SYMBOL.iter_unpack(self._content(section))), names
        return [], b""

    def _content(self, section: tuple[int, ...]) -> bytes:
        content = self._code[section[4] : section[4] + section[5]]
        if len(content) != section[5]:
            raise UnusualObjectError("incomplete")
        return content

    def _layout(self) -> dict[int, int]:
        """The offset of each section that is in memory: first what stays as it is, then the
        entries, then what may be written. `fixed_bytes` is where the latter begins."""
        places: dict[int, int] = {}
        self.size = 0
        for wanted in (0, _WRITABLE):
            for number, section in enumerate(self._sections):
                flags, alignment = section[2], max(section[8], 1)
                if not flags & _IN_MEMORY or flags & _WRITABLE != wanted:
                    continue
                if flags & _THREAD_LOCAL or alignment > _PAGE or section[5] > _MOST_BYTES:
                    raise UnusualObjectError("a section of an unusual kind")
                places[number] = -(-self.size // alignment) * alignment
                self.size = places[number] + section[5]
            if wanted == 0:
                self._first_entry = -(-self.size // 16) * 16
                self._find_entries()
                self.size = self._first_entry + _ENTRY_BYTES * len(self._entries)
                self.fixed_bytes = self.size
                self.size = -(-self.size // _PAGE) * _PAGE
        return places

    def _find_entries(self) -> None:
        """Number the symbols whose address must lie in memory."""
        for _, _, kind, number, _ in self._relocations():
            is_outside = self._symbols[number][3] == _OUTSIDE
            if kind in _THROUGH_ADDRESS or (is_outside and kind == _CALL):
                self._entries.setdefault(number, len(self._entries))

    def _relocations(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Section, offset in it, kind, symbol and addend of each."""
        for section in self._sections:
            target = section[7]
            if section[1] != _WITH_ADDENDS or not self._sections[target][2] & _IN_MEMORY:
                continue
            for offset, info, addend in _RELOCATION.iter_unpack(self._content(section)):
                number = info >> 32
                kind = info & 0xFFFFFFFF
                end = offset + (8 if kind == _ABSOLUTE else 4)
                if end > self._sections[target][5]:
                    raise UnusualObjectError("a relocation outside of its section")
                yield target, offset, kind, number, addend

    def linked(self, base: int, imports: Mapping[str, int]) -> bytearray:
        """The bytes of the image at address `base`."""
        image = bytearray(self.size)
        for number, place in self._places.items():
            section = self._sections[number]
            if section[1] != _ZEROS:
                image[place : place + section[5]] = self._content(section)
        for number, entry in self._entries.items():
            at = self._first_entry + entry * _ENTRY_BYTES
            pack_into("<Q", image, at, self._address(number, base, imports))
            image[at + 8 : at + _ENTRY_BYTES] = _JUMP
        for target, offset, kind, number, addend in self._relocations():
            at = self._places[target] + offset
            if kind == _ABSOLUTE:
                value = self._address(number, base, imports) + addend
                pack_into("<Q", image, at, value & 0xFFFFFFFFFFFFFFFF)
            else:
                pack_into("<i", image, at, self._reached(kind, number) + addend - at)
        return image

    def _reached(self, kind: int, number: int) -> int:
        """The offset of what a relocation of 32 bits refers to."""
        entry = self._first_entry + self._entries.get(number, 0) * _ENTRY_BYTES
        if kind in _THROUGH_ADDRESS:
            return entry
        is_outside = self._symbols[number][3] == _OUTSIDE
        if kind == _CALL and is_outside:
            return entry + 8
        if kind not in (_RELATIVE, _CALL):
            raise UnusualObjectError(f"relocation {kind}")
        return self._offset(number)

    def _offset(self, number: int) -> int:
        """Where a symbol lies; a `LookupError` if that is in no section of the image."""
        _, _, _, section, value, _ = self._symbols[number]
        return self._places[section] + value

    def _address(self, number: int, base: int, imports: Mapping[str, int]) -> int:
        if self._symbols[number][3] != _OUTSIDE:
            return base + self._offset(number)
        name = self._name(number)
        found = imports.get(name) or _address_in_process(name)
        if not found:
            raise UnusualObjectError(f"nothing is called {name}")
        return found

    def _name(self, number: int) -> str:
        start = self._symbols[number][0]
        return self._names[start : self._names.index(b"\0", start)].decode()

    def defined(self) -> Iterator[tuple[str, int]]:
        """Names and offsets of the symbols that others may use."""
        for number, symbol in enumerate(self._symbols):
            is_global = symbol[1] >> 4 == 1
            if is_global and symbol[3] in self._places:
                yield self._name(number), self._offset(number)


def load_image(code: bytes, imports: Mapping[str, int]) -> Image | None:
    """`code` in memory; None where it must be left to LLVM."""
    if not _IS_SYSTEM or os.uname().machine != "x86_64":
        return None
    try:
        return Image(code, imports)
    except (UnusualObjectError, OSError, ArithmeticError, LookupError, ValueError, error):
        return None


@lru_cache(maxsize=1)
def _memory_functions() -> tuple[Any, Any, Any]:
    """`mmap`, `munmap` and `mprotect` of the C library, declared.

    As functions of `pythonapi`, which has them as any library does: one for ourselves would be one
    more class to make.
    """
    word = ctypes.c_size_t
    mmap, munmap, mprotect = (ctypes.pythonapi[name] for name in ("mmap", "munmap", "mprotect"))
    mmap.restype = word
    mmap.argtypes = (word, word, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    munmap.argtypes = (word, word)
    mprotect.argtypes = (word, word, ctypes.c_int)
    return mmap, munmap, mprotect


def _address_in_process(name: str) -> int | None:
    try:
        return ctypes.cast(ctypes.pythonapi[name], ctypes.c_void_p).value
    except AttributeError:
        return None
