"""Intervals of index expressions, from the extents of the variables in them."""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Const, Expr, Size, Var

Interval = tuple[int | None, int | None]
UNKNOWN: Interval = (None, None)


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
    if isinstance(node, Apply) and node.op in _RULES:
        return node.operands
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
    if isinstance(node, Apply) and node.op in _RULES and node.dtype is INDEX:
        return _RULES[node.op](known[node.operands[0]], known[node.operands[1]])
    return UNKNOWN


def _add(a: Interval, b: Interval) -> Interval:
    return (
        None if a[0] is None or b[0] is None else a[0] + b[0],
        None if a[1] is None or b[1] is None else a[1] + b[1],
    )


def _sub(a: Interval, b: Interval) -> Interval:
    return _add(a, (None if b[1] is None else -b[1], None if b[0] is None else -b[0]))


def _mul(a: Interval, b: Interval) -> Interval:
    if a[0] is not None and b[0] is not None and a[0] >= 0 and b[0] >= 0:
        high = None if a[1] is None or b[1] is None else a[1] * b[1]
        return (a[0] * b[0], high)
    if None in a or None in b:
        return UNKNOWN
    products = [x * y for x in a for y in b]  # type: ignore[operator]
    return (min(products), max(products))


def _min(a: Interval, b: Interval) -> Interval:
    low = None if a[0] is None or b[0] is None else min(a[0], b[0])
    highs = [h for h in (a[1], b[1]) if h is not None]
    return (low, min(highs) if highs else None)


def _max(a: Interval, b: Interval) -> Interval:
    lows = [h for h in (a[0], b[0]) if h is not None]
    high = None if a[1] is None or b[1] is None else max(a[1], b[1])
    return (max(lows) if lows else None, high)


def _floordiv(a: Interval, b: Interval) -> Interval:
    if b[0] is None or b[0] <= 0 or b[0] != b[1]:
        return UNKNOWN
    divisor = b[0]
    return tuple(None if e is None else e // divisor for e in a)  # type: ignore[return-value]


def _mod(a: Interval, b: Interval) -> Interval:
    if b[0] is None or b[0] <= 0:
        return UNKNOWN
    if a[0] is not None and a[0] >= 0 and a[1] is not None and a[1] < b[0]:
        return a
    return (0, None if b[1] is None else b[1] - 1)


def _quo(a: Interval, b: Interval) -> Interval:
    """Like ``//`` where nothing is negative; below zero it rounds the other way."""
    return _floordiv(a, b) if a[0] is not None and a[0] >= 0 else UNKNOWN


def _rem(a: Interval, b: Interval) -> Interval:
    """Like ``%`` where nothing is negative; below zero it has the dividend's sign."""
    if a[0] is not None and a[0] >= 0:
        return _mod(a, b)
    if b[0] is None or b[0] <= 0 or b[1] is None:
        return UNKNOWN
    return (1 - b[1], b[1] - 1)


_RULES: dict[ops.Op, Callable[[Interval, Interval], Interval]] = {
    ops.ADD: _add,
    ops.SUB: _sub,
    ops.MUL: _mul,
    ops.MIN: _min,
    ops.MAX: _max,
    ops.FLOORDIV: _floordiv,
    ops.MOD: _mod,
    ops.QUO: _quo,
    ops.REM: _rem,
}
