"""What the default schedules have in common: sizes, and what a tile costs."""

from __future__ import annotations

from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, operations, points
from tilewright.ir.program import Stage

LANES = 4
WORD_BYTES = 4
MANY_BLOCKS = 64  # enough for invocations that compute 8 by 8 points each
FEW_BLOCKS = 16  # fewer than this leave a device idle: take smaller ones
MANY_INVOCATIONS = 16384  # that keep a device busy while each reads memory
EXPANDED_REDUCTION = 32
MOST_WRITTEN_OUT = 64  # operations of a point of which an invocation computes four or sixteen
PROCESSOR_POINTS = 32  # outer points that keep the cores of a processor busy
PROCESSOR_THREADS = 16  # a vector of a processor or two


def operations_at(stage: Stage) -> int:
    """Operations at one point: expanded reductions count whole, longer ones stay loops."""
    terms = points(stage.reduce_axes)
    return MOST_WRITTEN_OUT + 1 if terms > EXPANDED_REDUCTION else terms * operations(stage.value)


def along_tile(axis: Var) -> int:
    """Four points of an axis, or all of a short one. The last tile of an axis is moved so that it
    fits: little is done twice on a long one."""
    extent = points((axis,))
    if extent <= LANES:
        return extent
    return LANES if extent % LANES == 0 or extent >= LANES * LANES else 1


def is_aligned(access: Access, axis: Var) -> bool:
    if access.stride(axis) != 1 or access.form.constant % LANES:
        return False
    return all(c % LANES == 0 for atom, c in access.form.terms.items() if atom is not axis)
