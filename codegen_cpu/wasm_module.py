"""Link one relocatable wasm object into a module that an engine can instantiate.

In: the object file of one LLVM module (`compile_object` for a wasm32 target). Out: a `WasmModule`
that needs nothing but, on request, a memory. Its linear memory is laid out as

    0 … stack_size        the stack, which grows down, so that an overflow traps instead of
                          running into the data
    stack_size … heap     constants and zeroed globals of the object
    heap_base …           free: arrays, arguments, workspace

and it exports ``memory``, the functions asked for, ``__heap_base``, and ``__stack_pointer``: a trap
leaves the stack pointer where it was, so the host must be able to set it back. Custom sections are
dropped, function names with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from tilewright.codegen_cpu import wasm_binary as binary
from tilewright.codegen_cpu.wasm_binary import (
    ExternalKind,
    FunctionType,
    Section,
    SectionId,
    ValueType,
    write_sections,
)
from tilewright.codegen_cpu.wasm_object import (
    Chunk,
    Relocation,
    RelocationType,
    Symbol,
    SymbolKind,
    WasmObject,
    parse_object,
)
from tilewright.ir.errors import IRError, LimitError

PAGE: Final = 65536
MAXIMUM_PAGES: Final = 65536
ALIGNMENT: Final = 64
"""Of the heap and of every array in it: one cache line."""

ENTRY_POINT: Final = "tw_main"
STACK_POINTER: Final = "__stack_pointer"
HEAP_BASE: Final = "__heap_base"
MEMORY: Final = "memory"

_LEB_BYTES: Final = 5
"""LLVM pads every relocatable number to this length; linking writes the shortest form instead."""


class LinkOptions(Struct, frozen=True):
    """What the module looks like from outside.

    `import_memory`: the host passes a memory as ``env.memory``; otherwise the module has its own.
    `maximum_pages` (of 64 KiB) bounds the module's own memory.
    """

    exports: tuple[str, ...] = (ENTRY_POINT,)
    stack_size: int = 128 << 10
    import_memory: bool = False
    maximum_pages: int | None = None

    def __post_init__(self) -> None:
        if self.stack_size <= 0 or self.stack_size % ALIGNMENT:
            raise ValueError(f"stack_size must be a positive multiple of 64, not {self.stack_size}")


class WasmModule(Struct, frozen=True):
    """A linked module.

    `memory_pages` is what its memory starts with, `memory_limit` the bytes that it may grow to.
    `features` are the wasm extensions that its code may use.
    """

    binary: bytes
    heap_base: int
    memory_pages: int
    memory_limit: int
    stack_size: int
    imports_memory: bool
    features: frozenset[str]


class _Layout(Struct, frozen=True):
    """Everything that a relocation's value depends on."""

    functions: tuple[int | None, ...]
    """New function index of each old one; None: nothing defines it."""
    table: tuple[int, ...]
    """Functions whose address is taken, from table slot 1 on: slot 0 is the null pointer."""
    segments: tuple[int, ...]
    """Address of each data segment."""
    data_end: int


