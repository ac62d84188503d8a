"""The encoding of WebAssembly files: LEB128 numbers, names, vectors and sections; no linking.

In: bytes and a position, or Python numbers. Out: the other one. `Reader` is the only place that
checks lengths, so a truncated file is an `IRError` and never an `IndexError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from msgspec import Struct

from tilewright.ir.errors import IRError

HEADER = b"\0asm\x01\0\0\0"


class SectionId(IntEnum):
    """Section numbers of the core specification, release 2."""

    CUSTOM = 0
    TYPE = 1
    IMPORT = 2
    FUNCTION = 3
    TABLE = 4
    MEMORY = 5
    GLOBAL = 6
    EXPORT = 7
    START = 8
    ELEMENT = 9
    CODE = 10
    DATA = 11
    DATA_COUNT = 12
    TAG = 13


class ExternalKind(IntEnum):
    """What an import or an export names."""

    FUNCTION = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3


class ValueType(IntEnum):
    """Types of locals, parameters and results."""

    I32 = 0x7F
    I64 = 0x7E
    F32 = 0x7D
    F64 = 0x7C
    V128 = 0x7B
    FUNCREF = 0x70


class FunctionType(Struct, frozen=True):
    """Parameter and result types of a function."""

    parameters: tuple[int, ...]
    results: tuple[int, ...]


class Section(Struct, frozen=True):
    """One section: its number and its payload, without the length in front."""

    id: int
    payload: bytes


class Reader:
    """A cursor over bytes."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def at_end(self) -> bool:
        return self.position >= self.end

    def take(self, count: int) -> bytes:
        start, stop = self.position, self.position + count
        if stop > self.end:
            raise IRError(f"wasm file ends at byte {self.end}, {count} bytes are due at {start}")
        self.position = stop
        return self.data[start:stop]

    def byte(self) -> int:
        return self.take(1)[0]

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value - (1 << shift) if byte & 0x40 else value

    def sized_bytes(self) -> bytes:
        return self.take(self.unsigned())

    def name(self) -> str:
        return self.sized_bytes().decode("utf-8")

    def limits(self) -> tuple[int, int | None]:
        """Minimum and maximum of a memory or a table."""
        flags = self.byte()
        if flags > 1:
            raise IRError(f"wasm limits have flags {flags:#x}, expected 0 or 1")
        minimum = self.unsigned()
        return minimum, self.unsigned() if flags else None

    def function_type(self) -> FunctionType:
        form = self.byte()
        if form != 0x60:
            raise IRError(f"wasm type has form {form:#x}, expected a function type (0x60)")
        parameters = tuple(self.sized_bytes())
        return FunctionType(parameters, tuple(self.sized_bytes()))


def read_sections(data: bytes) -> Iterator[Section]:
    """The sections of a wasm file, in file order."""
    if data[: len(HEADER)] != HEADER:
        raise IRError(f"not a wasm file: it starts with {data[:8].hex(' ')}")
    reader = Reader(data, len(HEADER))
    while not reader.at_end():
        number = reader.byte()
        yield Section(number, reader.sized_bytes())


def unsigned(value: int) -> bytes:
    """Shortest unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    """Shortest signed LEB128."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def signed32(value: int) -> bytes:
    """Shortest signed LEB128 of the 32 bits of `value`: addresses above 2 GiB are negative."""
    return signed((value + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000)


def sized(payload: bytes) -> bytes:
    return unsigned(len(payload)) + payload


def name(text: str) -> bytes:
    return sized(text.encode("utf-8"))


def vector(items: Iterable[bytes]) -> bytes:
    listed = list(items)
    return unsigned(len(listed)) + b"".join(listed)


def limits(minimum: int, maximum: int | None = None) -> bytes:
    if maximum is None:
        return b"\0" + unsigned(minimum)
    return b"\x01" + unsigned(minimum) + unsigned(maximum)


def constant_i32(value: int) -> bytes:
    """The constant expression ``i32.const value; end``."""
    return b"\x41" + signed32(value) + b"\x0b"


def write_sections(sections: Iterable[Section]) -> bytes:
    """A wasm file of the non-empty sections, in the order given."""
    written = (bytes([s.id]) + sized(s.payload) for s in sections if s.payload not in (b"", b"\0"))
    return HEADER + b"".join(written)
