"""Intervals of the numbers in a graph: of index expressions, and of the elements of tensors.

Unlike `ranges.py` beside it, which serves kernels, this looks through reads into what computes a
tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tilewright.ir import build, ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN, Interval, union
from tilewright.ir.dtypes import I64, DType
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Source, Var
from tilewright.ir.graph import Compute, Constant, Reduction, Reshape, Scan, Sort

_DEPTH_LIMIT = 200


def bounds(node: Size) -> Interval:
    """The least and the most that an integer expression can be, as far as is known."""
    return _bounds(node, {}, 0)


def holds(dtype: DType, index: Expr) -> bool:
    """Whether a cast of an index to `dtype` is certain to leave it as it is."""
    low, high = bounds(index)
    low, high = I64.min if low is None else low, I64.max if high is None else high
    return dtype.is_integer and dtype.min <= low and high <= dtype.max


def _bounds(node: Size, seen: dict[Expr, Interval], depth: int) -> Interval:
    if isinstance(node, int):
        return node, node
    found = seen.get(node)
    if found is None:
        found = _bounds_of(node, seen, depth + 1) if depth < _DEPTH_LIMIT else UNKNOWN
        seen[node] = found
    return found


def _bounds_of(node: Expr, seen: dict[Expr, Interval], depth: int) -> Interval:
    match node:
        case Const() if node.dtype.is_float:
            return _literal(float(node.value))
        case Const():
            return int(node.value), int(node.value)
        case Var():
            return _variable_bounds(node)
        case Load():
            return _within(_tensor_bounds(node.source, seen, depth), node.dtype)
        case Apply():
            return _within(_apply_bounds(node, seen, depth), node.dtype)
    return UNKNOWN


def _literal(value: float) -> Interval:
    return (math.floor(value), math.ceil(value)) if math.isfinite(value) else UNKNOWN


def _variable_bounds(node: Var) -> Interval:
    if node.extent is None:
        return node.least, None
    return _positions(node.extent)


def _positions(extent: Size) -> Interval:
    """The indices along an axis."""
    most = bounds(extent)[1]
    return 0, None if most is None else most - 1


def _within(interval: Interval, dtype: DType) -> Interval:
    """`interval`, or the dtype's own where arithmetic may have wrapped around. Rounding to a float
    passes no integer that the float can be."""
    if dtype.is_float:
        exact = 1 << _WHOLE_BITS[dtype.bits]
        low, high = interval
        return (
            low if low is not None and abs(low) <= exact else None,
            high if high is not None and abs(high) <= exact else None,
        )
    if dtype.kind not in "iub":
        return interval
    least = dtype.min if interval[0] is None else interval[0]
    most = dtype.max if interval[1] is None else interval[1]
    if least < dtype.min or most > dtype.max:
        return dtype.min, dtype.max
    return least, most


def _tensor_bounds(source: Source, seen: dict[Expr, Interval], depth: int) -> Interval:
    """Of all elements."""
    match source:
        case Constant() if source.array.size and source.array.dtype.kind in "iub":
            return int(source.array.min()), int(source.array.max())
        case Compute():
            return _bounds(source.body, seen, depth)
        case Reduction(combiner="argmin" | "argmax"):
            return _positions(
                build.product(tuple(a.extent for a in source.reduce_axes if a.extent))
            )
        case Reduction(combiner="min" | "max") if source.dtype.kind in "iu":
            return _bounds(source.body, seen, depth)
        case Sort(positions=True):
            return _positions(source.shape[source.axis])
        case Reshape() | Sort() | Scan(combiner="min" | "max") if depth < _DEPTH_LIMIT:
            return _tensor_bounds(source.operand, seen, depth + 1)
    return UNKNOWN


def _apply_bounds(node: Apply, seen: dict[Expr, Interval], depth: int) -> Interval:
    def known(operand: Expr) -> Interval:
        return _bounds(operand, seen, depth)

    match node.op:
        case ops.CAST if node.operands[0].dtype.is_float and not node.dtype.is_float:
            whole = _rounded(node.operands[0], math.trunc, seen, depth)
            return union(whole, (0, 0))  # NaN becomes 0
        case op if op in _ROUNDING:
            return _rounded(node.operands[0], _ROUNDING[op], seen, depth)
        case ops.CAST:
            return known(node.operands[0])
        case ops.SELECT:
            return union(known(node.operands[1]), known(node.operands[2]))
        case op if op in RULES and not (node.dtype.is_float and op in _INEXACT):
            return RULES[op](*(known(o) for o in node.operands))
    return UNKNOWN


def _rounded(
    node: Expr, rounding: Callable[[float], int], seen: dict[Expr, Interval], depth: int
) -> Interval:
    """The bounds of a float after rounding, which goes past minima and maxima to their literals:
    ``floor(min(x, 7.5))`` is at most 7."""
    match node:
        case Const() if math.isfinite(node.value):
            ends = (rounding(node.value), rounding(float(np.float32(node.value))))
            return min(ends), max(ends)
        case Load(source=Compute() as source) if depth < _DEPTH_LIMIT:
            return _rounded(source.body, rounding, seen, depth + 1)
        case Apply(operands=(a, Const() as b)) if node.op in _ORDERED and depth < _DEPTH_LIMIT:
            known = (_rounded(o, rounding, seen, depth + 1) for o in (a, b))
            return RULES[node.op](*known)
    return _bounds(node, seen, depth)


_ORDERED = {ops.MIN, ops.MAX, ops.FMIN, ops.FMAX}
_ROUNDING: dict[ops.Op, Callable[[float], int]] = {
    ops.FLOOR: math.floor,
    ops.CEIL: math.ceil,
    ops.TRUNC: math.trunc,
    ops.RINT: round,
}
# Of floats, a quotient may be rounded up to the divisor.
_INEXACT = {ops.FLOORDIV, ops.MOD}
# Up to this power of 2 a float of so many bits can be any integer. Targets without float64 may
# compute it in 32 bits.
_WHOLE_BITS = {16: 11, 32: 24, 64: 24}
