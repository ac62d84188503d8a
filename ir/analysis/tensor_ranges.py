"""Intervals of the integers in a graph: of index expressions, and of the elements of tensors.

Unlike `ranges.py` beside it, which serves kernels, this looks through reads into what computes a
tensor.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN, Interval, negated, union
from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Var
from tilewright.ir.graph import Compute, Constant, Reduction, Result, Sort

_DEPTH_LIMIT = 200


def bounds(node: Size) -> Interval:
    """The least and the most that an integer expression can be, as far as is known."""
    return _bounds(node, {}, 0)


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
        case Const() if not node.dtype.is_float:
            return int(node.value), int(node.value)
        case Var():
            return _variable_bounds(node)
        case Load():
            return _within(_tensor_bounds(node, seen, depth), node.dtype)
        case Apply():
            return _within(_apply_bounds(node, seen, depth), node.dtype)
    return UNKNOWN


def _variable_bounds(node: Var) -> Interval:
    if node.extent is None:
        return node.least, None
    return _positions(node.extent)


def _positions(extent: Size) -> Interval:
    """The indices along an axis."""
    most = bounds(extent)[1]
    return 0, None if most is None else most - 1


def _within(interval: Interval, dtype: DType) -> Interval:
    """`interval`, or the dtype's own where arithmetic may have wrapped around."""
    if dtype.kind not in "iub":
        return interval
    least = dtype.min if interval[0] is None else interval[0]
    most = dtype.max if interval[1] is None else interval[1]
    if least < dtype.min or most > dtype.max:
        return dtype.min, dtype.max
    return least, most


def _tensor_bounds(node: Load, seen: dict[Expr, Interval], depth: int) -> Interval:
    source = node.source
    match source:
        case Constant() if source.array.size and source.array.dtype.kind in "iub":
            return int(source.array.min()), int(source.array.max())
        case Compute() if source.dtype.kind in "iu":
            return _bounds(source.body, seen, depth)
        case Reduction(combiner="argmin" | "argmax"):
            return _positions(
                build.product(tuple(a.extent for a in source.reduce_axes if a.extent))
            )
        case Reduction(combiner="min" | "max") if source.dtype.kind in "iu":
            return _bounds(source.body, seen, depth)
        case Sort(positions=True):
            return _positions(source.shape[source.axis])
        case Result():
            return UNKNOWN
    return UNKNOWN


def _apply_bounds(node: Apply, seen: dict[Expr, Interval], depth: int) -> Interval:
    operands = node.operands[1:] if node.op is ops.SELECT else node.operands
    if any(o.dtype.is_float for o in operands):
        return UNKNOWN
    known = [_bounds(o, seen, depth) for o in operands]
    match node.op:
        case ops.CAST:
            return known[0]
        case ops.NEG:
            return negated(known[0])
        case ops.SELECT:
            return union(known[0], known[1])
        case _:
            return RULES[node.op](known[0], known[1]) if node.op in RULES else UNKNOWN
