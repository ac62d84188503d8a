"""How much machine code a nest becomes under a schedule, estimated without lowering it.

In: a nest and a machine, then schedules that fit the nest. Out: numbers of instructions, mostly
right within a factor of two. LLVM takes some 50 us for each.

Lowering writes out the vectors of a tile, those of an inner vector axis, and short reductions; what
is left over at the end of an axis is code of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from msgspec import Struct

from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir import ops
from tilewright.ir.expr import Var, post_order
from tilewright.ir.graph import COMBINERS
from tilewright.ir.lower.accesses import Access, accesses, operations
from tilewright.ir.lower.lane_axes import EXPANDED_AXIS as EXPANDED
from tilewright.ir.lower.lane_axes import lane_axis
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, Levels, plan_levels
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule

_PER_HALVING: Final = 2
"""Instructions that bring half of the lanes of a vector beside the others."""
_PER_LANE: Final = 3
"""Instructions that move one lane whose place in memory is apart from its neighbours'."""


class CodeSize:
    """Estimates for the schedules of one nest."""

    def __init__(self, nest: Nest, target: CpuTarget) -> None:
        self._outer = nest.outer
        self._vector_bits = target.vector_bits
        found = accesses(nest)
        self._parts = [_part(s, [a for a in found if a.stage is s]) for s in nest.stages]

    def instructions(self, schedule: Schedule) -> int:
        """Of all that the nest becomes under `schedule`."""
        each = sum(self._per_vector(part, schedule) for part in self._parts)
        return self._vectors_of_tile(schedule) * each

    def _vectors_of_tile(self, schedule: Schedule) -> int:
        """Of a whole tile and of the smaller ones at the ends of axes."""
        total = 1
        for k, (axis, size) in enumerate(zip(self._outer, schedule.tile, strict=False)):
            lanes = schedule.width if k == schedule.vector else 1
            whole, rest = size, 1
            if isinstance(axis.extent, int):
                whole, rest = min(size, axis.extent), axis.extent % size
            total *= -(-whole // lanes) + (-(-rest // lanes) if whole > 1 else 0)
        return total

    def _per_vector(self, part: _Part, schedule: Schedule) -> int:
        axis, lanes = self._side_by_side(part.stage, schedule)
        width = min(lanes, schedule.width)
        registers = -(-width * part.bits // self._vector_bits)
        near = sum(axis is None or a.stride(axis) in (0, 1) for a in part.accesses)
        apart = len(part.accesses) - near
        once = (part.operations + part.combining + near) * registers + apart * _PER_LANE * width
        vectors = -(-lanes // width)
        written = vectors * once * _written_out(part.stage, schedule, lanes)
        if part.stage.reduce_axes:  # the results of two runs, or of all lanes
            written += vectors * registers * part.combining
            if schedule.vector == INNER:
                written += (_PER_HALVING + part.combining) * (lanes - 1).bit_length()
        return written

    def _side_by_side(self, stage: Stage, schedule: Schedule) -> tuple[Var | None, int]:
        """The axis across lanes, and how many of its points stand side by side."""
        if isinstance(schedule.vector, int):
            size = schedule.tile[schedule.vector] if schedule.tile else 1
            return self._outer[schedule.vector], min(schedule.width, size)
        inside = stage.reduce_axes or stage.axes
        if schedule.vector is None or not inside:
            return None, 1
        axis, lanes = lane_axis(inside), schedule.width * schedule.unroll
        return axis, min(lanes, max(1, axis.extent)) if isinstance(axis.extent, int) else lanes


class _Part(Struct, frozen=True):
    """What counts of a stage: `bits` are those of its widest values; `combining` two results of a
    reduction takes so many operations."""

    stage: Stage
    operations: int
    combining: int
    bits: int
    accesses: Sequence[Access]


def _part(stage: Stage, found: Sequence[Access]) -> _Part:
    nodes = post_order((stage.value,))
    bits = max((n.dtype.bits for n in nodes if n.dtype.kind not in "bx"), default=8)
    return _Part(stage, operations(stage.value), _combining(stage), bits, found)


def _combining(stage: Stage) -> int:
    if stage.combiner is None:
        return 0
    op = COMBINERS[stage.combined_by].op
    selects = stage.value.dtype.is_float and op in (ops.MIN, ops.MAX)  # NaN, and the sign of zeros
    return 4 if selects else op.cost if op is not None else 1


def _written_out(stage: Stage, schedule: Schedule, lanes: int) -> int:
    """Points of inner axes that have code of their own."""
    short = stage.axes if schedule.vector != INNER or stage.reduce_axes else stage.axes[:-1]
    total = prod(a.extent for a in short if isinstance(a.extent, int) and 1 < a.extent <= EXPANDED)
    extents = [a.extent if isinstance(a.extent, int) else None for a in stage.reduce_axes]
    if schedule.vector == INNER and extents and extents[-1] is not None:
        extents[-1] = max(1, extents[-1] // lanes)
    for extent, blocks in zip(extents, _runs(stage, schedule, extents), strict=True):
        whole = extent is not None and extent % prod(blocks) == 0
        loop = extent if not blocks else blocks[0] if whole else None
        if loop is not None and 1 < loop <= schedule.unroll_reduce:
            total *= loop
    return total


def _runs(stage: Stage, schedule: Schedule, extents: Sequence[int | None]) -> Levels:
    """How the loops of a reduction are cut, see `ir/lower/reducer.py`."""
    if not (stage.value.dtype.is_float and stage.combiner in ("add", "mul")):
        return [()] * len(extents)
    most = PRODUCT_RUN if is_product(stage) else SUM_RUN
    return plan_levels(extents, min(schedule.reduce_block or most, most))
