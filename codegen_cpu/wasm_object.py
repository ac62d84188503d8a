"""Read a relocatable wasm object file, as LLVM emits it, into plain data.

In: the bytes of the object. Out: a `WasmObject`: types, imports, function bodies, data segments,
symbols, and the relocations of each function body and data segment, at offsets within it.
The format is the "linking" convention, version 2 (WebAssembly/tool-conventions, Linking.md).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct

from tilewright.codegen_cpu.wasm_binary import (
    ExternalKind,
    FunctionType,
    Reader,
    SectionId,
    read_sections,
)
from tilewright.ir.errors import IRError

_LINKING_VERSION = 2


class RelocationType(IntEnum):
    """The relocations that non-PIC wasm32 code without threads and debug information can hold."""

    FUNCTION_INDEX_LEB = 0
    TABLE_INDEX_SLEB = 1
    TABLE_INDEX_I32 = 2
    MEMORY_ADDR_LEB = 3
    MEMORY_ADDR_SLEB = 4
    MEMORY_ADDR_I32 = 5
    TYPE_INDEX_LEB = 6
    GLOBAL_INDEX_LEB = 7
    TABLE_NUMBER_LEB = 20


_WITH_ADDEND = frozenset(
    {
        RelocationType.MEMORY_ADDR_LEB,
        RelocationType.MEMORY_ADDR_SLEB,
        RelocationType.MEMORY_ADDR_I32,
    }
)


class SymbolKind(IntEnum):
    FUNCTION = 0
    DATA = 1
    GLOBAL = 2
    SECTION = 3
    TAG = 4
    TABLE = 5


class _SymbolFlag(IntEnum):
    UNDEFINED = 0x10
    EXPLICIT_NAME = 0x40


class _LinkingRecord(IntEnum):
    SEGMENT_INFO = 5
    INIT_FUNCS = 6
    SYMBOL_TABLE = 8


class Relocation(Struct, frozen=True):
    """At `offset` of its function body or data segment: put the value of `index` (+ `addend`).

    `index` counts symbols, or types for `TYPE_INDEX_LEB`.
    """

    type: RelocationType
    offset: int
    index: int
    addend: int


class Import(Struct, frozen=True):
    """One import; `type` is the type index of a function."""

    module: str
    name: str
    kind: int
    type: int = 0


class Symbol(Struct, frozen=True):
    """A name of the object.

    For data: `index` is the segment, `offset` the place in it; otherwise `index` is in the index
    space of `kind`, imports first.
    """

    kind: SymbolKind
    name: str
    defined: bool
    index: int = 0
    offset: int = 0


class Chunk(Struct, frozen=True):
    """A function body or a data segment, with the relocations inside it."""

    payload: bytes
    relocations: tuple[Relocation, ...]


class WasmObject(Struct, frozen=True):
    """A parsed object; `functions[k]` has type ``types[function_types[k]]``."""

    types: tuple[FunctionType, ...]
    imports: tuple[Import, ...]
    function_types: tuple[int, ...]
    functions: tuple[Chunk, ...]
    segments: tuple[Chunk, ...]
    alignments: tuple[int, ...]
    symbols: tuple[Symbol, ...]
    features: frozenset[str]

    def imports_of(self, kind: ExternalKind) -> tuple[Import, ...]:
        return tuple(item for item in self.imports if item.kind == kind)


def parse_object(data: bytes) -> WasmObject:
    """Read `data`, the bytes of one object file."""
    core: dict[int, bytes] = {}
    custom: dict[str, bytes] = {}
    order: list[int] = []
    for section in read_sections(data):
        order.append(section.id)
        if section.id == SectionId.CUSTOM:
            reader = Reader(section.payload)
            title = reader.name()
            custom[title] = section.payload[reader.position :]
        else:
            core[section.id] = section.payload
    if "linking" not in custom:
        raise IRError("wasm file has no 'linking' section: it is not a relocatable object")
    return _assemble(core, custom, order)


def _assemble(core: dict[int, bytes], custom: dict[str, bytes], order: list[int]) -> WasmObject:
    def section(number: SectionId) -> bytes:
        return core.get(number, b"\0")

    imports = _read_imports(section(SectionId.IMPORT))
    if section(SectionId.GLOBAL) != b"\0":
        raise IRError("wasm object defines its own globals; only the stack pointer is supported")
    alignments, symbols = _read_linking(custom["linking"], imports)

    def chunks(number: SectionId, title: str, ranges: list[tuple[int, int]]) -> tuple[Chunk, ...]:
        at = order.index(number) if number in order else -1
        relocations = _read_relocations(custom.get(title), at)
        return _split(section(number), ranges, relocations)

    return WasmObject(
        types=_read_types(section(SectionId.TYPE)),
        imports=imports,
        function_types=_read_indexes(section(SectionId.FUNCTION)),
        functions=chunks(SectionId.CODE, "reloc.CODE", _code_ranges(section(SectionId.CODE))),
        segments=chunks(SectionId.DATA, "reloc.DATA", _data_ranges(section(SectionId.DATA))),
        alignments=alignments,
        symbols=symbols,
        features=_read_features(custom.get("target_features")),
    )


def _read_types(payload: bytes) -> tuple[FunctionType, ...]:
    reader = Reader(payload)
    return tuple(reader.function_type() for _ in range(reader.unsigned()))


def _read_indexes(payload: bytes) -> tuple[int, ...]:
    reader = Reader(payload)
    return tuple(reader.unsigned() for _ in range(reader.unsigned()))


def _read_imports(payload: bytes) -> tuple[Import, ...]:
    reader = Reader(payload)
    return tuple(_read_import(reader) for _ in range(reader.unsigned()))


def _read_import(reader: Reader) -> Import:
    module, name, kind = reader.name(), reader.name(), reader.byte()
    if kind == ExternalKind.FUNCTION:
        return Import(module, name, kind, reader.unsigned())
    if kind == ExternalKind.GLOBAL:
        reader.take(2)  # value type and mutability
    elif kind == ExternalKind.TABLE:
        reader.byte()  # element type
        reader.limits()
    elif kind == ExternalKind.MEMORY:
        reader.limits()
    else:
        raise IRError(f"wasm import {module}.{name} has kind {kind}, which is not supported")
    return Import(module, name, kind)


def _code_ranges(payload: bytes) -> list[tuple[int, int]]:
    """Start and end of each function body, its length excluded."""
    reader = Reader(payload)
    ranges = []
    for _ in range(reader.unsigned()):
        size = reader.unsigned()
        ranges.append((reader.position, reader.position + size))
        reader.take(size)
    return ranges


def _data_ranges(payload: bytes) -> list[tuple[int, int]]:
    """Start and end of the bytes of each active segment."""
    reader = Reader(payload)
    ranges = []
    for _ in range(reader.unsigned()):
        flags = reader.unsigned()
        if flags != 0 or reader.byte() != 0x41:
            raise IRError(f"wasm data segment with flags {flags} does not start with i32.const")
        reader.signed()
        reader.byte()  # end of the constant expression
        size = reader.unsigned()
        ranges.append((reader.position, reader.position + size))
        reader.take(size)
    return ranges


def _read_relocations(payload: bytes | None, section: int) -> list[Relocation]:
    if payload is None:
        return []
    reader = Reader(payload)
    target = reader.unsigned()
    if target != section:
        raise IRError(f"wasm relocations are for section {target}, expected section {section}")
    return [_read_relocation(reader) for _ in range(reader.unsigned())]


def _read_relocation(reader: Reader) -> Relocation:
    number = reader.byte()
    try:
        kind = RelocationType(number)
    except ValueError:
        raise IRError(
            f"wasm relocation of type {number} is not supported; "
            "emit for wasm32 with the static relocation model, no threads and no debug information"
        ) from None
    offset, index = reader.unsigned(), reader.unsigned()
    return Relocation(kind, offset, index, reader.signed() if kind in _WITH_ADDEND else 0)


def _split(
    payload: bytes, ranges: Sequence[tuple[int, int]], relocations: Sequence[Relocation]
) -> tuple[Chunk, ...]:
    """Cut a section into chunks and give each its relocations, at offsets within the chunk."""
    starts = [start for start, _ in ranges]
    owned: list[list[Relocation]] = [[] for _ in ranges]
    for r in relocations:
        owner = bisect_right(starts, r.offset) - 1
        if owner < 0 or r.offset >= ranges[owner][1]:
            raise IRError(f"wasm relocation at offset {r.offset} is outside of any body or segment")
        owned[owner].append(Relocation(r.type, r.offset - starts[owner], r.index, r.addend))
    return tuple(
        Chunk(payload[start:stop], tuple(own))
        for (start, stop), own in zip(ranges, owned, strict=True)
    )


def _read_linking(
    payload: bytes, imports: Sequence[Import]
) -> tuple[tuple[int, ...], tuple[Symbol, ...]]:
    """Alignment of each data segment, and the symbol table."""
    reader = Reader(payload)
    version = reader.unsigned()
    if version != _LINKING_VERSION:
        raise IRError(f"wasm linking section has version {version}, expected {_LINKING_VERSION}")
    records: dict[int, Reader] = {}
    while not reader.at_end():
        number = reader.byte()
        records[number] = Reader(reader.sized_bytes())
    if _LinkingRecord.INIT_FUNCS in records:
        raise IRError("wasm object has constructors (llvm.global_ctors), which nothing would call")
    segments = records.get(_LinkingRecord.SEGMENT_INFO, Reader(b"\0"))
    symbols = records.get(_LinkingRecord.SYMBOL_TABLE, Reader(b"\0"))
    alignments = tuple(_read_alignment(segments) for _ in range(segments.unsigned()))
    return alignments, tuple(_read_symbol(symbols, imports) for _ in range(symbols.unsigned()))


def _read_alignment(reader: Reader) -> int:
    title, power, flags = reader.name(), reader.unsigned(), reader.unsigned()
    if flags & 2:
        raise IRError(f"wasm segment {title} is thread-local, which is not supported")
    return 1 << power


def _read_symbol(reader: Reader, imports: Sequence[Import]) -> Symbol:
    kind, flags = SymbolKind(reader.byte()), reader.unsigned()
    defined = not flags & _SymbolFlag.UNDEFINED
    if kind == SymbolKind.SECTION:
        return Symbol(kind, "", True, reader.unsigned())
    if kind == SymbolKind.DATA:
        title = reader.name()
        if not defined:
            return Symbol(kind, title, False)
        segment, offset, _size = reader.unsigned(), reader.unsigned(), reader.unsigned()
        return Symbol(kind, title, True, segment, offset)
    index = reader.unsigned()
    if defined or flags & _SymbolFlag.EXPLICIT_NAME:
        return Symbol(kind, reader.name(), defined, index)
    return Symbol(kind, _import_name(kind, index, imports), False, index)


def _import_name(kind: SymbolKind, index: int, imports: Sequence[Import]) -> str:
    external = {
        SymbolKind.FUNCTION: ExternalKind.FUNCTION,
        SymbolKind.GLOBAL: ExternalKind.GLOBAL,
        SymbolKind.TABLE: ExternalKind.TABLE,
    }
    if kind not in external:
        raise IRError(f"wasm object has an undefined {kind.name.lower()} symbol")
    names = [item.name for item in imports if item.kind == external[kind]]
    return names[index]


def _read_features(payload: bytes | None) -> frozenset[str]:
    """Names of the features that the code may use (prefix ``+``)."""
    if payload is None:
        return frozenset()
    reader = Reader(payload)
    pairs = [(reader.byte(), reader.name()) for _ in range(reader.unsigned())]
    return frozenset(feature for prefix, feature in pairs if prefix == ord("+"))
