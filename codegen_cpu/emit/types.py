"""dtypes and literals in LLVM's spelling."""

from __future__ import annotations

import struct

from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.expr import Value

_FLOATS = {16: "half", 32: "float", 64: "double"}


class Types:
    """Spelling of types for one machine: `index_bits` is the width of `INDEX`, `vector_bits` is
    that of a register."""

    def __init__(self, index_bits: int, vector_bits: int) -> None:
        self.index_bits = index_bits
        self.vector_bits = vector_bits
        self.index = f"i{index_bits}"

    def scalar(self, dtype: DType) -> str:
        """The type of a value: ``float``, ``i32``, ``i1`` for bool."""
        if dtype.is_float:
            return _FLOATS[dtype.bits]
        if dtype is BOOL:
            return "i1"
        return self.index if dtype.kind == "x" else f"i{dtype.bits}"

    def memory(self, dtype: DType) -> str:
        """The type of an element in memory: bool takes a byte."""
        return "i8" if dtype is BOOL else self.scalar(dtype)

    def value(self, dtype: DType, lanes: int) -> str:
        """The type of `lanes` values in one register."""
        return vector(self.scalar(dtype), lanes)


def vector(element: str, lanes: int) -> str:
    return element if lanes == 1 else f"<{lanes} x {element}>"


def literal(value: Value, dtype: DType) -> str:
    """A literal, floats by bit pattern (LLVM writes a float as the double of the same value)."""
    if dtype.is_float:
        if dtype.bits == 16:
            return "0xH" + struct.pack(">e", value).hex().upper()
        return "0x" + _double_bits(float(value), dtype).hex().upper()
    if dtype is BOOL:
        return "true" if value else "false"
    return str(int(value))


def _double_bits(value: float, dtype: DType) -> bytes:
    if value == value:
        return struct.pack(">d", value)
    return bytes.fromhex("7FF8000000000000")
