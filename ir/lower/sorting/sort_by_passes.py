"""A sort of long rows -> nests that gather: passes that compare each element with one partner.

The network is Batcher's bitonic one with every comparison in the same direction, so that rows of
any length need no padding: what lies beyond the end would be last and stay there. What moves are
positions in the source; equal elements are ordered by them, so that the order is stable, with NaN
last. Costs log2(n)² / 2 passes, and no storage beyond two arrays of positions. The number of the
pass is all that differs between passes, so that they are two kernels in a loop.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.alternate_passes import alternate_passes
from tilewright.ir.lower.sorting.sort_by_rank import along, axes_of, is_less
from tilewright.ir.program import Nest, SortRows, Stage, Step


def sort_by_passes(step: SortRows, length: int) -> tuple[Step, ...]:
    """The steps that compute a sort or an argsort of rows of `length`."""
    stages = max(0, (length - 1).bit_length())
    count = stages * (stages + 1) // 2
    one, other = (Buffer(f"{step.target.name}_{k}", step.source.shape, I32) for k in range(2))
    axes = axes_of(step)
    start = build.cast(axes[step.axis], I32)
    first = Nest(f"{step.name}_start", axes, (_stage(start, one, axes),), ())
    passes, last = alternate_passes(
        count, (one, other), lambda number, old, new: _exchange(step, old, new, number, stages)
    )
    return (first, *passes, _result(step, last))


def _stage(value: Expr, target: Buffer, axes: tuple[Var, ...]) -> Stage:
    return Stage((), (), None, value, target, axes)


def _exchange(step: SortRows, old: Buffer, new: Buffer, number: Expr, stages: int) -> Nest:
    """One pass: each place takes the earlier or the later one of its own and its partner's."""
    axes = axes_of(step)
    mine = axes[step.axis]
    partner = Apply(ops.XOR, (mine, _difference(number, stages)))
    last = build.sub(build.index(mine.extent or 0), build.index(1))
    inside = Apply(ops.MIN, (partner, last))
    p, q = Load(old, axes), Load(old, along(axes, step.axis, inside))
    x = Load(step.source, along(axes, step.axis, build.cast(p, INDEX)))
    y = Load(step.source, along(axes, step.axis, build.cast(q, INDEX)))
    tied = build.logical_and(build.lt(q, p), Apply(ops.NOT, (is_less(x, y),)))
    is_earlier = Apply(ops.OR, (is_less(y, x), tied))
    wanted = build.eq(is_earlier, build.lt(mine, partner))
    exists = Apply(ops.LE, (partner, last))
    value = build.select(build.logical_and(exists, wanted), q, p)
    return Nest(f"{step.name}_{new.name}", axes, (_stage(value, new, axes),), ())


def _difference(number: Expr, stages: int) -> Expr:
    """The bits in which partners differ in the pass of this number.

    Stage s, which merges pairs of sorted blocks of 2**s elements, is s + 1 passes: one in which
    partners mirror each other, then those in which they lie 2**(s - 1), …, 2, 1 apart.
    """
    stage: Expr = build.index(0)
    first: Expr = build.index(0)
    for s in range(1, stages):
        passed = build.ge(number, build.index(s * (s + 1) // 2))
        stage = build.select(passed, build.index(s), stage)
        first = build.select(passed, build.index(s * (s + 1) // 2), first)
    pass_ = build.sub(number, first)
    apart = Apply(ops.SHL_RAW, (build.index(1), build.sub(stage, pass_)))
    mirrored = build.sub(build.mul(apart, build.index(2)), build.index(1))
    return build.select(build.eq(pass_, build.index(0)), mirrored, apart)


def _result(step: SortRows, places: Buffer) -> Nest:
    axes = axes_of(step)
    index = Load(places, axes)
    value: Expr = build.cast(index, I64)
    if not step.positions:
        value = Load(step.source, along(axes, step.axis, build.cast(index, INDEX)))
    return Nest(f"{step.name}_place", axes, (_stage(value, step.target, axes),), ())
