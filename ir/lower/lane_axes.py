"""Which inner axis of a stage lies across lanes, where a schedule vectorises inner axes.

In: a stage, or its own axes. Out: an axis. A reduction has its last reduced axis across lanes,
unless the elements along an own axis are neighbours in memory and those along the reduced axis are
not (the sums of the columns of a matrix): each lane then has a sum of its own, and no lanes are
combined.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.expr import Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import Access, depends, flat
from tilewright.ir.program import Stage

EXPANDED_AXIS = 4
"""Axes of so few elements are written out."""


def lane_axis(axes: Sequence[Var]) -> Var:
    """The own axis that `INNER` puts across lanes: the last, unless that is a few elements that
    lie between the points of a longer one (colours of pixels)."""
    last = axes[-1]
    if len(axes) > 1 and isinstance(last.extent, int) and last.extent <= EXPANDED_AXIS:
        before = axes[-2].extent
        if isinstance(before, int) and before > 4 * EXPANDED_AXIS:
            return axes[-2]
    return last


def own_lane_axis(stage: Stage, width: int) -> Var | None:
    """The own axis, or None where the reduced one is better or the own one fills no vector."""
    if not stage.axes or not stage.reduce_axes:
        return None
    own, reduced = stage.axes[-1], stage.reduce_axes[-1]
    if not isinstance(own.extent, int) or own.extent < width:
        return None
    if any(depends(a, own) for a in stage.reduce_axes):
        return None
    loads = [
        Access(stage, node.source, flat(node.source, node.indices), is_store=False)
        for node in post_order((stage.value,))
        if isinstance(node, Load) and isinstance(node.source, Buffer)
    ]
    along = [load.stride(own) for load in loads]
    apart = any(load.stride(reduced) not in (0, 1) for load in loads)
    return own if apart and 1 in along and all(s in (0, 1) for s in along) else None
