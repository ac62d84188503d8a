"""A nest and a schedule -> a kernel of loops.

Outer axes are walked tile by tile; what is left over at the end of an axis is a smaller tile with
code of its own (or single points, where the extent is open). Inside a tile every stage runs over
all points of the tile: locals without axes of their own are registers, others are scratch memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Size, Var, post_order
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer, For, Kernel, LoopKind, Stmt, Store
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, plan_levels
from tilewright.ir.lower.segments import Interior, interior
from tilewright.ir.lower.simplify_indices import simplify_indices
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import substitute

INNER = "inner"
_EXPANDED_AXIS = 4


def lower_nest(nest: Nest, schedule: Schedule, name: str) -> Kernel:
    """The CPU form of a nest: tile loops, the first of them cut into tasks."""
    return NestLowering(nest, schedule).kernel(name)


@dataclass(slots=True)
class Tile:
    """Where the current tile begins on an axis, and how many points it has there."""

    origin: Expr
    size: int


@dataclass(slots=True)
class Span:
    """The tiles of an axis that the current cache block holds: `count` of `size` points each."""

    origin: Expr
    count: Size
    size: int


class NestLowering:
    """State of one lowering: the current tile, and the locals that have been given storage."""

    def __init__(self, nest: Nest, schedule: Schedule) -> None:
        self.nest = nest
        self.schedule = schedule
        tile = schedule.tile or (1,) * len(nest.outer)
        if len(tile) != len(nest.outer) or min(tile, default=1) < 1:
            raise IRError(f"tile {tile} does not fit {len(nest.outer)} outer axes")
        self.sizes = dict(zip(nest.outer, tile, strict=True))
        order = schedule.order or tuple(range(len(nest.outer)))
        self.order = [nest.outer[k] for k in order]
        self.vector_axis = nest.outer[schedule.vector] if isinstance(schedule.vector, int) else None
        self.blocks = self._cache_blocks()
        self.levels = [a for a in self.order if a in self.blocks] + self.order
        self.tiles: dict[Var, Tile] = {}
        self.spans: dict[Var, Span] = {}
        self.points: dict[Var, Expr] = {}
        self.storage: dict[Buffer, Buffer] = {}
        self.locals: list[Buffer] = []
        self.at_border = False
        self.deciding = {a for a in nest.outer if a is not self.vector_axis and _decides(nest, a)}

    def kernel(self, name: str) -> Kernel:
        body = simplify_indices(self.outer_loops(0))
        return finish_kernel(name, body, self.locals)

    # The walk over outer tiles.

    def outer_loops(self, position: int) -> list[Stmt]:
        if position == len(self.levels):
            return self.tile_body()
        axis = self.levels[position]
        extent, size = axis.extent, self.sizes[axis]
        assert extent is not None
        if position < len(self.blocks):
            return self._blocks_of(position, axis)
        if axis in self.spans:
            return self._tiles_of(position, axis, self.spans[axis])
        if isinstance(extent, int):
            if axis is self.vector_axis:
                inside = interior(self.nest, axis)
                if (inside.start, inside.stop) != (0, extent):
                    return self._cut(position, axis, inside)
            return self._static_tiles(position, axis, 0, extent, size)
        full = build.size_floordiv(extent, size) if size > 1 else extent
        body = self._full_tiles(position, axis, 0, full, size)
        return body if size == 1 else body + self._open_tail(position, axis, extent, size)

    # Cache blocks: loops over some tiles of an axis, outside of the loops over tiles.

    def _cache_blocks(self) -> dict[Var, int]:
        """Tiles in a cache block, of each axis that has blocks; borders and open axes have none."""
        blocks: dict[Var, int] = {}
        given = self.schedule.cache_block or (0,) * len(self.nest.outer)
        for axis, points in zip(self.nest.outer, given, strict=True):
            tiles, rest = divmod(points, self.sizes[axis])
            if rest:
                raise IRError(f"a cache block of {points} is cut by tiles of {self.sizes[axis]}")
            if not tiles or not isinstance(axis.extent, int):
                continue
            inside = interior(self.nest, axis) if axis is self.vector_axis else None
            if inside is None or (inside.start, inside.stop) == (0, axis.extent):
                blocks[axis] = tiles
        return blocks

    def _blocks_of(self, position: int, axis: Var) -> list[Stmt]:
        """The loop over an axis' blocks; the smaller tile at the end is a block of its own."""
        assert isinstance(axis.extent, int)
        size, each = self.sizes[axis], self.blocks[axis]
        full, rest = divmod(axis.extent, size)
        body: list[Stmt] = []
        if full:
            counter = Var(f"{axis.name}_b", -(-full // each))
            first = build.mul(counter, build.index(each))
            count: Size = each
            if full % each:
                count = build.minimum(build.index(each), build.sub(build.index(full), first))
            self.spans[axis] = Span(build.mul(first, build.index(size)), count, size)
            body.append(For(counter, "serial", self.outer_loops(position + 1)))
        if rest:
            self.spans[axis] = Span(build.index(full * size), 1, rest)
            body += self.outer_loops(position + 1)
        return body

    def _tiles_of(self, position: int, axis: Var, span: Span) -> list[Stmt]:
        """The loop over the tiles of the current block."""
        counter = Var(f"{axis.name}_t", span.count)
        origin = build.add(span.origin, build.mul(counter, build.index(span.size)))
        self.tiles[axis] = Tile(origin, span.size)
        kind: LoopKind = "parallel" if self._tasks_at(position) > 1 else "serial"
        return [For(counter, kind, self.outer_loops(position + 1))]

    def _tasks_at(self, position: int) -> int:
        """Tasks that a loop is cut into: the first loop over tiles, inside of the blocks."""
        return self.schedule.chunks if position == len(self.blocks) else 1

    # Tiles.

    def _cut(self, position: int, axis: Var, inside: Interior) -> list[Stmt]:
        """Borders of the vector axis point by point, the interior in tiles."""
        extent, size = axis.extent, self.sizes[axis]
        assert isinstance(extent, int)
        self.at_border = True
        body = self._static_tiles(position, axis, 0, inside.start, 1)
        self.at_border = False
        body += self._static_tiles(position, axis, inside.start, inside.stop, size)
        self.at_border = True
        body += self._static_tiles(position, axis, inside.stop, extent, 1)
        self.at_border = False
        return body

    def _static_tiles(
        self, position: int, axis: Var, start: int, stop: int, size: int
    ) -> list[Stmt]:
        """Tiles over ``start … stop - 1``, a smaller one at the end."""
        full, rest = divmod(stop - start, size)
        body = self._full_tiles(position, axis, start, full, size) if full else []
        if rest:
            self.tiles[axis] = Tile(build.index(start + full * size), rest)
            body += self.outer_loops(position + 1)
        return body

    def _full_tiles(
        self, position: int, axis: Var, start: int, full: Size, size: int
    ) -> list[Stmt]:
        chunks = self._tasks_at(position)
        if full == 1:
            self.tiles[axis] = Tile(build.index(start), size)
            return self.outer_loops(position + 1)
        if chunks <= 1:
            counter = Var(f"{axis.name}_t", full)
            origin = build.add(build.mul(counter, build.index(size)), build.index(start))
            self.tiles[axis] = Tile(origin, size)
            return [For(counter, "serial", self.outer_loops(position + 1))]
        return self._chunked(position, axis, start, full, size, chunks)

    def _chunked(
        self, position: int, axis: Var, start: int, full: Size, size: int, chunks: int
    ) -> list[Stmt]:
        """Tasks of equal numbers of tiles; the last may have fewer."""
        if isinstance(full, int):
            whole = -(-full // min(chunks, full))
            each: Size = whole
            count: Size = -(-full // whole)
        else:
            each = build.size_floordiv(build.size_add(full, chunks - 1), chunks)
            count = chunks
        chunk = Var(f"{axis.name}_c", count)
        first = build.mul(chunk, build.index(each))
        left = build.sub(build.index(full), first)
        extent: Size = each
        if not (isinstance(full, int) and isinstance(each, int) and full % each == 0):
            extent = build.minimum(build.index(each), left)
        counter = Var(f"{axis.name}_t", extent)
        tile = build.mul(build.add(first, counter), build.index(size))
        self.tiles[axis] = Tile(build.add(tile, build.index(start)), size)
        inner = For(counter, "serial", self.outer_loops(position + 1))
        return [For(chunk, "parallel", [inner])]

    def _open_tail(self, position: int, axis: Var, extent: Expr, size: int) -> list[Stmt]:
        """Points after the last full tile of an open axis, one by one."""
        done = build.mul(build.floordiv(extent, build.index(size)), build.index(size))
        counter = Var(f"{axis.name}_r", build.sub(extent, done))
        self.tiles[axis] = Tile(build.add(done, counter), 1)
        return [For(counter, "serial", self.outer_loops(position + 1))]

    # One tile.

    def tile_body(self) -> list[Stmt]:
        """All stages over the current tile."""
        self.points = {axis: tile.origin for axis, tile in self.tiles.items()}
        self.storage = {}
        body: list[Stmt] = []
        for stages in _together(self.nest.stages):
            body += self.stage(stages)
        return body

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
        if stage.combiner.startswith("scan:"):
            return self._scan(stage)
        return self._serial_axes(
            list(stage.axes), {}, lambda b: Reducer(self, stages, b).statements()
        )

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
            return self._serial_axes(
                list(axes[:-1]), bound, lambda b: self._vector_map(stage, axes[-1], b)
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
        if isinstance(extent, int) and extent <= _EXPANDED_AXIS:
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

    def _vector_map(self, stage: Stage, axis: Var, bound: dict[Var, Expr]) -> list[Stmt]:
        """The last own axis across lanes: blocks of `unroll` vectors, then what is left."""

        def block(origin: Expr, lanes: int) -> list[Stmt]:
            lane = Var(f"{axis.name}_v", lanes)
            inner = {**bound, axis: build.add(origin, lane)}
            return [For(lane, "vector", self._map_point(stage, inner), self.schedule.width)]

        return self.strips(axis, self.extent(axis, bound), block)

    def strips(
        self, axis: Var, extent: Size, block: Callable[[Expr, int], list[Stmt]]
    ) -> list[Stmt]:
        """``block(origin, lanes)`` over an axis: whole blocks, then the exact rest."""
        lanes = self.schedule.width * self.schedule.unroll
        body: list[Stmt] = []
        if isinstance(extent, int):
            if extent >= lanes:
                counter = Var(f"{axis.name}_b", extent // lanes)
                inner = block(build.mul(counter, build.index(lanes)), lanes)
                body.append(For(counter, "serial", inner))
            if extent % lanes:
                body += block(build.index(extent - extent % lanes), extent % lanes)
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
        op = COMBINERS[(stage.combiner or "")[5:]].op
        assert op is not None
        dtype = stage.value.dtype

        def run(bound: dict[Var, Expr]) -> list[Stmt]:
            total = self.register(f"{stage.target.name}_run", dtype, ())
            axis = stage.axes[-1]
            counter = Var(axis.name, self.extent(axis, bound))
            inner = {**bound, axis: counter}

            def start(point: Point) -> list[Stmt]:
                first = identity((stage.combiner or "")[5:], dtype)
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


@dataclass(frozen=True, slots=True)
class Point:
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
        if local.shape and self.lowering.schedule.vector != INNER:
            return (*indices, *self.tile)
        return (*self.tile, *indices)

    def store(self, stage: Stage, bound: dict[Var, Expr]) -> Store:
        return self.store_value(stage, bound, self.value(stage.value, bound))

    def store_value(self, stage: Stage, bound: dict[Var, Expr], value: Expr) -> Store:
        indices = tuple(self.value(i, bound) for i in stage.indices)
        if stage.target in self.lowering.nest.locals:
            target = self.lowering.placed(stage.target)
            return Store(target, self.place(stage.target, indices), value)
        return Store(stage.target, indices, value)


@dataclass(frozen=True, slots=True)
class Sum:
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

    All of them run in one loop: what they read in common is read once.
    """

    def __init__(
        self, lowering: NestLowering, stages: Sequence[Stage], bound: dict[Var, Expr]
    ) -> None:
        self.lowering = lowering
        self.axes = stages[0].reduce_axes
        self.bound = bound
        self.sums = [self._sum(stage) for stage in stages]
        schedule = lowering.schedule
        self.lanes = schedule.width * schedule.unroll if schedule.vector == INNER else 0
        last = self.axes[-1].extent
        if self.lanes and isinstance(last, int):
            self.lanes = min(self.lanes, max(1, last))
        self.levels = self._plan()

    def _sum(self, stage: Stage) -> Sum:
        combiner = COMBINERS[stage.combiner or ""]
        assert combiner.op is not None
        renamed: dict[Var, Expr] = dict(zip(stage.reduce_axes, self.axes, strict=True))
        value = stage.value if stage.reduce_axes == self.axes else substitute(stage.value, renamed)
        return Sum(stage, combiner.op, identity(combiner.name, value.dtype), value)

    def _plan(self) -> list[tuple[int, ...]]:
        rounded = [s for s in self.sums if s.dtype.is_float and s.op in (ops.ADD, ops.MUL)]
        if not rounded:
            return [()] * len(self.axes)
        extents = [a.extent if isinstance(a.extent, int) else None for a in self.axes]
        if self.lanes and extents[-1] is not None:
            extents[-1] = -(-extents[-1] // self.lanes)
        plain = any(not is_product(s.stage) for s in rounded)
        run = self.lowering.schedule.reduce_block or (SUM_RUN if plain else PRODUCT_RUN)
        return plan_levels(extents, run)

    def statements(self) -> list[Stmt]:
        totals = self._accumulators(0)
        body = self._initial(totals)
        body += self._axis(0, dict(self.bound), totals)
        return body + self.lowering.over_tile(
            lambda point: [
                self._finish(point, s, t) for s, t in zip(self.sums, totals, strict=True)
            ]
        )

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
            return self._accumulate(bound, totals, ())
        axis = self.axes[position]
        extent = self.lowering.extent(axis, bound)
        if self.lanes and position == len(self.axes) - 1:
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
        """Whether a loop is expanded; a border has few points and should have little code."""
        most = 0 if self.lowering.at_border else self.lowering.schedule.unroll_reduce
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
        rest = Var(f"{axis.name}_r", build.sub(extent, done))
        return [*body, For(rest, "serial", block(build.add(done, rest), 1, totals))]

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
        load = LaneReduce(one.op, total, point.tile) if self.lanes else Load(total, point.tile)
        value: Expr = load
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


def _together(stages: Sequence[Stage]) -> list[list[Stage]]:
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
    if not isinstance(axis.extent, int) or axis.extent > _EXPANDED_AXIS:
        return False
    for stage in nest.stages:
        for node in post_order((stage.value,)):
            if isinstance(node, Apply) and node.op in ops.COMPARISONS and axis in node.operands:
                return True
    return False


def finish_kernel(name: str, body: Sequence[Stmt], local: Sequence[Buffer]) -> Kernel:
    """The kernel of `body`: parameters and symbols are what occurs in it."""
    from tilewright.ir.kernel import expressions, loaded_buffers, statements

    used: dict[Buffer, None] = {}
    for buffer in loaded_buffers(body):
        used[buffer.root] = None
    bound: set[Var] = set()
    free: dict[Var, None] = {}
    for stmt in statements(body):
        if isinstance(stmt, Store):
            used[stmt.buffer.root] = None
        if isinstance(stmt, For):
            bound.add(stmt.var)
        for node in post_order(expressions(stmt)):
            if isinstance(node, Var):
                free[node] = None
    parameters = tuple(b for b in used if b.space == "global")
    symbols = tuple(v for v in free if v not in bound)
    kept = tuple(b for b in local if b in used)
    return Kernel(name, parameters, symbols, kept, tuple(body))


def _ceiling(extent: Size, size: int) -> Size:
    return build.size_floordiv(build.size_add(extent, size - 1), size)


def _floor(extent: Size, size: int) -> Size:
    return build.size_floordiv(extent, size)


__all__ = ["F32", "INNER", "NestLowering", "Point", "combine", "finish_kernel", "lower_nest"]
