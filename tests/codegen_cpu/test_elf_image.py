"""Objects of the four relocations that our code needs; the rest is left to LLVM."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from tilewright.codegen_cpu import elf_image
from tilewright.codegen_cpu.elf_image import Image, load_image
from tilewright.codegen_cpu.jit import compile_object
from tilewright.codegen_cpu.target import cpu_target

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="loads x86-64 ELF objects"
)
INT = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
NO_IMPORTS: Mapping[str, int] = {}

WRITABLE = """
@counter = global i64 5, align 64
@large = global [1000 x i64] zeroinitializer, align 64

define i64 @count(i64 %by) {
  %old = load i64, ptr @counter
  %new = add i64 %old, %by
  store i64 %new, ptr @counter
  %at = getelementptr [1000 x i64], ptr @large, i64 0, i64 999
  %more = load i64, ptr %at
  store i64 %new, ptr %at
  %sum = add i64 %new, %more
  ret i64 %sum
}
"""
TABLE = """
@table = internal constant [2 x ptr] [ptr @double, ptr @triple]

define internal i64 @double(i64 %x) {
  %y = mul i64 %x, 2
  ret i64 %y
}

define internal i64 @triple(i64 %x) {
  %y = mul i64 %x, 3
  ret i64 %y
}

define i64 @both(i64 %x) {
  %first = load volatile ptr, ptr @table
  %at = getelementptr [2 x ptr], ptr @table, i64 0, i64 1
  %second = load volatile ptr, ptr %at
  %a = call i64 %first(i64 %x)
  %b = call i64 %second(i64 %a)
  ret i64 %b
}
"""
OUTSIDE = """
declare i64 @labs(i64)
@elsewhere = external global i64

define i64 @reach(i64 %x) {
  %a = call i64 @labs(i64 %x)
  %b = load i64, ptr @elsewhere
  %c = add i64 %a, %b
  %d = call i64 @labs(i64 %c)
  ret i64 %d
}
"""
PER_THREAD = """
@own = thread_local global i64 3

