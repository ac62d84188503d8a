"""GLSL's names of types, and literals.

In: dtypes and values of legal IR (bool, int32, uint32, float32, index). Out: text.
"""

from __future__ import annotations

import struct
from decimal import Decimal

from tilewright.ir.dtypes import BOOL, F32, I32, INDEX, U32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Value

COMPONENTS = "xyzw"
_SCALARS = {BOOL: "bool", I32: "int", INDEX: "int", U32: "uint", F32: "float"}
_VECTORS = {BOOL: "bvec4", I32: "ivec4", INDEX: "ivec4", U32: "uvec4", F32: "vec4"}
MACHINE_DTYPES = frozenset(_SCALARS)
_MOST_DIGITS = 9
_FIRST_MASK = 1 << 12  # larger unsigned literals are mostly masks


def type_name(dtype: DType, lanes: int = 1) -> str:
    """``float`` or ``vec4`` and the like."""
    names = _SCALARS if lanes == 1 else _VECTORS
    if dtype not in names:
        raise IRError(f"{dtype} was not legalised for GLSL")
    return names[dtype]


def sampler_prefix(dtype: DType) -> str:
    """What stands before ``sampler2D`` and ``vec4`` for textures of this stored dtype."""
    return {F32: "", I32: "i", U32: "u"}[dtype]


def literal(value: Value, dtype: DType) -> str:
    """`value` as GLSL text of exactly that value."""
    if dtype is BOOL:
        return "true" if value else "false"
    if dtype is F32:
        return _float(float(value))
    if dtype is U32:
        return f"{int(value)}u" if value < _FIRST_MASK else f"0x{int(value):x}u"
    whole = int(value)
    if whole == I32.min:
        return "int(0x80000000u)"  # the digits alone would not be an int
    if not I32.min <= whole <= I32.max:
        raise IRError(f"the index {whole} does not fit in 32 bits")
    return str(whole)


def _float(value: float) -> str:
    """Decimal where a short one is exact, else the bit pattern: compilers may misround."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    magnitude = abs(value)
    if magnitude == 0.0 or 1e-6 < magnitude < 1e9:
        exact = Decimal(value)
        if len(exact.as_tuple().digits) <= _MOST_DIGITS and bits != 0x80000000:
            text = f"{exact:f}"
            return text if "." in text else f"{text}.0"
    return f"uintBitsToFloat(0x{bits:08x}u)"
