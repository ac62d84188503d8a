"""A nest and a number of parts -> a nest of partial results, and the nest that combines them.

A product of few rows and columns and a long sum has too few points to keep a device busy. Each
part of the sum is computed as a point of its own (split-K), whose results lie in a temporary; the
second nest adds them up pairwise, in an order that is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.contraction import only_reduction
from tilewright.ir.lower.reducer import combine
from tilewright.ir.lower.split_reductions import PARTS
from tilewright.ir.ops import Op
from tilewright.ir.program import Nest, Stage, extents
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import substitute

_WORD_BITS = 32


def can_split(nest: Nest, parts: int) -> bool:
    """Whether `split_k` can: one reduction over one row of points whose length the parts
    divide, of 32-bit values that no other stage computes."""
    stage = _whole(nest)
    return stage is not None and _split_axis(stage, parts) is not None


def split_k(nest: Nest, parts: int) -> tuple[Nest, Nest]:
    """See the module docstring; the partial results' outermost axis is the part."""
    stage = _whole(nest)
    assert stage is not None
    axis = _split_axis(stage, parts)
    assert axis is not None
    assert isinstance(axis.extent, int)
    part = Var("part", parts)
    block = axis.extent // parts
    renamed = {a: Var(a.name, a.extent) for a in (*nest.outer, *stage.reduce_axes)}
    renamed[axis] = Var(axis.name, block)
    bindings: dict[Var, Expr] = dict(renamed)
    bindings[axis] = build.add(build.mul(part, build.index(block)), renamed[axis])
    value = substitute(stage.value, bindings)
    outer = (part, *(renamed[a] for a in nest.outer))
    temporary = Buffer(f"{stage.target.name}{PARTS}", extents(outer), value.dtype)
    reduced = tuple(renamed[a] for a in stage.reduce_axes)
    partial = replace(stage, reduce_axes=reduced, value=value, target=temporary, indices=outer)
    places = [Load(temporary, (build.index(k), *nest.outer)) for k in range(parts)]
    op = COMBINERS[stage.combined_by].op
    assert op is not None
    total = replace(stage, reduce_axes=(), combiner=None, value=_pairwise(op, places))
    stages = tuple(total if s is stage else s for s in nest.stages)
    return Nest(f"{nest.name}{PARTS}", outer, (partial,), ()), replace(nest, stages=stages)


def schedule_of_parts(schedule: Schedule) -> Schedule:
    """The schedule of the partial results: that of the whole, with an axis before the others."""
    own = replace(schedule, split_reduce=1)
    if own.stage_tile:
        return own
    return replace(
        own,
        tile=(1, *own.tile) if own.tile else (),
        vector=own.vector + 1 if isinstance(own.vector, int) else own.vector,
        order=(0, *(k + 1 for k in own.order)) if own.order else (),
    )


def _whole(nest: Nest) -> Stage | None:
    """The reduction that parts can be made of."""
    stage = only_reduction(nest)
    if stage is None or stage.combiner is None or COMBINERS[stage.combined_by].op is None:
        return None
    return stage if stage.value.dtype.bits == _WORD_BITS else None


def _split_axis(stage: Stage, parts: int) -> Var | None:
    """The outermost reduced axis that divides into parts of at least two points."""
    for axis in stage.reduce_axes:
        extent = axis.extent
        if isinstance(extent, int) and extent % parts == 0 and extent >= 2 * parts:
            return axis
    return None


def _pairwise(op: Op, values: Sequence[Expr]) -> Expr:
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return combine(op, _pairwise(op, values[:half]), _pairwise(op, values[half:]))