define i64 @get(i64 %x) {
  %v = load i64, ptr @own
  ret i64 %v
}
"""


def object_of(ir_text: str, target: str = "x86-64-v2") -> bytes:
    return compile_object(ir_text, cpu_target(target))


def called(image: Image | None, symbol: str, argument: int) -> int:
    assert image is not None
    address = image.address(symbol)
    assert address is not None
    return int(INT(address)(argument))


def test_variables_may_be_written_and_begin_as_stated() -> None:
    image = load_image(object_of(WRITABLE), NO_IMPORTS)
    assert [called(image, "count", 2), called(image, "count", 10)] == [7, 24]
    other = load_image(object_of(WRITABLE), NO_IMPORTS)
    assert called(other, "count", 1) == 6


def test_sections_are_aligned() -> None:
    image = load_image(object_of(WRITABLE), NO_IMPORTS)
    assert image is not None
    assert [(image.address(name) or 1) % 64 for name in ("counter", "large")] == [0, 0]


def test_constants_may_be_addresses() -> None:
    assert called(load_image(object_of(TABLE), NO_IMPORTS), "both", 7) == 42


def test_symbols_of_the_process_and_given_ones() -> None:
    word = ctypes.c_int64(-50)
    image = load_image(object_of(OUTSIDE), {"elsewhere": ctypes.addressof(word)})
    assert called(image, "reach", -8) == 42


def test_given_symbols_come_before_those_of_the_process() -> None:
    word = ctypes.c_int64(0)
    negative = INT(lambda x: -abs(x))
    given = ctypes.cast(negative, ctypes.c_void_p).value
    assert given is not None
    image = load_image(object_of(OUTSIDE), {"elsewhere": ctypes.addressof(word), "labs": given})
    assert called(image, "reach", 8) == -8


def test_code_cannot_be_written_and_data_cannot_be_run() -> None:
    image = load_image(object_of(WRITABLE), NO_IMPORTS)
    assert image is not None
    assert _permissions(image.address("count") or 0) == "r-xp"
    assert _permissions(image.address("counter") or 0) == "rw-p"


def _permissions(address: int) -> str:
    with open("/proc/self/maps") as lines:
        for line in lines:
            span, permissions, *_ = line.split()
            low, high = (int(end, 16) for end in span.split("-"))
            if low <= address < high:
                return permissions
    return ""


@pytest.mark.parametrize("target", ["aarch64-neon", "wasm32-simd128"])
def test_other_processors_are_left_to_llvm(target: str) -> None:
    assert load_image(object_of(WRITABLE, target), NO_IMPORTS) is None


def test_unknown_symbols_and_unusual_sections_are_left_to_llvm() -> None:
    assert load_image(object_of(OUTSIDE), NO_IMPORTS) is None
    assert load_image(object_of(PER_THREAD), NO_IMPORTS) is None
    pointer = "@elsewhere = external global i64\n@pointer = global ptr @elsewhere"
    assert load_image(object_of(pointer), NO_IMPORTS) is None
    assert load_image(object_of(pointer), {"elsewhere": 64}) is not None


def test_memory_is_given_back_once_also_when_the_module_is_taken_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = load_image(object_of(WRITABLE), NO_IMPORTS)
    assert image is not None
    address = image.address("count") or 0
    monkeypatch.setattr(elf_image, "sys", None)  # as at the end of the process
    image.__del__(lambda: True)
    assert _permissions(address) == "r-xp"
    image.__del__()
    assert _permissions(address) == ""
    image.__del__()


def test_an_object_that_is_cut_off_is_refused() -> None:
    code = object_of(TABLE)
    assert all(load_image(code[:end], NO_IMPORTS) is None for end in range(len(code)))


def test_a_changed_byte_crashes_nothing_while_loading() -> None:
    code = object_of(TABLE)
    for at in range(len(code)):
        load_image(code[:at] + bytes([code[at] ^ 0xFF]) + code[at + 1 :], NO_IMPORTS)


class NoMemory:
    """The functions of a system that gives no memory, or none for code."""

    def __init__(self, base: int, protected: int = 0) -> None:
        self.base, self.protected = base, protected
        self.given_back: list[int] = []

    def functions(self) -> tuple[Callable[..., int], ...]:
        return (lambda *_: self.base, self._unmap, lambda *_: self.protected)

    def _unmap(self, base: int, size: int) -> int:
        self.given_back.append(base)
        return 0


def test_no_memory_is_left_to_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = NoMemory(ctypes.c_size_t(-1).value)
    monkeypatch.setattr(elf_image, "_memory_functions", refusing.functions)
    assert load_image(object_of(WRITABLE), NO_IMPORTS) is None
    assert refusing.given_back == []
    room = ctypes.create_string_buffer(1 << 16)
    strict = NoMemory(ctypes.addressof(room), protected=-1)
    monkeypatch.setattr(elf_image, "_memory_functions", strict.functions)
    assert load_image(object_of(WRITABLE), NO_IMPORTS) is None
    assert strict.given_back == [strict.base]


def test_alignment_up_to_a_page() -> None:
    page = WRITABLE.replace(
        "[1000 x i64] zeroinitializer, align 64", "[1000 x i64] zeroinitializer, align 4096"
    )
    image = load_image(object_of(page), NO_IMPORTS)
    assert image is not None
    assert (image.address("large") or 1) % 4096 == 0
    assert load_image(object_of(page.replace("4096", "8192")), NO_IMPORTS) is None


def test_sections_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    code = object_of(WRITABLE)  # whose largest section are 8000 bytes of zeros
    monkeypatch.setattr(elf_image, "_MOST_BYTES", 8000)
    assert called(load_image(code, NO_IMPORTS), "count", 2) == 7
    monkeypatch.setattr(elf_image, "_MOST_BYTES", 7999)
    assert load_image(code, NO_IMPORTS) is None


def test_only_what_others_may_use_has_an_address() -> None:
    image = load_image(object_of(TABLE), NO_IMPORTS)
    assert image is not None
    assert image.address("both")
    assert [image.address(name) for name in ("double", "table", "no such name")] == [None] * 3


@pytest.mark.parametrize(("at", "byte"), [(0, 0), (4, 1), (5, 2), (6, 2), (16, 3), (18, 3)])
def test_other_files_are_left_to_llvm(at: int, byte: int) -> None:
    """No ELF, 32 bits, another order of bytes, another version, a library, another processor."""
    code = object_of(WRITABLE)
    assert load_image(code[:at] + bytes([byte]) + code[at + 1 :], NO_IMPORTS) is None


def test_other_systems_are_left_to_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    code = object_of(WRITABLE)
    with monkeypatch.context() as changed:
        changed.setattr(elf_image, "_IS_SYSTEM", False)
        assert load_image(code, NO_IMPORTS) is None
    with monkeypatch.context() as changed:
        changed.setattr(os, "uname", lambda: SimpleNamespace(machine="aarch64"))
        assert load_image(code, NO_IMPORTS) is None
    assert load_image(code, NO_IMPORTS) is not None


def _headers(code: bytes) -> list[tuple[int, ...]]:
    """Of each section: where its header is, then the fields of the header."""
    first, count = struct.unpack_from("<Q", code, 40)[0], struct.unpack_from("<H", code, 60)[0]
    places = range(first, first + 64 * count, 64)
    return [(at, *struct.unpack_from("<IIQQQQIIQQ", code, at)) for at in places]


def test_sections_behind_the_end_of_the_file_are_refused() -> None:
    code = object_of(TABLE)
    moved = 0
    for at, _, kind, flags, _, _, size, *_ in _headers(code):
        if kind == 1 and flags & 2 and size:  # what code and constants are
            changed = bytearray(code)
            struct.pack_into("<Q", changed, at + 24, len(code) - size + 1)
            assert load_image(bytes(changed), NO_IMPORTS) is None
            moved += 1
    assert moved >= 2


def test_relocations_of_other_kinds_and_places_are_refused() -> None:
    """Up to the end of their section they may be."""
    code = object_of(TABLE)
    sections = _headers(code)
    tried = 0
    for _, _, kind, _, _, start, size, _, target, *_ in sections:
        if kind != 4 or not sections[target][3] & 2:
            continue
        for entry in range(start, start + size, 24):
            (info,) = struct.unpack_from("<Q", code, entry + 8)
            changed = bytearray(code)
            struct.pack_into("<I", changed, entry + 8, 10)  # R_X86_64_32: for the lowest 4 GiB
            assert load_image(bytes(changed), NO_IMPORTS) is None
            width = 8 if info & 0xFFFFFFFF == 1 else 4
            for beyond in (0, 1):
                changed = bytearray(code)
                struct.pack_into("<Q", changed, entry, sections[target][6] - width + beyond)
                assert (load_image(bytes(changed), NO_IMPORTS) is None) == bool(beyond)
                tried += 1
    assert tried >= 4
