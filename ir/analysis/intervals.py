"""Arithmetic on intervals of integers: what an operation gives where its operands are in these."""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import ops

Interval = tuple[int | None, int | None]
"""The smallest and the largest value; None where not known."""

UNKNOWN: Interval = (None, None)


def negated(a: Interval) -> Interval:
    """``-a``."""
    return (None if a[1] is None else -a[1], None if a[0] is None else -a[0])


def union(a: Interval, b: Interval) -> Interval:
    """What is in either."""
    low = None if a[0] is None or b[0] is None else min(a[0], b[0])
    high = None if a[1] is None or b[1] is None else max(a[1], b[1])
    return (low, high)


def _add(a: Interval, b: Interval) -> Interval:
    return (
        None if a[0] is None or b[0] is None else a[0] + b[0],
        None if a[1] is None or b[1] is None else a[1] + b[1],
    )


def _sub(a: Interval, b: Interval) -> Interval:
    return _add(a, negated(b))


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


RULES: dict[ops.Op, Callable[[Interval, Interval], Interval]] = {
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
