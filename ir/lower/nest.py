"""A nest and a schedule -> a kernel of loops.

Outer axes are walked tile by tile; what is left over at the end of an axis is a smaller tile with
code of its own (or single points, where the extent is open). Inside a tile every stage runs over
all points of the tile: locals without axes of their own are registers, others are scratch memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import DType
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.lane_axes import EXPANDED_AXIS, lane_axis, own_lane_axis
from tilewright.ir.lower.segments import interior
from tilewright.ir.lower.simplify_indices import simplify_indices
from tilewright.ir.lower.tile_walk import TileWalk
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.lower.first_extreme import FirstExtreme

_MOST_APART = 8


def lower_nest(nest: Nest, schedule: Schedule, name: str) -> Kernel:
    """The CPU form of a nest: tile loops, the first of them cut into tasks."""
    return NestLowering(nest, schedule).kernel(name)


class NestLowering(TileWalk):
    """State of one lowering: the current tile, and the locals that have been given storage."""

    def __init__(self, nest: Nest, schedule: Schedule) -> None:
        super().__init__(nest, schedule)
        self.points: dict[Var, Expr] = {}
        self.storage: dict[Buffer, Buffer] = {}
        self.locals: list[Buffer] = []
        self.deciding = {a for a in nest.outer if a is not self.vector_axis and _decides(nest, a)}

    def kernel(self, name: str) -> Kernel:
        body = simplify_indices(self.outer_loops(0))
        return finish_kernel(name, body, self.locals)

    # One tile.

    def tile_body(self) -> list[Stmt]:
        """All stages over the current tile."""
        self.points = {axis: tile.origin for axis, tile in self.tiles.items()}
        self.storage = {}
        body: list[Stmt] = []
        groups = together(self.nest.stages)
        while groups:
            stages = groups.pop(0)
            pair = self._first_extreme(stages, groups)
            if pair is not None:
                from tilewright.ir.lower.first_extreme import FirstExtremeLowering

                groups.remove([pair.first])
                body += self.over_tile(FirstExtremeLowering(self, pair).statements)
            else:
                body += self.stage(stages)
        return body

    def _first_extreme(
        self, stages: Sequence[Stage], following: Sequence[Sequence[Stage]]
    ) -> FirstExtreme | None:
        """An argmin or argmax, if one point's row is across lanes here: `stages` and the next
        reduction (between them the extreme may be stored)."""
        if self.schedule.vector != INNER or self.tiled or len(stages) != 1:
            return None
        from tilewright.ir.lower.first_extreme import match_first_extreme

        reducing = (group for group in following if group[0].axes or group[0].reduce_axes)
        after = next(reducing, ())
        return match_first_extreme(stages[0], after[0]) if len(after) == 1 else None

    @property
    def tiled(self) -> list[Var]:
        """The outer axes with more than one point in this tile; the vector axis last."""
        axes = [a for a in self.nest.outer if self.tiles[a].size > 1 and a is not self.vector_axis]
        if self.vector_axis is not None and self.tiles[self.vector_axis].size > 1:
            axes.append(self.vector_axis)
        return axes

    def over_tile(self, make: Callable[[Point], list[Stmt]]) -> list[Stmt]:
        """``make(point)`` inside loops over all points of the tile."""
        return self._over_axes(self.tiled, (), dict(self.points), make)

    def over_axes(self, axes: list[Var], make: Callable[[Point], list[Stmt]]) -> list[Stmt]:
        """As `over_tile`, along some of its axes; the others stay at their first points."""
        return self._over_axes(axes, (), dict(self.points), make)

    def _over_axes(
        self,
        axes: list[Var],
        tile: tuple[Expr, ...],
        bindings: dict[Var, Expr],
        make: Callable[[Point], list[Stmt]],
    ) -> list[Stmt]:
        if not axes:
            return make(Point(self, tile, bindings))
        axis, *rest = axes
        origin, size = self.tiles[axis].origin, self.tiles[axis].size
        if axis in self.deciding:
            body: list[Stmt] = []
            for k in range(size):
                place = build.add(origin, build.index(k))
                index = (*tile, build.index(k))
                body += self._over_axes(rest, index, {**bindings, axis: place}, make)
            return body
        counter = Var(f"{axis.name}_i", size)
        inner = {**bindings, axis: build.add(origin, counter)}
        body = self._over_axes(rest, (*tile, counter), inner, make)
        if axis is self.vector_axis:
            return [For(counter, "vector", body, self.schedule.width)]
        return [For(counter, "unroll", body)]

    def stage(self, stages: Sequence[Stage]) -> list[Stmt]:
        """One stage, or several reductions over the same axes."""
        stage = stages[0]
        if stage.combiner is None:
            return self._over_own_axes(stage, stage.axes, {}, self._map_point)
        from tilewright.ir.lower.reducer import Reducer

        if stage.scans:
            return self._scan(stage)
        if self.schedule.share_windows and len(self.tiled) > 1:
            from tilewright.ir.lower.shared_windows import share_windows

            shared = share_windows(self, stages)
            if shared is not None:
                return shared
        axis = own_lane_axis(stage, self.schedule.width) if self.schedule.vector == INNER else None
        if axis is None:
            return self._serial_axes(
                list(stage.axes), {}, lambda b: Reducer(self, stages, b).statements()
            )
        return self._serial_axes(
            list(stage.axes[:-1]), {}, lambda b: self._across_own_axis(stage, axis, b)
        )

    def _across_own_axis(self, stage: Stage, axis: Var, bound: dict[Var, Expr]) -> list[Stmt]:
        """A reduction for a vector of points of an own axis at a time."""
        from tilewright.ir.lower.reducer import Reducer

        def block(origin: Expr, lanes: int) -> list[Stmt]:
            lane = Var(f"{axis.name}_v", lanes)
            inner = {**bound, axis: build.add(origin, lane)}
            return Reducer(self, [stage], inner, lane).statements()

        assert axis.extent is not None
        return self.strips(axis, axis.extent, block)

    # Maps.

    def _over_own_axes(
        self,
        stage: Stage,
        axes: Sequence[Var],
        bound: dict[Var, Expr],
        make: Callable[[Stage, dict[Var, Expr]], list[Stmt]],
    ) -> list[Stmt]:
        if not axes:
            return make(stage, bound)
        if self.schedule.vector == INNER:
            axis = lane_axis(axes)
            first = axes.index(axis)
            between = list(axes[first + 1 :])
            return self._serial_axes(
                list(axes[:first]), bound, lambda b: self._vector_map(stage, axis, between, b)
            )
        return self._serial_axes(list(axes), bound, lambda b: make(stage, b))

    def _serial_axes(
        self,
        axes: list[Var],
        bound: dict[Var, Expr],
        make: Callable[[dict[Var, Expr]], list[Stmt]],
    ) -> list[Stmt]:
        if not axes:
            return make(bound)
        axis, *rest = axes
        extent = self.extent(axis, bound)
        if isinstance(extent, int) and extent <= EXPANDED_AXIS:
            # Stores to neighbouring elements meet, and choices by position are decided.
            body: list[Stmt] = []
            for k in range(extent):
                body += self._serial_axes(rest, {**bound, axis: build.index(k)}, make)
            return body
        counter = Var(axis.name, extent)
        inner = self._serial_axes(rest, {**bound, axis: counter}, make)
        return [For(counter, "serial", inner)]

    def _map_point(self, stage: Stage, bound: dict[Var, Expr]) -> list[Stmt]:
        return self.over_tile(lambda point: [point.store(stage, bound)])

    def _vector_map(
        self, stage: Stage, axis: Var, between: list[Var], bound: dict[Var, Expr]
    ) -> list[Stmt]:
        """An own axis across lanes: blocks of `unroll` vectors, then what is left. The short axes
        `between` its points are expanded inside of a block. Where a few points at an end choose
        by position (``np.concatenate``), they stand apart."""

        def at(place: Expr, lanes: Var | None) -> list[Stmt]:
            def across(inner: dict[Var, Expr]) -> list[Stmt]:
                body = self._map_point(stage, inner)
                return [For(lanes, "vector", body, self.schedule.width)] if lanes else body

            return self._serial_axes(between, {**bound, axis: place}, across)

        extent = self.extent(axis, bound)
        start, stop = self._few_apart(stage, axis, extent)

        def block(origin: Expr, lanes: int) -> list[Stmt]:
            lane = Var(f"{axis.name}_v", lanes)
            return at(build.add(build.add(origin, build.index(start)), lane), lane)

        if not isinstance(extent, int):
            return self.strips(axis, extent, block)
        before = [s for k in range(start) for s in at(build.index(k), None)]
        after = [s for k in range(stop, extent) for s in at(build.index(k), None)]
        return [*before, *self.strips(axis, stop - start, block), *after]

    def _few_apart(self, stage: Stage, axis: Var, extent: Size) -> tuple[int, int]:
        """The part of an own axis in which index expressions keep one form, if that leaves out
        some points but no more than a few."""
        if not isinstance(extent, int):
            return 0, 0
        inside = interior((stage,), axis)
        outside = extent - inside.size
        return (inside.start, inside.stop) if outside <= _MOST_APART else (0, extent)

    def strips(
        self, axis: Var, extent: Size, block: Callable[[Expr, int], list[Stmt]]
    ) -> list[Stmt]:
        """``block(origin, lanes)`` over an axis: whole blocks, then the rest."""
        lanes = self.schedule.width * self.schedule.unroll
        body: list[Stmt] = []
        if isinstance(extent, int):
            if extent >= lanes:
                counter = Var(f"{axis.name}_b", extent // lanes)
                inner = block(build.mul(counter, build.index(lanes)), lanes)
                body.append(For(counter, "serial", inner))
            for first, count in self._tail(extent, extent % lanes):
                body += block(build.index(first), count) if count else []
            return body
        whole = build.floordiv(extent, build.index(lanes))
        counter = Var(f"{axis.name}_b", whole)
        body.append(For(counter, "serial", block(build.mul(counter, build.index(lanes)), lanes)))
        done = build.mul(whole, build.index(lanes))
        rest = Var(f"{axis.name}_r", build.sub(extent, done))
        body.append(For(rest, "serial", block(build.add(done, rest), 1)))
        return body

    # Scans.

    def _scan(self, stage: Stage) -> list[Stmt]:
        """Running combination along the last own axis, one element after the other."""
        from tilewright.ir.lower.reducer import combine

        op = COMBINERS[stage.combined_by].op
        assert op is not None
        dtype = stage.value.dtype

        def run(bound: dict[Var, Expr]) -> list[Stmt]:
            total = self.register(f"{stage.target.name}_run", dtype, ())
            axis = stage.axes[-1]
            counter = Var(axis.name, self.extent(axis, bound))
            inner = {**bound, axis: counter}

            def start(point: Point) -> list[Stmt]:
                first = identity(stage.combined_by, dtype)
                return [Store(total, point.tile, first)]

            def step(point: Point) -> list[Stmt]:
                old = Load(total, point.tile)
                value = combine(op, old, point.value(stage.value, inner))
                return [
                    Store(total, point.tile, value),
                    point.store_value(stage, inner, Load(total, point.tile)),
                ]

            return [*self.over_tile(start), For(counter, "serial", self.over_tile(step))]

        return self._serial_axes(list(stage.axes[:-1]), {}, run)

    def extent(self, axis: Var, bound: dict[Var, Expr]) -> Size:
        assert axis.extent is not None
        if isinstance(axis.extent, int):
            return axis.extent
        return substitute(axis.extent, {**self.points, **bound})

    # Storage.

    def register(self, name: str, dtype: DType, own: tuple[int, ...]) -> Buffer:
        """A register buffer with an element for every point of the tile (and of `own`)."""
        shape = (*(self.tiles[a].size for a in self.tiled), *own)
        buffer = Buffer(name, shape, dtype, "register")
        self.locals.append(buffer)
        return buffer

    def place(
        self, local: Buffer, tile: tuple[Expr, ...], indices: tuple[Expr, ...]
    ) -> tuple[Expr, ...]:
        """Indices into the storage of a local, at a point of the tile."""
        if local.shape and self.schedule.vector != INNER:
            return (*indices, *tile)
        return (*tile, *indices)

    def placed(self, local: Buffer) -> Buffer:
        """The storage of one of the nest's locals in the current tile."""
        found = self.storage.get(local)
        if found is None:
            if not local.shape:
                found = self.register(local.name, local.dtype, ())
            else:
                tile = tuple(self.tiles[a].size for a in self.tiled)
                shape = (
                    (*tile, *local.shape)
                    if self.schedule.vector == INNER
                    else (*local.shape, *tile)
                )
                found = Buffer(local.name, shape, local.dtype, "scratch")
                self.locals.append(found)
            self.storage[local] = found
        return found


