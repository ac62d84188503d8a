"""A scatter -> steps in which every element of the target gathers what hits it.

In: an `Ordered` step. Out: nests, and a sort where to look through all updates would take too long.
"""

from __future__ import annotations

from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.gather_updates import gather_updates
from tilewright.ir.lower.scatter_axes import ScatterAxes, scatter_axes
from tilewright.ir.lower.sort_updates import sort_updates
from tilewright.ir.program import Ordered, Step

# So few comparisons take no longer than the launches of a sort.
_ALWAYS_SEARCHED = 1 << 27
# A pass of a sort over an update, in comparisons of a search.
_PASS_COST = 16


def gather_scatter(step: Ordered) -> tuple[Step, ...]:
    """The steps; the target's old elements are read from where the result goes."""
    axes = scatter_axes(step)
    return (gather_updates(step, axes),) if is_searched(axes) else sort_updates(step, axes)


def is_searched(axes: ScatterAxes) -> bool:
    """Whether to compare each element with each update, which a sort does in log2(n)² / 2 passes
    over the updates."""
    elements, updates = points(axes.elements), points(axes.updates)
    bits = updates.bit_length()
    return elements * updates <= _ALWAYS_SEARCHED or elements <= _PASS_COST * bits * bits // 2
