"""A scatter -> steps that sort the updates by the bucket that they hit.

Then the updates of a bucket lie side by side, in their old order. Without a combiner an element
takes the last one; with a combiner, updates are combined with those before them in the same bucket,
at distances of 1, 2, 4, …, so that the last one holds the result of a tree. Costs a sort of the
buckets and log2(n) passes over the updates, however many elements the target has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Size, Var
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.alternate_passes import alternate_passes
from tilewright.ir.lower.scatter_axes import ScatterAxes, unravelled
from tilewright.ir.ops import Op
from tilewright.ir.program import Nest, Ordered, SortRows, Stage, Step, extents
from tilewright.ir.traverse import substitute


def sort_updates(step: Ordered, axes: ScatterAxes) -> tuple[Step, ...]:
    """The steps, for at least one update and sizes that are known."""
    return tuple(_SortedUpdates(step, axes).steps())


class _SortedUpdates:
    """One scatter. `order` are the numbers of the updates by bucket, `sorted` their buckets, and
    `ends` tells for each bucket how many updates hit it or one before it."""

    def __init__(self, step: Ordered, axes: ScatterAxes) -> None:
        self.step = step
        self.axes = axes
        self.place = Var("place", build.product(extents(axes.updates)))
        self.count = known_extent(self.place)
        self.order = self._temporary("order", (self.count,), I64)
        self.sorted = self._temporary("sorted", (self.count,), I32)
        self.ends = self._temporary("ends", (axes.buckets,), I32)

    def steps(self) -> Iterator[Step]:
        keys = self._temporary("keys", (self.count,), I32)
        bucket = substitute(self.axes.bucket, unravelled(self.axes.updates, self.place))
        yield self._nest(keys, (self.place,), build.cast(bucket, I32))
        yield SortRows(f"{self.step.name}_sort", keys, self.order, 0, True)
        yield self._nest(self.sorted, (self.place,), Load(keys, (self._update_at(self.place),)))
        yield self._find_ends()
        if self.step.combiner is None:
            yield self._finish(self._value_at)
            return
        axes = (self.place, *self.axes.straight)
        shape = extents(axes)
        one, other = (self._temporary(f"values{k}", shape, self.step.value.dtype) for k in range(2))
        yield self._nest(one, axes, self._value_at(self.place))
        passes, last = alternate_passes((self.count - 1).bit_length(), (one, other), self._combine)
        yield from passes
        yield self._finish(lambda end: Load(last, (end, *self.axes.straight)))

    def _temporary(self, name: str, shape: tuple[Size, ...], dtype: DType) -> Buffer:
        return Buffer(f"{self.step.target.name}_{name}", shape, dtype)

    def _nest(self, target: Buffer, axes: tuple[Var, ...], value: Expr) -> Nest:
        stage = Stage((), (), None, value, target, axes)
        return Nest(f"{self.step.name}_{target.name}", axes, (stage,), ())

    def _update_at(self, place: Expr) -> Expr:
        return build.cast(Load(self.order, (place,)), INDEX)

    def _value_at(self, place: Expr) -> Expr:
        return substitute(self.axes.value, unravelled(self.axes.updates, self._update_at(place)))

    def _find_ends(self) -> Nest:
        """By bisection, one bit of the number after the other."""
        bucket = Var("bucket", self.axes.buckets)
        count = build.index(self.count)
        end: Expr = build.index(0)
        for bit in reversed(range(self.count.bit_length())):
            further = build.add(end, build.index(1 << bit))
            last = build.sub(build.minimum(further, count), build.index(1))
            not_after = build.ge(build.cast(bucket, I32), Load(self.sorted, (last,)))
            fits = build.logical_and(build.ge(count, further), not_after)
            end = build.select(fits, further, end)
        return self._nest(self.ends, (bucket,), build.cast(end, I32))

    def _combine(self, number: Expr, source: Buffer, target: Buffer) -> Nest:
        """Each value with what lies ``2**number`` before it, if that is in the same bucket."""
        place, straight = self.place, self.axes.straight
        distance = Apply(ops.SHL_RAW, (build.index(1), number))
        before = build.maximum(build.sub(place, distance), build.index(0))
        own = Load(source, (place, *straight))
        both = Apply(self._operation(), (Load(source, (before, *straight)), own))
        same = build.logical_and(
            build.ge(place, distance),
            build.eq(Load(self.sorted, (before,)), Load(self.sorted, (place,))),
        )
        return self._nest(target, (place, *straight), build.select(same, both, own))

    def _operation(self) -> Op:
        combiner = COMBINERS[self.step.combiner or ""]
        if combiner.op is None:
            raise IRError(f"a scatter cannot combine by {combiner.name}")
        return combiner.op

    def _finish(self, found_at: Callable[[Expr], Expr]) -> Nest:
        """Each element with what is found at the last update of its bucket, if there is one."""
        axes = self.axes
        end = build.cast(Load(self.ends, (axes.here,)), INDEX)
        last = build.maximum(build.sub(end, build.index(1)), build.index(0))
        hit = build.logical_and(
            build.ge(end, build.index(1)),
            build.eq(build.cast(Load(self.sorted, (last,)), INDEX), axes.here),
        )
        old = Load(axes.target, axes.elements)
        found = found_at(last)
        if self.step.combiner is not None:
            found = Apply(self._operation(), (old, found))
        return self._nest(axes.target, axes.elements, build.select(hit, found, old))


def known_extent(axis: Var) -> int:
    """The size of an axis that is not open."""
    if not isinstance(axis.extent, int):
        raise IRError(f"a scatter's updates are sorted along the open axis {axis.name}")
    return axis.extent
