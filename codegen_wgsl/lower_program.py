"""Steps of a program -> launches of kernels, copies and repeats.

In: steps, the options, and the schedules that were chosen by the names of nests. Out: the steps in
their order, every nest, scatter and sort lowered; `nests` collects each nest as it was lowered,
with its schedule. How arrays lie in memory is not decided here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedule import default_schedule
from tilewright.codegen_wgsl.schedules.blocks import shared_bytes
from tilewright.codegen_wgsl.schedules.narrow import cuts_words
from tilewright.codegen_wgsl.schedules.windows import separate_axis
from tilewright.codegen_wgsl.storage import static_shape
from tilewright.ir.errors import LimitError, UnsupportedError
from tilewright.ir.kernel import Kernel
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.check_schedule import check_schedule
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.flatten_axes import can_flatten, flatten_axes
from tilewright.ir.lower.gather_scatter import gather_scatter
from tilewright.ir.lower.sorting.sort_by_exchanges import sort_by_exchanges
from tilewright.ir.lower.sorting.sort_by_rank import sort_by_rank
from tilewright.ir.lower.split_inputs import split_inputs
from tilewright.ir.lower.split_k import schedule_of_parts, split_k
from tilewright.ir.lower.workgroup.lower import lower_to_workgroups
from tilewright.ir.program import (
    Copy,
    Launch,
    Nest,
    Ordered,
    Repeat,
    RepeatWhile,
    SortRows,
    Step,
)
from tilewright.ir.schedule import Schedule
from tilewright.ir.subgroups import LEAST_SUBGROUP, MOST_SUBGROUP

# The length of rows up to which every element is compared with all others.
_MOST_RANKED = 256


class ProgramLowering(Struct):
    """State of the lowering of one program."""

    options: WgslOptions
    given: Mapping[str, Schedule]
    nests: list[tuple[Nest, Schedule]] = field(default_factory=list)

    def steps(self, steps: Sequence[Step]) -> list[Step]:
        """The steps in lowered form."""
        return [made for step in steps for made in self._step(step)]

    def _step(self, step: Step) -> list[Step]:
        match step:
            case Nest():
                parts = split_inputs(step, self.options.storage_buffers)
                return [made for part in parts for made in self.nest(part)]
            case Ordered():
                return self.steps(gather_scatter(step))
            case SortRows():
                return self._sort(step)
            case Copy() | Launch():
                return [step]
            case Repeat():
                return [Repeat(step.counter, tuple(self.steps(step.steps)))]
            case RepeatWhile():
                raise UnsupportedError(
                    "a loop that ends when its data say so cannot run on the WebGPU target, where "
                    "the host would have to read the condition back in every round",
                    help='use tw.loop with a fixed number of steps, or target="cpu"',
                )

    def nest(self, nest: Nest) -> list[Step]:
        """The launches of one nest."""
        merged = collapse_axes(nest, kept=separate_axis(nest))
        if cuts_words(merged, self.options) and can_flatten(merged):
            merged = flatten_axes(merged)
        schedule = self.given.get(nest.name)
        if schedule is None:
            schedule = default_schedule(merged, self.options)
        else:
            chosen = self.options
            check_schedule(merged, schedule, chosen.workgroup_invocations, chosen.subgroup_sizes)
        self.nests.append((merged, schedule))
        if points(merged.outer) == 0:
            return []
        if schedule.split_reduce == 1:
            made = self._launch(merged, schedule)
            others: list[Step] = []
        else:
            parts, rest = split_k(merged, schedule.split_reduce)
            made = self._launch(parts, schedule_of_parts(schedule))
            others = [self._launch(rest, default_schedule(rest, self.options))]
        if nest.name in self.given:
            self._check_memory(nest, made.kernel)
        return [made, *others]

    def _check_memory(self, nest: Nest, kernel: Kernel) -> None:
        """Raise `LimitError` where workgroups share more memory than the device has for them."""
        shared = (b for b in kernel.locals if b.space == "workgroup")
        taken = sum(
            math.prod(static_shape(b)) * shared_bytes(b.dtype, self.options) for b in shared
        )
        if taken > self.options.workgroup_bytes:
            raise LimitError(
                f"schedule of {nest.name}: a workgroup shares {taken} bytes of memory, which is "
                f"beyond the limit of {self.options.workgroup_bytes}",
                help="make the tile or the workgroup smaller",
            )

    def _launch(self, nest: Nest, schedule: Schedule) -> Launch:
        least, _ = self.options.subgroup_sizes or (LEAST_SUBGROUP, MOST_SUBGROUP)
        return Launch(lower_to_workgroups(nest, schedule, nest.name, least))

    def _sort(self, step: SortRows) -> list[Step]:
        length = static_shape(step.source)[step.axis]
        if length <= _MOST_RANKED:
            return self.steps(sort_by_rank(step))
        return self.steps(sort_by_exchanges(step))
