"""Disassemble a linked wasm module into the text format (WAT).

In: the bytes of a module as `link_module` writes them. Out: text that any assembler of the text
format turns back into the same bytes. LLVM's own assembly listing is not that: it shows the object
before linking, in a syntax that only LLVM reads; and wasmtime's Python API has no printer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from tilewright.codegen_cpu.wasm_binary import (
    ExternalKind,
    FunctionType,
    Reader,
    SectionId,
    ValueType,
    read_sections,
)
from tilewright.codegen_cpu.wasm_opcodes import INSTRUCTIONS, PREFIXES, Immediate, prefixed
from tilewright.ir.errors import IRError

_EMPTY_BLOCK: Final = 0x40
_DATA_PER_LINE: Final = 32
_EXTERNAL_NAMES: Final = {
    ExternalKind.FUNCTION: "func",
    ExternalKind.TABLE: "table",
    ExternalKind.MEMORY: "memory",
    ExternalKind.GLOBAL: "global",
}


def wat(module: bytes) -> str:
    """The text of `module`, one field per line and one instruction per line."""
    payloads = {section.id: section.payload for section in read_sections(module)}
    known = {*_FIELDS, SectionId.FUNCTION, SectionId.CODE, SectionId.DATA, SectionId.CUSTOM}
    if unknown := payloads.keys() - known:
        raise IRError(f"wasm section {min(unknown)} has no text form here")

    def reader(number: int) -> Reader:
        return Reader(payloads.get(number, b"\0"))

    lines = [line for number, fields in _FIELDS.items() for line in fields(reader(number))]
    type_reader = reader(SectionId.TYPE)
    types = [type_reader.function_type() for _ in range(type_reader.unsigned())]
    lines += _functions(reader(SectionId.FUNCTION), reader(SectionId.CODE), types)
    lines += _data(reader(SectionId.DATA))
    return "(module\n" + "".join(f"  {line}\n" for line in lines) + ")\n"


# Fields other than functions


def _types(reader: Reader) -> Iterator[str]:
    for index in range(reader.unsigned()):
        yield f"(type (func{_signature(reader.function_type())})) ;; {index}"


def _imports(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        module, name, kind = reader.name(), reader.name(), reader.byte()
        if kind != ExternalKind.MEMORY:
            raise IRError(f"wasm import {module}.{name} is not a memory")
        yield f'(import "{module}" "{name}" (memory {_limits(reader)}))'


def _tables(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        element = ValueType(reader.byte()).name.lower()
        yield f"(table {_limits(reader)} {element})"


def _memories(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        yield f"(memory {_limits(reader)})"


def _globals(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        name = _value_type(reader.byte())
        declared = f"(mut {name})" if reader.byte() else name
        yield f"(global {declared} {_constant(reader)})"


def _exports(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        name, kind = reader.name(), ExternalKind(reader.byte())
        yield f'(export "{name}" ({_EXTERNAL_NAMES[kind]} {reader.unsigned()}))'


def _elements(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        _expect_active(reader.unsigned(), "element")
        place = _constant(reader)
        functions = [str(reader.unsigned()) for _ in range(reader.unsigned())]
        yield f"(elem {place} func {' '.join(functions)})"


def _data(reader: Reader) -> Iterator[str]:
    for _ in range(reader.unsigned()):
        _expect_active(reader.unsigned(), "data")
        yield f"(data {_constant(reader)}"
        content = reader.sized_bytes()
        for start in range(0, len(content), _DATA_PER_LINE):
            yield f'  "{_escaped(content[start : start + _DATA_PER_LINE])}"'
        yield ")"


def _expect_active(flags: int, what: str) -> None:
    if flags != 0:
        raise IRError(f"wasm {what} segment has flags {flags}, expected 0")


def _escaped(content: bytes) -> str:
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:02x}"
        for byte in content
    )


def _limits(reader: Reader) -> str:
    minimum, maximum = reader.limits()
    return str(minimum) if maximum is None else f"{minimum} {maximum}"


def _constant(reader: Reader) -> str:
    """A constant expression of one instruction."""
    text = _instruction(reader, reader.byte(), ())
    if reader.byte() != 0x0B:
        raise IRError(f"wasm constant expression goes on after {text}")
    return f"({text})"


_FIELDS: Final = {
    SectionId.TYPE: _types,
    SectionId.IMPORT: _imports,
    SectionId.TABLE: _tables,
    SectionId.MEMORY: _memories,
    SectionId.GLOBAL: _globals,
    SectionId.EXPORT: _exports,
    SectionId.ELEMENT: _elements,
}


# Functions


def _functions(declared: Reader, code: Reader, types: Sequence[FunctionType]) -> Iterator[str]:
    declared.unsigned()
    for index in range(code.unsigned()):
        number = declared.unsigned()
        yield f"(func (type {number}){_signature(types[number])} ;; {index}"
        yield from _body(Reader(code.sized_bytes()), types)
        yield ")"


def _body(reader: Reader, types: Sequence[FunctionType]) -> Iterator[str]:
    locals_ = [
        _value_type(kind)
        for count, kind in [(reader.unsigned(), reader.byte()) for _ in range(reader.unsigned())]
        for _ in range(count)
    ]
    for name, run in groupby(locals_):
        yield f"  (local{f' {name}' * len(list(run))})"
    depth = 1
    while not reader.at_end():
        opcode = reader.byte()
        text = _instruction(reader, opcode, types)
        if text in ("end", "else"):
            depth -= 1
        if depth == 0:
            break  # the function's own end, which the text format writes as a parenthesis
        yield "  " * depth + text
        if text == "else" or text.startswith(("block", "loop", "if")):
            depth += 1


def _instruction(reader: Reader, opcode: int, types: Sequence[FunctionType]) -> str:
    if opcode in PREFIXES:
        opcode = prefixed(opcode, reader.unsigned())
    instruction = INSTRUCTIONS.get(opcode)
    if instruction is None:
        raise IRError(f"wasm opcode {opcode:#x} before byte {reader.position} is not known")
    if instruction.immediate is Immediate.BLOCK:
        operands = _block_type(reader, types)
    elif instruction.immediate in (Immediate.ADDRESS, Immediate.ADDRESS_LANE):
        operands = _address(reader, instruction.natural_alignment)
        if instruction.immediate is Immediate.ADDRESS_LANE:
            operands += f" {reader.byte()}"
    else:
        operands = _operands(reader, instruction.immediate)
    return instruction.mnemonic + operands


def _operands(reader: Reader, immediate: Immediate) -> str:
    """Immediates that need neither the types nor the instruction, with a space in front."""
    match immediate:
        case Immediate.INDEX:
            return f" {reader.unsigned()}"
        case Immediate.LANE:
            return f" {reader.byte()}"
        case Immediate.I32 | Immediate.I64:
            return f" {reader.signed()}"
        case Immediate.F32:
            return f" {_float32(reader.take(4))}"
        case Immediate.F64:
            return f" {_float64(reader.take(8))}"
        case Immediate.V128:
            return (
                f" i32x4{''.join(f' {word:#x}' for word in struct.unpack('<4I', reader.take(16)))}"
            )
        case Immediate.SHUFFLE:
            return "".join(f" {lane}" for lane in reader.take(16))
        case _:
            return _rare_operands(reader, immediate)


def _rare_operands(reader: Reader, immediate: Immediate) -> str:
    match immediate:
        case Immediate.INDIRECT_CALL:
            number, table = reader.unsigned(), reader.unsigned()
            return f" {table} (type {number})" if table else f" (type {number})"
        case Immediate.BRANCH_TABLE:
            count = reader.unsigned() + 1  # the default comes last
            return "".join(f" {reader.unsigned()}" for _ in range(count))
        case Immediate.SELECT_TYPES:
            names = [_value_type(reader.byte()) for _ in range(reader.unsigned())]
            return f" (result {' '.join(names)})"
        case Immediate.MEMORY:
            _expect_first_memory(reader.take(1))
        case Immediate.TWO_MEMORIES:
            _expect_first_memory(reader.take(2))
    return ""


def _expect_first_memory(indexes: bytes) -> None:
    if any(indexes):
        raise IRError(f"wasm instruction uses memory {max(indexes)}, the module has one")


def _block_type(reader: Reader, types: Sequence[FunctionType]) -> str:
    number = reader.signed()
    if number >= 0:
        return f" (type {number}){_signature(types[number])}"
    kind = number & 0x7F  # value types are negative numbers of one byte
    return "" if kind == _EMPTY_BLOCK else f" (result {_value_type(kind)})"


def _address(reader: Reader, natural_alignment: int) -> str:
    alignment, offset = 1 << reader.unsigned(), reader.unsigned()
    shown = f" offset={offset}" if offset else ""
    return shown if alignment == natural_alignment else f"{shown} align={alignment}"


def _signature(of: FunctionType) -> str:
    parameters = "".join(f" {_value_type(kind)}" for kind in of.parameters)
    results = "".join(f" {_value_type(kind)}" for kind in of.results)
    text = f" (param{parameters})" if parameters else ""
    return f"{text} (result{results})" if results else text


def _value_type(kind: int) -> str:
    return ValueType(kind).name.lower()


def _float32(encoded: bytes) -> str:
    (bits,) = struct.unpack("<I", encoded)
    if bits & 0x7F80_0000 == 0x7F80_0000 and bits & 0x7F_FFFF:
        return f"{'-' if bits >> 31 else ''}nan:{bits & 0x7F_FFFF:#x}"
    return str(np.frombuffer(encoded, "<f4")[0])  # the shortest digits that read back the same


def _float64(encoded: bytes) -> str:
    (value,) = struct.unpack("<d", encoded)
    if math.isnan(value):
        (bits,) = struct.unpack("<Q", encoded)
        return f"{'-' if bits >> 63 else ''}nan:{bits & (1 << 52) - 1:#x}"
    return repr(value)
