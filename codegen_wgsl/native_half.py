"""float16 on devices that compute with it: what `retype.py` makes of operations and memory there.

Values of float16 are passed on as the float32 numbers that they are, so that everything else is
computed in float32 and rounded once, as on other devices. What is computed in float16 itself is
exactly that: sums, differences and products (rounded from float32 they are the same, as 24 digits
are twice 11 and two more), signs and choices. Quotients and square roots are not: WGSL promises
less for those of float16.

Devices that these rules serve round conversions to the nearest, keep subnormal numbers, and make
what is beyond the range infinite (`half_probe.py`).
"""

from __future__ import annotations

import math

import numpy as np

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, U32
from tilewright.ir.expr import Apply, Const, Expr

_ARITHMETIC = frozenset({ops.ADD, ops.SUB, ops.MUL})
# Exact: worth doing in float16 only if nothing must be converted for it.
_MOVES = frozenset({ops.NEG, ops.ABS, ops.SELECT})


def widen(value: Expr) -> Expr:
    """The float32 that a float16 is."""
    return Apply(ops.CAST, (value,), F32)


def narrow(value: Expr) -> Expr:
    """`value` (float32) as the nearest float16."""
    if is_half(value):
        return value.operands[0] if isinstance(value, Apply) else build.const(_number(value), F16)
    return Apply(ops.CAST, (value,), F16)


def rounded(value: Expr) -> Expr:
    """`value` (float32) rounded to the nearest float16."""
    return value if is_half(value) else widen(Apply(ops.CAST, (value,), F16))


def is_half(value: Expr) -> bool:
    """Whether `value` is a float16 that was widened, or a literal that float16 has too."""
    if isinstance(value, Apply):
        return value.op is ops.CAST and value.operands[0].dtype is F16
    return isinstance(value, Const) and _has(_number(value))


def apply(node: Apply, operands: tuple[Expr, ...]) -> Expr | None:
    """`node`, whose result is float16, in float16; None if it is computed in float32."""
    if node.op in _ARITHMETIC:
        return widen(Apply(node.op, tuple(narrow(o) for o in operands)))
    if node.op not in _MOVES:
        return None
    chosen = operands[1:] if node.op is ops.SELECT else operands
    if not all(is_half(o) for o in chosen) or all(isinstance(o, Const) for o in chosen):
        return None
    halves = tuple(narrow(o) for o in chosen)
    return widen(Apply(node.op, (*operands[: -len(halves)], *halves)))


def bits(value: Expr) -> Expr:
    """The bits of a float32 that holds a float16, in the low half of a word."""
    return Apply(ops.BITCAST, (narrow(value),), U32)


def _number(value: Expr) -> float:
    assert isinstance(value, Const)
    return float(value.value)


def _has(number: float) -> bool:
    """Whether `number` is a float16."""
    with np.errstate(over="ignore"):
        return math.isnan(number) or float(np.float16(number)) == number
