"""Steps that write anywhere -> nests in which each point makes its own element.

In: the steps of a program. Out: steps that are nests of maps and reductions, copies and repeats.
Targets that cannot write where they like (fragment shaders) run nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.lower.gather_updates import gather_updates
from tilewright.ir.lower.scan_by_doubling import scan_by_doubling
from tilewright.ir.lower.sort_by_rank import sort_by_rank
from tilewright.ir.lower.split_reductions import split_reductions
from tilewright.ir.program import Nest, Ordered, SortRows, Step, map_steps


def gather_only(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Sorts, scans and scatters as gathers; long reductions in several passes."""
    return map_steps(map_steps(steps, _gather), _split)


def _gather(step: Step) -> Sequence[Step]:
    match step:
        case SortRows():
            return sort_by_rank(step)
        case Ordered():
            return (gather_updates(step),)
        case Nest() if any((s.combiner or "").startswith("scan:") for s in step.stages):
            return scan_by_doubling(step)
        case _:
            return (step,)


def _split(step: Step) -> Sequence[Step]:
    return split_reductions(step) if isinstance(step, Nest) else (step,)
