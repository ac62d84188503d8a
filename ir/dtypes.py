"""The element types, and NumPy's promotion rules over them.

`INDEX` is the type of loop variables and sizes: an integer of at least 32 bits whose width each
target chooses (64 bits on a 64-bit CPU, 32 bits on wasm32 and the GPU targets).
"""

from __future__ import annotations

from functools import cache

import numpy as np


class DType:
    """One element type. The instances below are the only ones: compare with ``is``.

    `kind` is ``"b"`` bool, ``"i"`` signed, ``"u"`` unsigned, ``"f"`` float or ``"x"`` index.
    """

    __slots__ = ("bits", "kind", "name", "numpy")

    def __init__(self, name: str, kind: str, bits: int) -> None:
        self.name = name
        self.kind = kind
        self.bits = bits
        self.numpy: np.dtype = np.dtype("int64" if kind == "x" else name)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return _CONSTANT_NAMES[self.name]

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        """Signed, unsigned or index; bool is not an integer."""
        return self.kind in "iux"

    @property
    def is_signed(self) -> bool:
        return self.kind in "ixf"

    @property
    def itemsize(self) -> int:
        """Bytes of one element in memory (index: of the host's array, 8)."""
        return max(1, self.bits // 8)

    @property
    def short(self) -> str:
        """The name in printed IR: ``f32``, ``u8``, ``bool``, ``index``."""
        return self.name if self.kind in "bx" else f"{self.kind}{self.bits}"

    @property
    def min(self) -> int:
        """Smallest value of an integer dtype."""
        return -(1 << (self.bits - 1)) if self.kind in "ix" else 0

    @property
    def max(self) -> int:
        """Largest value of an integer dtype."""
        if self.kind == "b":
            return 1
        return (1 << (self.bits - 1)) - 1 if self.kind in "ix" else (1 << self.bits) - 1


BOOL = DType("bool", "b", 8)
I8 = DType("int8", "i", 8)
I16 = DType("int16", "i", 16)
I32 = DType("int32", "i", 32)
I64 = DType("int64", "i", 64)
U8 = DType("uint8", "u", 8)
U16 = DType("uint16", "u", 16)
U32 = DType("uint32", "u", 32)
U64 = DType("uint64", "u", 64)
F16 = DType("float16", "f", 16)
F32 = DType("float32", "f", 32)
F64 = DType("float64", "f", 64)
INDEX = DType("index", "x", 64)

ALL = (BOOL, I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64)
SIGNED = (I8, I16, I32, I64)
UNSIGNED = (U8, U16, U32, U64)
FLOATS = (F16, F32, F64)

_CONSTANT_NAMES = {
    **{d.name: d.short.upper() for d in (*ALL, INDEX)},
}
_BY_NUMPY = {d.numpy: d for d in ALL}
_BY_SHORT = {d.short: d for d in (*ALL, INDEX)}


def from_numpy(dtype: object) -> DType | None:
    """The `DType` of a native-endian NumPy dtype (or what names one), or None."""
    return _BY_NUMPY.get(np.dtype(dtype))  # type: ignore[call-overload]


def from_short(name: str) -> DType | None:
    """The dtype whose printed name is `name` (``"f32"``), or None."""
    return _BY_SHORT.get(name)


@cache
def promote(a: DType, b: DType) -> DType:
    """NumPy's result dtype of two arrays; `INDEX` is weak against other integers and floats."""
    if a is b:
        return a
    if a is INDEX:
        return I64 if b is BOOL else b
    if b is INDEX:
        return I64 if a is BOOL else a
    return _BY_NUMPY[np.result_type(a.numpy, b.numpy)]


@cache
def unsigned_of(dtype: DType) -> DType:
    """The unsigned integer of the same width."""
    return {8: U8, 16: U16, 32: U32, 64: U64}[dtype.bits]


@cache
def signed_of(dtype: DType) -> DType:
    """The signed integer of the same width."""
    return {8: I8, 16: I16, 32: I32, 64: I64}[dtype.bits]
