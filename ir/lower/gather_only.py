"""Steps that write anywhere -> nests in which each point makes its own element.

In: the steps of a program. Out: steps that are nests of maps and reductions, copies and repeats.
Targets that cannot write where they like (fragment shaders) run nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.ir.lower.gather_scatter import gather_scatter
from tilewright.ir.lower.scan_by_doubling import scan_by_doubling
from tilewright.ir.lower.sorting.sort_by_passes import sort_by_passes
from tilewright.ir.lower.sorting.sort_by_rank import sort_by_rank
from tilewright.ir.lower.split_reductions import split_reductions
from tilewright.ir.program import Nest, Ordered, SortRows, Step, map_steps

_LONGEST_RANKED_ROW = 2048


def gather_only(
    steps: Sequence[Step], at_a_time: Callable[[str], int] = lambda _: 0
) -> tuple[Step, ...]:
    """Sorts, scans and scatters as gathers; long reductions in several passes, each of as many
    elements as `at_a_time` says of a nest by its name (0: as is usual)."""

    def split(step: Step) -> Sequence[Step]:
        return split_reductions(step, at_a_time(step.name)) if isinstance(step, Nest) else (step,)

    return map_steps(map_steps(steps, _gather), split)


def _gather(step: Step) -> Sequence[Step]:
    match step:
        case SortRows():
            return _sort(step)
        case Ordered():
            return map_steps(gather_scatter(step), _gather)
        case Nest() if any(s.scans for s in step.stages):
            return scan_by_doubling(step)
        case _:
            return (step,)


def _sort(step: SortRows) -> Sequence[Step]:
    """Short rows by rank, which takes two launches; long ones in time that is not quadratic."""
    length = step.source.shape[step.axis]
    if not isinstance(length, int) or length <= _LONGEST_RANKED_ROW:
        return sort_by_rank(step)
    return sort_by_passes(step, length)
