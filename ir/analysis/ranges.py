"""Intervals of index expressions, from the extents of the variables in them."""

from __future__ import annotations

from tilewright.ir import ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN, Interval
from tilewright.ir.dtypes import I32, INDEX, DType
from tilewright.ir.expr import Apply, Const, Expr, Size, Var

_NEVER_WRAP = {
    *(ops.MIN, ops.MAX, ops.AND, ops.OR, ops.XOR, ops.SHR, ops.SHR_RAW),
    *(ops.FLOORDIV, ops.MOD, ops.QUO, ops.REM),
}


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
        return RULES[node.op](*(known[o] for o in node.operands))
    return _of_data(node, known) if node.dtype.is_integer else UNKNOWN


def _of_data(node: Expr, known: dict[Expr, Interval]) -> Interval:
    """The range of an integer that is not made of positions alone: what its dtype can hold, and
    less after what makes integers no larger. Sums may wrap, so that nothing is known of them."""
    low = high = None
    if isinstance(node, Apply) and node.op in _NEVER_WRAP:
        low, high = RULES[node.op](*(known[o] for o in node.operands))
    elif isinstance(node, Apply) and node.op is ops.CAST and node.operands[0] in known:
        low, high = known[node.operands[0]]
        if not _kept_by_cast(node, low, high):
            low = high = None
    if node.dtype is INDEX:
        return (low, high)
    return (node.dtype.min if low is None else low, node.dtype.max if high is None else high)


def _kept_by_cast(node: Apply, low: int | None, high: int | None) -> bool:
    """Whether a cast changes no value in this range, where an index may have 32 bits."""
    source = node.operands[0].dtype
    if source is not INDEX and not _holds(I32, low, high):
        return False
    return node.dtype is INDEX or _holds(node.dtype, low, high)


def _holds(dtype: DType, low: int | None, high: int | None) -> bool:
    return low is not None and high is not None and dtype.min <= low and high <= dtype.max