def link_module(data: bytes, options: LinkOptions | None = None) -> WasmModule:
    """Link the object file `data`; an `IRError` names every symbol that nothing defines."""
    options = options or LinkOptions()
    source = parse_object(data)
    library = _library_functions(source)
    layout = _lay_out(source, library, options.stack_size)
    _check_resolved(source, layout)
    heap_base = _align(layout.data_end, ALIGNMENT)
    pages = -(-heap_base // PAGE)
    limit = PAGE * (MAXIMUM_PAGES if options.maximum_pages is None else options.maximum_pages)
    if pages * PAGE > limit:
        raise LimitError(
            f"stack and data of the module need {heap_base} bytes of wasm memory, "
            f"the limit is {limit}"
        )
    sections = _sections(source, library, layout, options, heap_base, pages)
    return WasmModule(
        binary=write_sections(sections),
        heap_base=heap_base,
        memory_pages=pages,
        memory_limit=limit,
        stack_size=options.stack_size,
        imports_memory=options.import_memory,
        features=source.features,
    )


# What LLVM calls without being asked to


class _LibraryFunction(Struct, frozen=True):
    name: str
    type: int
    body: bytes


_MEMORY_FUNCTION: Final = FunctionType((ValueType.I32,) * 3, (ValueType.I32,))
_GET_ARGUMENTS: Final = bytes.fromhex("00 2000 2001 2002")  # no locals; local.get 0, 1, 2
_RETURN_DESTINATION: Final = bytes.fromhex("2000 0b")  # local.get 0; end
_MEMORY_COPY: Final = _GET_ARGUMENTS + bytes.fromhex("fc0a 00 00") + _RETURN_DESTINATION
_MEMORY_FILL: Final = _GET_ARGUMENTS + bytes.fromhex("fc0b 00") + _RETURN_DESTINATION
_LIBRARY: Final = {"memcpy": _MEMORY_COPY, "memmove": _MEMORY_COPY, "memset": _MEMORY_FILL}


def _library_functions(source: WasmObject) -> tuple[_LibraryFunction, ...]:
    """The memory functions that the object imports: one bulk-memory instruction each."""
    wanted = [f for f in source.imports_of(ExternalKind.FUNCTION) if f.name in _LIBRARY]
    if wanted and "bulk-memory" not in source.features:
        return ()
    for function in wanted:
        if source.types[function.type] != _MEMORY_FUNCTION:
            raise IRError(f"{function.name} is declared as {source.types[function.type]}")
    return tuple(_LibraryFunction(f.name, f.type, _LIBRARY[f.name]) for f in wanted)


# Layout


def _lay_out(source: WasmObject, library: Sequence[_LibraryFunction], data_start: int) -> _Layout:
    defined = len(source.functions)
    provided = {f.name: defined + position for position, f in enumerate(library)}
    imported = source.imports_of(ExternalKind.FUNCTION)
    functions = (*(provided.get(f.name) for f in imported), *range(defined))
    segments, end = _place_segments(source, data_start)
    return _Layout(functions, _address_taken(source, functions), segments, end)


def _place_segments(source: WasmObject, start: int) -> tuple[tuple[int, ...], int]:
    """Addresses of the segments and the end of the last: zeroed ones come last, so that the file
    need not hold them."""
    addresses = [0] * len(source.segments)
    end = start
    for index in sorted(range(len(addresses)), key=lambda i: _is_zero(source.segments[i])):
        addresses[index] = _align(end, source.alignments[index])
        end = addresses[index] + len(source.segments[index].payload)
    return tuple(addresses), end


def _address_taken(source: WasmObject, functions: Sequence[int | None]) -> tuple[int, ...]:
    kinds = (RelocationType.TABLE_INDEX_SLEB, RelocationType.TABLE_INDEX_I32)
    taken: dict[int, None] = {}
    for chunk in (*source.functions, *source.segments):
        for relocation in chunk.relocations:
            if relocation.type in kinds:
                index = functions[source.symbols[relocation.index].index]
                if index is not None:
                    taken[index] = None
    return tuple(taken)


def _is_zero(segment: Chunk) -> bool:
    return not segment.relocations and not any(segment.payload)


def _align(address: int, alignment: int) -> int:
    return -(-address // alignment) * alignment


def _check_resolved(source: WasmObject, layout: _Layout) -> None:
    missing = sorted({s.name for s in source.symbols if not _is_resolved(s, layout)})
    if missing:
        raise IRError(
            f"wasm object uses {', '.join(missing)}, which nothing defines",
            help="rewrite the operation that LLVM made this call of, or define it in the module",
        )


def _is_resolved(symbol: Symbol, layout: _Layout) -> bool:
    match symbol.kind:
        case SymbolKind.FUNCTION:
            return layout.functions[symbol.index] is not None
        case SymbolKind.DATA:
            return symbol.defined
        case SymbolKind.GLOBAL:
            return symbol.name == STACK_POINTER
        case SymbolKind.TABLE:
            return symbol.name == "__indirect_function_table"
        case SymbolKind.SECTION:
            return True
        case SymbolKind.TAG:
            return False


# Relocation


def _relocate(source: WasmObject, layout: _Layout, chunk: Chunk) -> bytes:
    """The payload of `chunk` with every relocation applied."""
    pieces = []
    position = 0
    for relocation in sorted(chunk.relocations, key=lambda r: r.offset):
        pieces.append(chunk.payload[position : relocation.offset])
        value, width = _encoded_value(source, layout, relocation)
        _check_place(chunk.payload, relocation.offset, width)
        pieces.append(value)
        position = relocation.offset + width
    pieces.append(chunk.payload[position:])
    return b"".join(pieces)


def _check_place(payload: bytes, offset: int, width: int) -> None:
    """A number that is replaced must be as long as LLVM pads it, or code after it would be lost."""
    place = payload[offset : offset + width]
    padded = [byte >= 0x80 for byte in place] == [True] * (_LEB_BYTES - 1) + [False]
    if len(place) != width or (width == _LEB_BYTES and not padded):
        raise IRError(f"wasm relocation at {offset} is on {place.hex(' ')}, not a padded number")


def _encoded_value(
    source: WasmObject, layout: _Layout, relocation: Relocation
) -> tuple[bytes, int]:
    """The bytes to put in, and how many they replace."""
    if relocation.type == RelocationType.TYPE_INDEX_LEB:
        return binary.unsigned(relocation.index), _LEB_BYTES
    symbol = source.symbols[relocation.index]
    match relocation.type:
        case RelocationType.FUNCTION_INDEX_LEB:
            return binary.unsigned(_function_index(layout, symbol)), _LEB_BYTES
        case RelocationType.TABLE_INDEX_SLEB:
            return binary.signed32(_table_slot(layout, symbol)), _LEB_BYTES
        case RelocationType.TABLE_INDEX_I32:
            return _table_slot(layout, symbol).to_bytes(4, "little"), 4
        case RelocationType.GLOBAL_INDEX_LEB | RelocationType.TABLE_NUMBER_LEB:
            return binary.unsigned(0), _LEB_BYTES  # the stack pointer; the only table
    address = layout.segments[symbol.index] + symbol.offset + relocation.addend
    match relocation.type:
        case RelocationType.MEMORY_ADDR_LEB:
            return binary.unsigned(address), _LEB_BYTES
        case RelocationType.MEMORY_ADDR_SLEB:
            return binary.signed32(address), _LEB_BYTES
        case _:
            return (address % (1 << 32)).to_bytes(4, "little"), 4


def _function_index(layout: _Layout, symbol: Symbol) -> int:
    index = layout.functions[symbol.index]
    assert index is not None, "checked by _check_resolved"
    return index


def _table_slot(layout: _Layout, symbol: Symbol) -> int:
    return 1 + layout.table.index(_function_index(layout, symbol))


# Sections of the result


def _sections(
    source: WasmObject,
    library: Sequence[_LibraryFunction],
    layout: _Layout,
    options: LinkOptions,
    heap_base: int,
    pages: int,
) -> Iterable[Section]:
    bodies = [_relocate(source, layout, chunk) for chunk in source.functions]
    bodies += [function.body for function in library]
    types = [*source.function_types, *(function.type for function in library)]
    yield Section(SectionId.TYPE, binary.vector(map(_encoded_type, source.types)))
    if options.import_memory:
        env_memory = binary.name("env") + binary.name(MEMORY)
        kind = bytes([ExternalKind.MEMORY])
        yield Section(SectionId.IMPORT, binary.vector([env_memory + kind + binary.limits(pages)]))
    yield Section(SectionId.FUNCTION, binary.vector(map(binary.unsigned, types)))
    yield Section(SectionId.TABLE, _table_section(source, layout))
    if not options.import_memory:
        own = binary.limits(pages, options.maximum_pages)
        yield Section(SectionId.MEMORY, binary.vector([own]))
    yield Section(SectionId.GLOBAL, _global_section(options.stack_size, heap_base))
    yield Section(SectionId.EXPORT, _export_section(source, layout, options))
    yield Section(SectionId.ELEMENT, _element_section(layout))
    yield Section(SectionId.CODE, binary.vector(map(binary.sized, bodies)))
    yield Section(SectionId.DATA, _data_section(source, layout, options))


def _encoded_type(of: FunctionType) -> bytes:
    return b"\x60" + binary.sized(bytes(of.parameters)) + binary.sized(bytes(of.results))


def _table_section(source: WasmObject, layout: _Layout) -> bytes:
    if not layout.table and not source.imports_of(ExternalKind.TABLE):
        return binary.vector([])
    size = 1 + len(layout.table)
    return binary.vector([bytes([ValueType.FUNCREF]) + binary.limits(size, size)])


def _global_section(stack_size: int, heap_base: int) -> bytes:
    mutable, constant = bytes([ValueType.I32, 1]), bytes([ValueType.I32, 0])
    stack_pointer = mutable + binary.constant_i32(stack_size)
    return binary.vector([stack_pointer, constant + binary.constant_i32(heap_base)])


def _export_section(source: WasmObject, layout: _Layout, options: LinkOptions) -> bytes:
    functions = {
        symbol.name: _function_index(layout, symbol)
        for symbol in source.symbols
        if symbol.kind == SymbolKind.FUNCTION and symbol.defined
    }
    missing = [name for name in options.exports if name not in functions]
    if missing:
        raise IRError(f"wasm object does not define {', '.join(missing)}, which is to be exported")
    exports = [(name, ExternalKind.FUNCTION, functions[name]) for name in options.exports]
    if not options.import_memory:
        exports.append((MEMORY, ExternalKind.MEMORY, 0))
    exports += [(STACK_POINTER, ExternalKind.GLOBAL, 0), (HEAP_BASE, ExternalKind.GLOBAL, 1)]
    return binary.vector(
        binary.name(name) + bytes([kind]) + binary.unsigned(index) for name, kind, index in exports
    )


def _element_section(layout: _Layout) -> bytes:
    if not layout.table:
        return binary.vector([])
    functions = binary.vector(map(binary.unsigned, layout.table))
    return binary.vector([b"\0" + binary.constant_i32(1) + functions])


def _data_section(source: WasmObject, layout: _Layout, options: LinkOptions) -> bytes:
    """One segment that holds all data. Zeros are left out where the memory is known to be new."""
    written = [
        (address, _relocate(source, layout, segment))
        for address, segment in zip(layout.segments, source.segments, strict=True)
        if options.import_memory or not _is_zero(segment)
    ]
    if not written:
        return binary.vector([])
    end = max(address + len(payload) for address, payload in written)
    image = bytearray(end - options.stack_size)
    for address, payload in written:
        start = address - options.stack_size
        image[start : start + len(payload)] = payload
    return binary.vector(
        [b"\0" + binary.constant_i32(options.stack_size) + binary.sized(bytes(image))]
    )