class Point(Struct, frozen=True):
    """One point of the tile: the tile counters, and the outer axes' values."""

    lowering: NestLowering
    tile: tuple[Expr, ...]
    bindings: dict[Var, Expr]

    def value(
        self, node: Expr, bound: dict[Var, Expr], memo: dict[Expr, Expr] | None = None
    ) -> Expr:
        """`node` with axes bound and locals read from their storage."""

        def load(old: Load) -> Expr | None:
            source = old.source
            if isinstance(source, Buffer) and source in self.lowering.nest.locals:
                return Load(self.lowering.placed(source), self.place(source, old.indices))
            return None

        return substitute(node, {**self.bindings, **bound}, load, memo)

    def place(self, local: Buffer, indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Indices into the storage of a local."""
        return self.lowering.place(local, self.tile, indices)

    def store(self, stage: Stage, bound: dict[Var, Expr]) -> Store:
        return self.store_value(stage, bound, self.value(stage.value, bound))

    def store_value(self, stage: Stage, bound: dict[Var, Expr], value: Expr) -> Store:
        indices = tuple(self.value(i, bound) for i in stage.indices)
        if stage.target in self.lowering.nest.locals:
            target = self.lowering.placed(stage.target)
            return Store(target, self.place(stage.target, indices), value)
        return Store(stage.target, indices, value)


def together(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Stages in order; neighbours that reduce over equal axes, and do not need each other, share
    a group."""
    groups: list[list[Stage]] = []
    for stage in stages:
        if groups and _shares_loop(groups[-1], stage):
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def _shares_loop(group: list[Stage], stage: Stage) -> bool:
    first = group[0]
    if not first.reduce_axes or not stage.reduce_axes or first.axes or stage.axes:
        return False
    if [a.extent for a in first.reduce_axes] != [a.extent for a in stage.reduce_axes]:
        return False
    made = {s.target for s in group}
    return not any(isinstance(n, Load) and n.source in made for n in post_order((stage.value,)))


def _decides(nest: Nest, axis: Var) -> bool:
    """Whether a choice by position depends on a short axis alone: each of its points then gets
    code of its own."""
    if not isinstance(axis.extent, int) or axis.extent > EXPANDED_AXIS:
        return False
    for stage in nest.stages:
        for node in post_order((stage.value,)):
            if isinstance(node, Apply) and node.op in ops.COMPARISONS and axis in node.operands:
                return True
    return False
