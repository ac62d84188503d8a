"""Binary search in a sorted array as one expression: log2(n) loads, no loop."""

from __future__ import annotations

from tilewright.compiler.trace.handles import Handle
from tilewright.ir import build, ops
from tilewright.ir.expr import Expr

_OPEN_STEPS = 31
"""For fewer than 2**31 elements: a longer jump would be negative where an index has 32 bits."""


def position_of(array: Handle, value: Expr, *, right_side: bool) -> Expr:
    """How many elements of the sorted `array` (rank 1) precede `value`: an index expression.

    Before `value` come the smaller elements, and with `right_side` the equal ones too; NaN sorts
    last. Each step of size 2**k jumps ahead where the element before the landing place precedes.
    """
    size = array.sizes[0]
    steps = size.bit_length() if isinstance(size, int) else _OPEN_STEPS
    position: Expr = build.index(0)
    for step in reversed(range(steps)):
        landing = build.add(position, build.index(1 << step))
        fits = build.apply(ops.LE, landing, build.index(size))
        probe = build.minimum(landing, build.index(size))
        probe = build.maximum(build.sub(probe, build.index(1)), build.index(0))
        ahead = _precedes(array.element((probe,)), value, right_side)
        position = build.select(build.logical_and(fits, ahead), landing, position)
    return position


def _precedes(element: Expr, value: Expr, or_equal: bool) -> Expr:
    """NumPy's sort order: NaN is larger than all numbers."""
    if or_equal:
        after = _less(value, element)
        return build.apply(ops.NOT, after)
    return _less(element, value)


def _less(a: Expr, b: Expr) -> Expr:
    smaller = build.apply(ops.LT, a, b)
    if not a.dtype.is_float:
        return smaller
    number = build.apply(ops.NOT, build.apply(ops.ISNAN, a))
    before_nan = build.logical_and(build.apply(ops.ISNAN, b), number)
    return build.apply(ops.OR, smaller, before_nan)
