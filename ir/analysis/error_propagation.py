"""How far the errors of operands move the exact result of a function.

In: the reference result, the operands' values and the bounds on their errors. Out: the bound that
they pass on to the result, before it is rounded; inf where they may change what kind it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.ir import ops
from tilewright.ir.ops import Op

Array = Any

EXTREMES = (ops.MIN, ops.MAX, ops.FMIN, ops.FMAX)
_MONOTONE = {
    *(ops.FLOOR, ops.CEIL, ops.TRUNC, ops.RINT, ops.SIGN, ops.SQRT, ops.EXP, ops.EXP2, ops.EXPM1),
    *(ops.LOG, ops.LOG2, ops.LOG10, ops.LOG1P, ops.ASIN, ops.ACOS, ops.ATAN, ops.SINH, ops.TANH),
    *(ops.ASINH, ops.ACOSH, ops.ATANH, ops.ERF, ops.ERFC, ops.CBRT, ops.RSQRT, ops.SIGMOID),
}


def passed_on(op: Op, value: Array, values: Sequence[Array], bounds: Sequence[Array]) -> Any:
    """The bound of `op`; None for one that has no rule."""
    if op in _PASSED:
        return _PASSED[op](value, values, bounds)
    if op in _MONOTONE:
        return _monotone(op, value, values[0], bounds[0])
    return None


def _monotone(op: Op, value: Array, x: Array, bound: Array) -> Array:
    return _furthest(value, [op.reference(x - bound), op.reference(x + bound)])


def _furthest(value: Array, others: Sequence[Array]) -> Array:
    """The largest distance from `value`; inf where one of them is of another kind."""
    far: Array = np.zeros(())
    for other in others:
        far = np.maximum(far, np.where(other == value, 0.0, np.abs(other - value)))
    return np.where(np.isnan(far), np.inf, far * (1 + 1e-12))


def _corners(op: Op) -> Callable[..., Array]:
    """For what is monotone in each operand as long as both keep their signs."""

    def passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
        ends = [
            op.reference(v[0] + one * b[0], v[1] + other * b[1])
            for one in (-1, 1)
            for other in (-1, 1)
        ]
        moves = (np.abs(v[0]) <= b[0]) & (b[0] > 0)
        moves = moves | ((v[0] < 0) & (b[1] > 0))
        return np.where(moves, np.inf, _furthest(value, ends))

    return passed


def _div_passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
    room = np.abs(v[1]) - b[1]
    found = (b[0] + np.abs(value) * b[1]) / room
    infinite = np.isinf(v[0]) | np.isinf(v[1])
    return np.where(infinite & (room > 0), 0.0, np.where(room > 0, found, np.inf))


def _mul_passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
    found = np.abs(v[0]) * b[1] + np.abs(v[1]) * b[0] + b[0] * b[1]
    return np.where(np.isfinite(value), found, _infinite(v, b))


def _infinite(v: Sequence[Array], b: Sequence[Array]) -> Array:
    """A result that is not finite is certain if no operand may change its sign."""
    moves: Array = np.asarray(False)
    for value, bound in zip(v, b, strict=True):
        moves = moves | ((bound > 0) & (np.abs(value) <= bound))
    return np.where(moves, np.inf, 0.0)


def _remainder_passed(op: Op) -> Callable[..., Array]:
    step = np.trunc if op is ops.FMOD else np.floor

    def passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
        room = np.abs(v[1]) - b[1]
        quotient = v[0] / v[1]
        spread = (b[0] + np.abs(quotient) * b[1]) / room
        jumps = step(quotient - spread) != step(quotient + spread)
        within = b[0] + np.abs(step(quotient)) * b[1] if op is not ops.FLOORDIV else 0.0
        # Of a number that may be zero, over infinity: the sign decides between 0 and -1.
        jumps |= (np.abs(v[0]) <= b[0]) & (b[0] > 0) & np.isinf(v[1])
        return np.where(jumps | (room <= 0) | ~np.isfinite(quotient), np.inf, within)

    return passed


def _extreme_passed(op: Op) -> Callable[..., Array]:
    """Between the extremes of the lower ends and of the upper ends."""

    def passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
        ends = [op.reference(v[0] + s * b[0], v[1] + s * b[1]) for s in (-1, 1)]
        return np.where(np.isnan(value), 0.0, _furthest(value, ends))

    return passed


def _tan_passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
    branch = [np.floor((v[0] + s * b[0]) / np.pi + 0.5) for s in (-1, 1)]
    ends = [np.tan(v[0] + s * b[0]) for s in (-1, 1)]
    return np.where(branch[0] == branch[1], _furthest(value, ends), np.inf)


def _atan2_passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
    y, x = v
    clear = (np.abs(y) > b[0]) | (x > b[1])
    radius = np.hypot(np.maximum(np.abs(x) - b[1], 0), np.maximum(np.abs(y) - b[0], 0))
    return np.where(clear & (radius > 0), (b[0] + b[1]) / radius, np.inf)


def _cosh_passed(value: Array, v: Sequence[Array], b: Sequence[Array]) -> Array:
    return _furthest(value, [np.cosh(np.abs(v[0]) + b[0])])  # steeper away from 0


_PASSED: dict[Op, Callable[..., Array]] = {
    ops.ADD: lambda _, v, b: b[0] + b[1],
    ops.SUB: lambda _, v, b: b[0] + b[1],
    ops.MUL: _mul_passed,
    ops.DIV: _div_passed,
    ops.MOD: _remainder_passed(ops.MOD),
    ops.FMOD: _remainder_passed(ops.FMOD),
    ops.FLOORDIV: _remainder_passed(ops.FLOORDIV),
    ops.NEG: lambda _, v, b: b[0],
    ops.ABS: lambda _, v, b: b[0],
    **{op: _extreme_passed(op) for op in EXTREMES},
    ops.COPYSIGN: lambda _, v, b: np.where((b[1] > 0) & (np.abs(v[1]) <= b[1]), np.inf, b[0]),
    ops.SIN: lambda _, v, b: np.minimum(b[0], 2.0),
    ops.COS: lambda _, v, b: np.minimum(b[0], 2.0),
    ops.TAN: _tan_passed,
    ops.COSH: _cosh_passed,
    ops.HYPOT: lambda _, v, b: b[0] + b[1],
    ops.ATAN2: _atan2_passed,
    ops.POW: _corners(ops.POW),
}
