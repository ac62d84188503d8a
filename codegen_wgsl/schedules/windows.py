"""Windows that overlap: an invocation with several outputs reads what they share once."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.measures import (
    LANES,
    MOST_WRITTEN_OUT,
    PROCESSOR_POINTS,
    PROCESSOR_THREADS,
    along_tile,
    operations_at,
)
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, accesses, points
from tilewright.ir.program import Nest

_MANY_WINDOWS = 4096  # invocations that must be left when each computes overlapping windows


def window_axis(nest: Nest, across: Var | None, options: WgslOptions) -> Var | None:
    """An axis along which an invocation that computes several points reads what their windows
    share once. Not the last one, along which invocations are neighbours."""
    if any(s.axes or s.scans for s in nest.stages):
        return None
    if max((operations_at(s) for s in nest.stages), default=0) > MOST_WRITTEN_OUT:
        return None
    left = points(nest.outer) // (LANES if across is None else LANES * LANES)
    if left < (PROCESSOR_POINTS * PROCESSOR_THREADS if options.is_processor else _MANY_WINDOWS):
        return None
    axis = _overlapping_axis(nest)
    return axis if axis is not None and along_tile(axis) == LANES else None


def separate_axis(nest: Nest) -> Var | None:
    """An axis whose windows overlap, and which is not to be merged with those after it: their rows
    are whole vectors."""
    axis = _overlapping_axis(nest)
    if axis is None or points(nest.outer[nest.outer.index(axis) + 1 :]) % LANES:
        return None
    return axis


def _overlapping_axis(nest: Nest) -> Var | None:
    """The innermost axis but the last along which neighbouring points read the same elements."""
    loads = [a for a in accesses(nest) if not a.is_store]
    return next((a for a in reversed(nest.outer[:-1]) if _overlaps(loads, a)), None)


def _overlaps(loads: Sequence[Access], axis: Var) -> bool:
    """Whether some load reads at one point what it, or another, reads at the next."""
    for load in loads:
        step = load.stride(axis)
        if not step:
            continue
        if any(load.stride(r) == step and r.extent != 1 for r in load.stage.reduce_axes):
            return True
        for other in loads:
            same = other.buffer is load.buffer and other.form.terms == load.form.terms
            away = abs(other.form.constant - load.form.constant)
            if same and away % step == 0 and 0 < away // abs(step) < LANES:
                return True
    return False
