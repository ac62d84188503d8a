"""What ``numerics="fast"`` promises of the operations that it replaces.

In: an operation, its operands' values and its result, in float64. Out: how far the result may be
off by what `ir/elementary/fast.py` computes, in units in the last place and absolutely; the latter
is inf where nothing is promised. The promises hold on every target. Those of the shading
languages' built-in functions are WGSL's, which are wider than what CPUs compute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.ir import ops
from tilewright.ir.dtypes import F16, F32, DType
from tilewright.ir.ops import Op

Array = Any
Error = tuple[Array, Array]  # units in the last place; absolute

_TINY = 2.0**-126
_LARGEST = 88.0
_LARGEST_ANGLE = 1e5
_EXTREMES = (ops.MIN, ops.MAX, ops.FMIN, ops.FMAX)


def fast_error(op: Op, dtype: DType, value: Array, operands: Sequence[Array]) -> Error | None:
    """The error that `op` may make by itself; None where it is computed as accurately as ever.

    Units are those of float32, in which GPUs compute float16 too."""
    if op in _EXTREMES:
        return 0.0, _free(np.isnan(operands[0]) | np.isnan(operands[1]))
    if dtype not in (F16, F32) or op not in _ERRORS:
        return None
    return _ERRORS[op](value, *operands)


def _free(where: Array, otherwise: Array = 0.0) -> Array:
    return np.where(where, np.inf, otherwise)


def _exp(_: Array, x: Array) -> Error:
    """WGSL's 3 + 2 abs(x), and 17 for the short polynomial: ``(log 2 / 32)**3 / 12`` is 14 units
    of a mantissa near 2, to which the roundings come. Beyond the largest power it may saturate."""
    return _power_of_two(x, 17), _free(np.isnan(x) | (x > _LARGEST), 2 * _TINY)


def _exp2(_: Array, x: Array) -> Error:
    return _power_of_two(x, 0), _free(np.isnan(x) | (x > 127), 2 * _TINY)


def _power_of_two(x: Array, more: float) -> Array:
    return 3 + more + 2 * np.minimum(np.abs(x), 150.0)  # beyond, the result is zero


def _sigmoid(_: Array, x: Array) -> Error:
    """The power's error, since ``e / (1 + e) < 1``, that of the quotient and of a sum."""
    return _power_of_two(x, 21), _free(np.isnan(x), 2 * _TINY)


def _tanh(_: Array, x: Array) -> Error:
    """The slope of ``2 / (e + 1)`` by the power's error is at most half of it where x is small,
    and falls faster than the error grows: 12 units of 1, and 4 for the quotient and the sum."""
    return 0.0, _free(np.isnan(x), 2.0**-19)


def _turn(_: Array, x: Array) -> Error:
    """WGSL's 2**-11, and the rounding of ``x - 2 pi n``, be it fused, split or reassociated. Of
    large angles nothing is left but that it is a sine."""
    near = np.abs(x) <= _LARGEST_ANGLE
    return 0.0, _free(~np.isfinite(x), np.where(near, 2.0**-11 + 2.0**-23 * np.abs(x), 2.0))


def _logarithm(base: float) -> Callable[[Array, Array], Error]:
    """WGSL's 3 units, and an absolute 2**-21 around 1; a factor rounds twice more."""

    def error(_: Array, x: Array) -> Error:
        near = (x >= 0.5) & (x <= 2)
        absolute = np.where(near, 2.0**-21 / math.log(base), 0.0)
        return np.where(near, 2.0, 6.0), _free(~((x >= _TINY) & np.isfinite(x)), absolute)

    return error


def _power(_: Array, x: Array, y: Array) -> Error:
    """``2**a`` for a = y log2 x: WGSL's 3 + 2 abs(a), and what a is off by, 3 units of it and a
    rounding, or y 2**-21; by log 2 and in units of 2**-24 at most 6 abs(a) and 6 abs(y).

    Of a negative x that was not known to be none it is computed as ever."""
    with np.errstate(all="ignore"):
        a = np.abs(y * np.log2(x))
    inside = (x >= _TINY) & np.isfinite(x) & (a < 126)
    known = inside | (x < 0) | ((x == 0) & (y > 0))
    return np.where(inside, 3 + 8 * a + 6 * np.abs(y), 0.0), _free(~known, _TINY)


def _rsqrt(_: Array, x: Array) -> Error:
    """WGSL's 2 units; of an estimate of 14 bits, a step leaves 1.5 2**-28 and three roundings."""
    return 4.0, _free(~((x >= _TINY) & np.isfinite(x)))


def _quotient(_: Array, x: Array, y: Array) -> Error:
    """A product with the inverse of a root, if y is one: then it is not negative."""
    root = ~(y < 0)
    inside = (y >= 2.0**-63) & np.isfinite(y)
    return np.where(root, 6.0, 2.5), _free(root & ~inside, np.where(x == 0, 0.0, _TINY))


_ERRORS: dict[Op, Callable[..., Error]] = {
    ops.EXP: _exp,
    ops.EXP2: _exp2,
    ops.SIGMOID: _sigmoid,
    ops.TANH: _tanh,
    ops.SIN: _turn,
    ops.COS: _turn,
    ops.LOG: _logarithm(math.e),
    ops.LOG2: _logarithm(2.0),
    ops.LOG10: _logarithm(10.0),
    ops.POW: _power,
    ops.RSQRT: _rsqrt,
    ops.DIV: _quotient,
}

__all__ = ["fast_error"]
