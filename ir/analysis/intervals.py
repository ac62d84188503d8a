"""Arithmetic on intervals of numbers: what an operation gives where its operands are in these.

The ends are integers, those of floats too. A float may also be NaN, which no interval excludes.
"""

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


def _abs(a: Interval) -> Interval:
    return _max((0, 0), _max(a, negated(a)))


def _and(a: Interval, b: Interval) -> Interval:
    """No larger than either operand that is not negative; below zero, no shorter than both."""
    positive = [x for x in (a, b) if x[0] is not None and x[0] >= 0]
    if positive:
        highs = [x[1] for x in positive if x[1] is not None]
        return (0, min(highs) if highs else None)
    return _same_bits(a, b)


def _or(a: Interval, b: Interval) -> Interval:
    low, high = _same_bits(a, b)
    return (_max(a, b)[0] if low == 0 else low, high)


def _same_bits(a: Interval, b: Interval) -> Interval:
    """What fits the bits that both operands fit, with a sign if one of them has a sign."""
    if None in a or None in b:
        return UNKNOWN
    ends: list[int] = [*a, *b]  # type: ignore[list-item]
    most = (1 << max(max(e, ~e).bit_length() for e in ends)) - 1
    return (~most if min(ends) < 0 else 0, most)


def _shl(a: Interval, b: Interval) -> Interval:
    if None in a or None in b or a[0] < 0 or not 0 <= b[0] <= b[1] < 64:  # type: ignore[operator]
        return UNKNOWN
    return (a[0] << b[0], a[1] << b[1])  # type: ignore[operator]


def _shr(a: Interval, b: Interval) -> Interval:
    """Shifts by a negative amount, or by too much, leave the sign."""
    least = max(b[0] or 0, 0)
    low = None if a[0] is None else min(a[0] >> least, 0)
    high = None if a[1] is None else max(a[1] >> least, -1)
    return (low, high)


RULES: dict[ops.Op, Callable[..., Interval]] = {
    ops.ADD: _add,
    ops.SUB: _sub,
    ops.MUL: _mul,
    ops.MIN: _min,
    ops.MAX: _max,
    ops.FLOORDIV: _floordiv,
    ops.MOD: _mod,
    ops.QUO: _quo,
    ops.REM: _rem,
    ops.NEG: negated,
    ops.ABS: _abs,
    ops.AND: _and,
    ops.OR: _or,
    ops.XOR: _same_bits,
    ops.SHL: _shl,
    ops.SHR: _shr,
    ops.SHL_RAW: _shl,
    ops.SHR_RAW: _shr,
    ops.FMIN: _min,
    ops.FMAX: _max,
}
