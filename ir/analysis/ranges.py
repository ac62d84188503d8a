"""Intervals of index expressions, from the extents of the variables in them."""

from __future__ import annotations

from tilewright.ir import ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN, Interval
from tilewright.ir.dtypes import I32, INDEX, DType
from tilewright.ir.expr import Apply, Const, Expr, Size, Var


def interval(node: Expr, memo: dict[Expr, Interval] | None = None) -> Interval:
    """The smallest and the largest value that `node` can have; None where not known."""
    known: dict[Expr, Interval] = {} if memo is None else memo
    stack = [node]
    while stack:
        top = stack[-1]
        missing = [o for o in _relevant(top) if o not in known]
        if missing:
            stack += missing
            continue
        known[stack.pop()] = _interval(top, known)
    return known[node]


def largest(size: Size) -> int | None:
    """The largest value of a size, if it is known."""
    return size if isinstance(size, int) else interval(size)[1]


def _relevant(node: Expr) -> tuple[Expr, ...]:
    if isinstance(node, Apply) and (node.op in RULES or node.op is ops.CAST):
        return node.operands if node.operands[0].dtype.is_integer else ()
    if isinstance(node, Var) and isinstance(node.extent, Expr):
        return (node.extent,)
    return ()


def _interval(node: Expr, known: dict[Expr, Interval]) -> Interval:
    if isinstance(node, Const):
        return (int(node.value), int(node.value)) if node.dtype.is_integer else UNKNOWN
    if isinstance(node, Var):
        if isinstance(node.extent, int):
            return (0, max(0, node.extent - 1))
        if node.extent is not None:
            most = known[node.extent][1]
            return (0, None if most is None else max(0, most - 1))
        return (node.least, None)
    if isinstance(node, Apply) and node.dtype is INDEX and node.op in RULES:
        return RULES[node.op](known[node.operands[0]], known[node.operands[1]])
    if not node.dtype.is_integer or node.dtype.kind not in "iux":
        return UNKNOWN
    return _of_data(node, known)


def _of_data(node: Expr, known: dict[Expr, Interval]) -> Interval:
    """The range of an integer that is not made of positions alone: what its dtype can hold, and
    less after a minimum or a maximum. Sums may wrap, so that nothing is known of them."""
    if isinstance(node, Apply) and node.op in (ops.MIN, ops.MAX):
        return RULES[node.op](known[node.operands[0]], known[node.operands[1]])
    if isinstance(node, Apply) and node.op is ops.CAST and _kept_by_index(node.operands[0].dtype):
        low, high = known[node.operands[0]]
        if node.dtype is INDEX or _holds(node.dtype, low, high):
            return (low, high)
    return (None, None) if node.dtype is INDEX else (node.dtype.min, node.dtype.max)


def _holds(dtype: DType, low: int | None, high: int | None) -> bool:
    return low is not None and high is not None and dtype.min <= low and high <= dtype.max


def _kept_by_index(dtype: DType) -> bool:
    """Whether an index has room for the dtype's values on every target."""
    return dtype.is_integer and (dtype is INDEX or dtype is I32 or dtype.bits < 32)
