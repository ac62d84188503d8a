"""dtypes and literals in WGSL's spelling."""

from __future__ import annotations

import math

import numpy as np

from tilewright.ir.dtypes import BOOL, F16, F32, I32, INDEX, U32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Value

_SCALARS = {BOOL: "bool", I32: "i32", INDEX: "i32", U32: "u32", F32: "f32", F16: "f16"}
_READABLE = 10


def scalar(dtype: DType) -> str:
    """The type of one value."""
    try:
        return _SCALARS[dtype]
    except KeyError:
        raise IRError(f"a value of dtype {dtype} was not legalised for WGSL") from None


def value(dtype: DType, lanes: int) -> str:
    """The type of `lanes` values."""
    return scalar(dtype) if lanes == 1 else f"vec{lanes}<{scalar(dtype)}>"


def literal(number: Value, dtype: DType) -> str:
    """A literal of exactly this value; NaN and infinities have none (see `is_literal`)."""
    if dtype is BOOL:
        return "true" if number else "false"
    if dtype is F32:
        return _float(float(number))
    if dtype is F16:
        return _half(float(number))
    if dtype is U32:
        return f"{int(number)}u"
    whole = int(number)
    if not -(1 << 31) <= whole < 1 << 31:
        raise IRError(f"{whole} does not fit the 32 bits that {dtype} has in WGSL")
    # The literal 2147483648 that would be negated does not fit.
    return "i32(-2147483648)" if whole == -(1 << 31) else str(whole)


def is_literal(number: Value, dtype: DType) -> bool:
    """Whether a constant can be written: WGSL refuses constants that are NaN or infinite."""
    return not dtype.is_float or math.isfinite(number)


def bits(number: float) -> int:
    """The bit pattern of a float32."""
    return int(np.float32(number).view(np.uint32))


def _half(number: float) -> str:
    if abs(number) < 2.0**-14 and bits(number):  # -0 and subnormal numbers
        return f"f16({_float(number)})"
    return f"{number!r}h"


def _float(number: float) -> str:
    if abs(number) < 2.0**-126 and bits(number):  # -0 and subnormal numbers
        return f"bitcast<f32>({bits(number):#010x}u)"
    plain = repr(number)
    if len(plain) <= _READABLE:  # no float32 has so short a one with an exponent
        return f"{plain}f"
    mantissa, exponent = number.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}f"
