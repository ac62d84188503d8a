"""A sort of long rows -> nests that gather: passes that compare each element with one partner.

The network is Batcher's bitonic one with every comparison in the same direction, so that rows of
any length need no padding: what lies beyond the end would be last and stay there. What moves are
positions in the source; equal elements are ordered by them, so that the order is stable, with NaN
last. Costs log2(n)² / 2 passes, and no storage beyond the positions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.sorting.sort_by_rank import along, axes_of, is_less
from tilewright.ir.program import Nest, SortRows, Stage


def sort_by_passes(step: SortRows, length: int) -> tuple[Nest, ...]:
    """The nests that compute a sort or an argsort of rows of `length`."""
    places = _positions(step, 0)
    axes = axes_of(step)
    start = build.cast(axes[step.axis], I32)
    nests = [Nest(f"{step.name}_start", axes, (_stage(start, places, axes),), ())]
    for k, (block, mirrored) in enumerate(_passes(length), 1):
        before, places = places, _positions(step, k)
        nests.append(_exchange(step, before, places, block, mirrored))
    return (*nests, _result(step, places))


def _passes(length: int) -> Iterator[tuple[int, bool]]:
    """The size of the blocks of each pass, and whether partners mirror each other in a block
    (which merges its two sorted halves) or lie half a block apart."""
    whole = 2
    while whole < 2 * length:
        yield whole, True
        block = whole // 2
        while block > 1:
            yield block, False
            block //= 2
        whole *= 2


def _positions(step: SortRows, k: int) -> Buffer:
    return Buffer(f"{step.target.name}_order{k}", step.source.shape, I32)


def _stage(value: Expr, target: Buffer, axes: tuple[Var, ...]) -> Stage:
    return Stage((), (), None, value, target, axes)


def _exchange(step: SortRows, old: Buffer, new: Buffer, block: int, mirrored: bool) -> Nest:
    """One pass: each place takes the earlier or the later one of its own and its partner's."""
    axes = axes_of(step)
    mine = axes[step.axis]
    partner = _partner(mine, block, mirrored)
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


def _partner(mine: Var, block: int, mirrored: bool) -> Expr:
    place = Apply(ops.MOD, (mine, build.index(block)))
    if mirrored:
        return build.sub(build.add(mine, build.index(block - 1)), build.mul(place, build.index(2)))
    half = build.index(block // 2)
    return build.select(build.lt(place, half), build.add(mine, half), build.sub(mine, half))


def _result(step: SortRows, places: Buffer) -> Nest:
    axes = axes_of(step)
    index = Load(places, axes)
    value: Expr = build.cast(index, I64)
    if not step.positions:
        value = Load(step.source, along(axes, step.axis, build.cast(index, INDEX)))
    return Nest(f"{step.name}_place", axes, (_stage(value, step.target, axes),), ())
