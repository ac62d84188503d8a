"""Reductions of a nest: several over the same reduced axes, in one loop.

In: the state of a lowering (current tile, schedule) and reducing stages. Out: statements that fill
accumulators in registers, in runs whose partial results are combined, and store what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.dtypes import F16, DType
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Size, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer, For, If, LoopKind, Stmt, Store
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, plan_levels
from tilewright.ir.program import Stage
from tilewright.ir.schedule import INNER
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.lower.nest import NestLowering, Point


class Sum(Struct, frozen=True):
    """One of the reductions that share a loop: its stage, how values combine, and from what."""

    stage: Stage
    op: ops.Op
    identity: Expr
    value: Expr

    @property
    def dtype(self) -> DType:
        return self.value.dtype


class Reducer:
    """Lowers reducing stages over the same reduced axes, for the current tile and fixed own axes.

    All of them run in one loop: what they read in common is read once. `across` is the lane to
    which `bound` binds an own axis; without it, `INNER` puts the last reduced axis across lanes.
    """

    def __init__(
        self,
        lowering: NestLowering,
        stages: Sequence[Stage],
        bound: dict[Var, Expr],
        across: Var | None = None,
    ) -> None:
        self.lowering = lowering
        self.axes = stages[0].reduce_axes
        self.bound = bound
        self.across = across
        self.sums = [self._sum(stage) for stage in stages]
        self.lanes = self._lane_count()
        self.combines_lanes = self.lanes > 0 and across is None
        self.levels = self._plan()

    def _lane_count(self) -> int:
        """Elements of an accumulator, 0 where it is no vector."""
        if self.across is not None:
            assert isinstance(self.across.extent, int)
            return self.across.extent
        schedule = self.lowering.schedule
        if schedule.vector != INNER:
            return 0
        lanes, last = schedule.width * schedule.unroll, self.axes[-1].extent
        return min(lanes, max(1, last)) if isinstance(last, int) else lanes

    def _sum(self, stage: Stage) -> Sum:
        combiner = COMBINERS[stage.combined_by]
        assert combiner.op is not None
        renamed: dict[Var, Expr] = dict(zip(stage.reduce_axes, self.axes, strict=True))
        value = stage.value if stage.reduce_axes == self.axes else substitute(stage.value, renamed)
        return Sum(stage, combiner.op, identity(combiner.name, value.dtype), value)

    def _plan(self) -> list[tuple[int, ...]]:
        rounded = [s for s in self.sums if s.dtype.is_float and s.op in (ops.ADD, ops.MUL)]
        if not rounded:
            return [()] * len(self.axes)
        extents = [None if a.extent is None else largest(a.extent) for a in self.axes]
        if self.combines_lanes and extents[-1] is not None:
            extents[-1] = -(-extents[-1] // self.lanes)
        plain = any(not is_product(s.stage) for s in rounded)
        most = SUM_RUN if plain else PRODUCT_RUN
        run = min(self.lowering.schedule.reduce_block or most, most)
        return plan_levels(extents, run, self.lanes if self.combines_lanes else 1)

    def statements(self) -> list[Stmt]:
        totals = self._accumulators(0)
        body = self._initial(totals)
        body += self._axis(0, dict(self.bound), totals)
        return body + self._results(totals)

    def _results(self, totals: list[Buffer]) -> list[Stmt]:
        """What came out, stored at every point of the tile."""
        stores = self.lowering.over_tile(
            lambda point: [
                self._finish(point, s, t) for s, t in zip(self.sums, totals, strict=True)
            ]
        )
        return self._on_lanes(stores)

    def _on_lanes(self, body: list[Stmt]) -> list[Stmt]:
        """`body` in all lanes of an own axis."""
        if self.across is None:
            return body
        return [For(self.across, "vector", body, self.lowering.schedule.width)]

    def _accumulators(self, level: int) -> list[Buffer]:
        own = (self.lanes,) if self.lanes else ()
        return [
            self.lowering.register(f"{s.stage.target.name}_acc{level}", s.dtype, own)
            for s in self.sums
        ]

    def _over_lanes(self, make: Callable[[tuple[Expr, ...]], list[Stmt]], lanes: int) -> list[Stmt]:
        if not lanes:
            return make(())
        lane = Var("lane", lanes)
        return [For(lane, "vector", make((lane,)), self.lowering.schedule.width)]

    def _over_accumulators(self, make: Callable[[tuple[Expr, ...], int], Stmt]) -> list[Stmt]:
        """``make(place, number)`` for every element of every accumulator."""
        return self.lowering.over_tile(
            lambda point: self._over_lanes(
                lambda lane: [make((*point.tile, *lane), k) for k in range(len(self.sums))],
                self.lanes,
            )
        )

    def _initial(self, totals: list[Buffer]) -> list[Stmt]:
        return self._over_accumulators(
            lambda place, k: Store(totals[k], place, self.sums[k].identity)
        )

    def _combine_levels(self, totals: list[Buffer], partials: list[Buffer]) -> list[Stmt]:
        def one(place: tuple[Expr, ...], k: int) -> Stmt:
            value = combine(self.sums[k].op, Load(totals[k], place), Load(partials[k], place))
            return Store(totals[k], place, value)

        return self._over_accumulators(one)

    def _axis(self, position: int, bound: dict[Var, Expr], totals: list[Buffer]) -> list[Stmt]:
        """Accumulate everything from axis `position` inwards into `totals`."""
        if position == len(self.axes):
            lane = (self.across,) if self.across is not None else ()
            return self._on_lanes(self._accumulate(bound, totals, lane))
        axis = self.axes[position]
        extent = self.lowering.extent(axis, bound)
        if self.combines_lanes and position == len(self.axes) - 1:
            return self._lane_axis(axis, extent, bound, totals)
        return self._blocks(
            extent,
            self.levels[position],
            axis,
            totals,
            lambda index, acc: self._axis(position + 1, {**bound, axis: index}, acc),
        )

    def _blocks(
        self,
        extent: Size,
        levels: tuple[int, ...],
        axis: Var,
        totals: list[Buffer],
        make: Callable[[Expr, list[Buffer]], list[Stmt]],
        origin: Expr | None = None,
    ) -> list[Stmt]:
        """Loops over one axis cut into blocks; `make(index, accumulators)` is the body."""
        start = origin if origin is not None else build.index(0)
        if not levels:
            counter = Var(axis.name, extent)
            kind: LoopKind = "unroll" if self._expand(extent) else "serial"
            return [For(counter, kind, make(build.add(start, counter), totals))]
        size = 1
        for block in levels:
            size *= block
        count = _ceiling(extent, size)
        counter = Var(f"{axis.name}_l{len(levels)}", count)
        first = build.mul(counter, build.index(size))
        inside: Size = size
        if not (isinstance(extent, int) and extent % size == 0):
            inside = build.minimum(build.index(size), build.sub(build.index(extent), first))
        partials = self._accumulators(len(levels))
        inner = self._blocks(inside, levels[:-1], axis, partials, make, build.add(start, first))
        body = [*self._initial(partials), *inner, *self._combine_levels(totals, partials)]
        return [For(counter, "serial", body)]

    def _expand(self, extent: Size) -> bool:
        """Whether a loop is expanded; what runs seldom should have little code."""
        most = 0 if self.lowering.is_rare else self.lowering.schedule.unroll_reduce
        return isinstance(extent, int) and extent <= most

    def _lane_axis(
        self, axis: Var, extent: Size, bound: dict[Var, Expr], totals: list[Buffer]
    ) -> list[Stmt]:
        """The last reduced axis across lanes, each lane with an accumulator of its own."""

        def block(origin: Expr, lanes: int, acc: list[Buffer]) -> list[Stmt]:
            lane = Var(f"{axis.name}_v", lanes)
            inner = {**bound, axis: build.add(origin, lane)}
            body = self._accumulate(inner, acc, (lane,))
            return [For(lane, "vector", body, self.lowering.schedule.width)]

        lanes, levels = self.lanes, self.levels[-1]
        whole = _floor(extent, lanes)
        body: list[Stmt] = []
        if whole != 0:
            body += self._blocks(
                whole,
                levels,
                Var(f"{axis.name}_b", whole),
                totals,
                lambda index, acc: block(build.mul(index, build.index(lanes)), lanes, acc),
            )
        if isinstance(extent, int):
            if extent % lanes:
                body += block(build.index(extent - extent % lanes), extent % lanes, totals)
            return body
        done = build.mul(build.index(whole), build.index(lanes))
        return [*body, *self._open_rest(done, build.sub(extent, done), bound, totals)]

    def _open_rest(
        self, done: Expr, rest: Expr, bound: dict[Var, Expr], totals: list[Buffer]
    ) -> list[Stmt]:
        """The elements after `done`, fewer than there are lanes: half of the lanes if there are as
        many, then half of those, each part to lanes of its own so that no tree gets higher by
        more than one."""
        axis, body, size = self.axes[-1], list[Stmt](), self.lanes
        while size := size // 2:
            part = build.mod(build.floordiv(rest, build.index(size)), build.index(2))
            before = build.mul(build.floordiv(rest, build.index(2 * size)), build.index(2 * size))
            lane = Var(f"{axis.name}_v", size)
            inner = {**bound, axis: build.add(build.add(done, before), lane)}
            stores = self._accumulate(inner, totals, (build.add(lane, build.index(size)),))
            loop = For(lane, "vector", stores, self.lowering.schedule.width)
            body.append(If(build.eq(part, build.index(1)), [loop]))
        return body

    def _accumulate(
        self, bound: dict[Var, Expr], totals: list[Buffer], lane: tuple[Expr, ...]
    ) -> list[Stmt]:
        def at(point: Point) -> list[Stmt]:
            place = (*point.tile, *lane)
            memo: dict[Expr, Expr] = {}
            body: list[Stmt] = []
            for one, total in zip(self.sums, totals, strict=True):
                value = point.value(one.value, bound, memo)
                body.append(Store(total, place, combine(one.op, Load(total, place), value)))
            return body

        return self.lowering.over_tile(at)

    def _finish(self, point: Point, one: Sum, total: Buffer) -> Store:
        value: Expr
        if self.combines_lanes:
            value = LaneReduce(one.op, total, point.tile)
        else:
            lane = (self.across,) if self.across is not None else ()
            value = Load(total, (*point.tile, *lane))
        return point.store_value(one.stage, self.bound, value)


def combine(op: ops.Op, old: Expr, value: Expr) -> Expr:
    """``op(old, value)``; a product that is added is one multiply-add."""
    is_product = isinstance(value, Apply) and value.op is ops.MUL
    if op is ops.ADD and is_product and value.dtype.is_float and value.dtype is not F16:
        return Apply(ops.MAD, (*value.operands, old))
    return Apply(op, (old, value))


def is_product(stage: Stage) -> bool:
    """Whether the stage adds up products (a contraction), casts aside."""
    value = stage.value
    while isinstance(value, Apply) and value.op is ops.CAST:
        value = value.operands[0]
    return (
        stage.combiner == "add"
        and isinstance(value, Apply)
        and value.op is ops.MUL
        and value.dtype.is_float
    )


def _ceiling(extent: Size, size: int) -> Size:
    return build.size_floordiv(build.size_add(extent, size - 1), size)


def _floor(extent: Size, size: int) -> Size:
    return build.size_floordiv(extent, size)
