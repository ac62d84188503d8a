"""A sort -> two nests that gather: every element's rank, then the element of every rank.

An element's rank is how many others come before it, in a stable order with NaN last. Costs n
comparisons per element, all independent: fit for rows of up to a few thousand.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, SortRows, Stage


def sort_by_rank(step: SortRows) -> tuple[Nest, ...]:
    """The nests that compute a sort or an argsort."""
    ranks = Buffer(f"{step.target.name}_ranks", step.source.shape, I32)
    return (_rank(step, ranks), _select(step, ranks))


def axes_of(step: SortRows) -> tuple[Var, ...]:
    """The axes of a nest that makes every element."""
    return tuple(Var(f"i{k}", size) for k, size in enumerate(step.source.shape))


def along(axes: tuple[Var, ...], axis: int, index: Expr) -> tuple[Expr, ...]:
    """The place at `index` of the row that `axes` lie in."""
    return (*axes[:axis], index, *axes[axis + 1 :])


def _rank(step: SortRows, ranks: Buffer) -> Nest:
    axes = axes_of(step)
    mine = axes[step.axis]
    other = Var("other", mine.extent)
    x = Load(step.source, axes)
    y = Load(step.source, along(axes, step.axis, other))
    earlier = build.logical_and(build.lt(other, mine), Apply(ops.NOT, (is_less(x, y),)))
    before = Apply(ops.OR, (is_less(y, x), earlier))
    count = Buffer("rank", (), I32, "scratch")
    counted = Stage((), (other,), "add", build.cast(before, I32), count, ())
    stored = Stage((), (), None, Load(count, ()), ranks, axes)
    return Nest(f"{step.name}_rank", axes, (counted, stored), (count,))


def is_less(a: Expr, b: Expr) -> Expr:
    """Whether `a` comes before `b`, with NaN last."""
    less = build.lt(a, b)
    if not a.dtype.is_float:
        return less
    b_last = Apply(ops.AND, (Apply(ops.NOT, (Apply(ops.ISNAN, (a,)),)), Apply(ops.ISNAN, (b,))))
    return Apply(ops.OR, (less, b_last))


def _select(step: SortRows, ranks: Buffer) -> Nest:
    """Exactly one element has the rank of a place, so a sum of positions finds it."""
    axes = axes_of(step)
    place = axes[step.axis]
    other = Var("other", place.extent)
    rank = Load(ranks, along(axes, step.axis, other))
    mine = build.eq(rank, build.cast(place, I32))
    found = Buffer("found", (), I32, "scratch")
    position = build.select(mine, build.cast(other, I32), build.const(0, I32))
    searched = Stage((), (other,), "add", position, found, ())
    index = Load(found, ())
    value: Expr
    if step.positions:
        value = build.cast(index, I64)
    else:
        value = Load(step.source, along(axes, step.axis, build.cast(index, INDEX)))
    stored = Stage((), (), None, value, step.target, axes)
    return Nest(f"{step.name}_place", axes, (searched, stored), (found,))
