"""The disassembler against wasmtime's assembler: every instruction, every module, byte for byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codegen_cpu import wasm_programs as programs
from tilewright.codegen_cpu import wasm_binary as binary
from tilewright.codegen_cpu.wasm_binary import Section, SectionId
from tilewright.codegen_cpu.wasm_module import LinkOptions
from tilewright.codegen_cpu.wasm_opcodes import INSTRUCTIONS, Immediate, Instruction
from tilewright.codegen_cpu.wasm_text import _block_type, wat
from tilewright.ir.errors import IRError

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime is not installed")

_SAMPLES = {
    Immediate.NONE: [""],
    Immediate.BLOCK: ["", " (result v128)", " (type 1) (param i32) (result i32 i64)"],
    Immediate.INDEX: [" 0", " 300"],
    Immediate.INDIRECT_CALL: [" (type 1)"],
    Immediate.BRANCH_TABLE: [" 0", " 0 0 0"],
    Immediate.SELECT_TYPES: [" (result v128)"],
    Immediate.I32: [" 0", " -2147483648", " 2147483647"],
    Immediate.I64: [" -9223372036854775808", " 64"],
    Immediate.F32: [" 1.5"],
    Immediate.F64: [" 0.1"],
    Immediate.V128: [" i32x4 0x1 0xffffffff 0x0 0x80000000"],
    Immediate.ADDRESS: ["", " offset=4294967295", " offset=8 align=1"],
    Immediate.LANE: [" 1"],
    Immediate.ADDRESS_LANE: [" 1", " offset=8 align=1 0"],
    Immediate.SHUFFLE: ["".join(f" {lane}" for lane in range(31, 15, -1))],
    Immediate.MEMORY: [""],
    Immediate.TWO_MEMORIES: [""],
}


def _samples(instruction: Instruction) -> list[str]:
    samples = [instruction.mnemonic + operands for operands in _SAMPLES[instruction.immediate]]
    if "8_" in instruction.mnemonic or instruction.mnemonic.endswith("store8"):  # 1 is the default
        samples = [text for text in samples if "align=1" not in text]
    return samples


def _statements() -> list[str]:
    """One or more uses of every instruction but those that make blocks."""
    return [
        text
        for instruction in INSTRUCTIONS.values()
        if instruction.mnemonic not in ("block", "loop", "if", "else", "end")
        for text in _samples(instruction)
    ]


def _round_trip(statements: list[str]) -> str:
    types = "(type (func)) (type (func (param i32) (result i32 i64)))"
    body = "\n".join(statements)
    module = bytes(wasmtime.wat2wasm(f"(module {types} (memory 1) (func (type 0) {body}))"))
    text = wat(module)
    assert bytes(wasmtime.wat2wasm(text)) == module
    return text


@pytest.mark.parametrize("statement", _statements())
def test_every_instruction(statement: str) -> None:
    assert f"\n    {statement}\n" in _round_trip([statement])


@pytest.mark.parametrize("opener", ["block", "loop", "if"])
@pytest.mark.parametrize("operands", _SAMPLES[Immediate.BLOCK])
def test_blocks_are_indented(opener: str, operands: str) -> None:
    first = opener + operands
    otherwise = ["else", "drop"] if opener == "if" else []
    text = _round_trip([first, "nop", *otherwise, "end", "return"])
    shown = [f"    {first}", "      nop"]
    shown += ["    else", "      drop"] if otherwise else []
    assert "\n".join([*shown, "    end", "    return"]) in text


@given(st.integers(0, 2**32 - 1))
def test_float32_constants_keep_their_bits(bits: int) -> None:
    _round_trip_constant(b"\x43" + struct.pack("<I", bits))


@given(st.integers(0, 2**64 - 1))
def test_float64_constants_keep_their_bits(bits: int) -> None:
    _round_trip_constant(b"\x44" + struct.pack("<Q", bits))


@pytest.mark.parametrize("bits", [0x7F800000, 0xFF800000, 0x7FC00000, 0xFF800001, 0x80000000, 1])
def test_special_float32_constants(bits: int) -> None:
    _round_trip_constant(b"\x43" + struct.pack("<I", bits))


@pytest.mark.parametrize("high", [0x7FF00000, 0xFFF00000, 0x7FF80000, 0xFFF12345, 0x80000000])
def test_special_float64_constants(high: int) -> None:
    _round_trip_constant(b"\x44" + struct.pack("<Q", high << 32))


def _round_trip_constant(instruction: bytes) -> None:
    body = b"\0" + instruction + b"\x1a\x0b"  # no locals; the constant; drop; end
    module = binary.write_sections(
        [
            Section(SectionId.TYPE, b"\x01\x60\0\0"),
            Section(SectionId.FUNCTION, b"\x01\0"),
            Section(SectionId.CODE, binary.vector([binary.sized(body)])),
        ]
    )
    assert bytes(wasmtime.wat2wasm(wat(module))) == module


@pytest.mark.parametrize("import_memory", [False, True])
@pytest.mark.parametrize(
    "name", ["AXPY", "STACK", "DATA", "COPY", "COPY_BY_CALLS", "TABLE", "FAILURES", "ADD_CONSTANT"]
)
def test_linked_modules_round_trip(name: str, import_memory: bool) -> None:
    options = LinkOptions(import_memory=import_memory)
    module = programs.linked(getattr(programs, name), options=options).binary
    assert bytes(wasmtime.wat2wasm(wat(module))) == module


def test_text_of_a_small_module() -> None:
    assert wat(programs.linked(programs.ADD_CONSTANT).binary) == (
        "(module\n"
        "  (type (func (param i32 i32 i32 i32) (result i32))) ;; 0\n"
        "  (memory 2)\n"
        "  (global (mut i32) (i32.const 131072))\n"
        "  (global i32 (i32.const 131072))\n"
        '  (export "tw_main" (func 0))\n'
        '  (export "memory" (memory 0))\n'
        '  (export "__stack_pointer" (global 0))\n'
        '  (export "__heap_base" (global 1))\n'
        "  (func (type 0) (param i32 i32 i32 i32) (result i32) ;; 0\n"
        "    local.get 1\n"
        "    i32.const 4\n"
        "    i32.add\n"
        "    i32.load\n"
        "    local.get 1\n"
        "    i32.load\n"
        "    f32.load\n"
        "    local.get 1\n"
        "    i32.const 8\n"
        "    i32.add\n"
        "    i32.load\n"
        "    f32.load\n"
        "    f32.add\n"
        "    f32.store\n"
        "    i32.const 0\n"
        "  )\n"
        ")\n"
    )


def test_unknown_opcodes_are_named() -> None:
    module = programs.linked(programs.ADD_CONSTANT).binary.replace(b"\x92", b"\x06")
    with pytest.raises(IRError, match="wasm opcode 0x6 before byte"):
        wat(module)


def test_types_of_blocks() -> None:
    types = [binary.FunctionType((), (0x7F,)), binary.FunctionType((0x7E,), ())]
    assert _block_type(binary.Reader(b"\x00"), types) == " (type 0) (result i32)"
    assert _block_type(binary.Reader(b"\x01"), types) == " (type 1) (param i64)"
    assert _block_type(binary.Reader(b"\x40"), types) == ""
    assert _block_type(binary.Reader(b"\x7d"), types) == " (result f32)"
