"""A contraction -> a kernel in which each workgroup computes a block of rows and columns.

In: a nest that `match_contraction` recognises, and a schedule: `workgroup` is (invocations along
rows, along columns), `tile` the (rows, columns) of one invocation, `stage_tile` how many reduced
points are worked on at a time. Out: as of `workgroup/grid.py`. For each such slice of the reduced
axes the workgroup copies what it needs of both operands into its memory; then each invocation adds
the outer products of its rows and columns to accumulators in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Barrier, Buffer, For, If, Kernel, Stmt, Store
from tilewright.ir.lower.check_schedule import LANES
from tilewright.ir.lower.contraction import Contraction, match_contraction, unit_stride
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.nest import NestLowering, Point
from tilewright.ir.lower.reducer import combine
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN
from tilewright.ir.lower.workgroup.grid import guarded, on_grid, split_index, static_extent
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import substitute

_EXPANDED_DEPTH = 4


class Side(Struct):
    """Rows or columns: the outer axes, flattened, and the block of them of this workgroup.

    `number` is that of the block, `first` where this invocation's points begin inside of it.
    """

    axes: tuple[Var, ...]
    operands: tuple[Expr, ...]
    tile: int
    threads: int
    number: Expr
    first: Expr
    shared: tuple[Buffer, ...]

    @property
    def sizes(self) -> list[int]:
        return [static_extent(a) for a in self.axes]

    @property
    def extent(self) -> int:
        return _product(self.sizes)

    @property
    def block(self) -> int:
        return self.tile * self.threads

    @property
    def origin(self) -> Expr:
        """Where the block begins."""
        return build.mul(self.number, build.index(self.block))

    @property
    def is_partial(self) -> bool:
        return self.extent % self.block != 0


class ContractionLowering(NestLowering):
    """State of the lowering of one contraction."""

    def __init__(self, nest: Nest, schedule: Schedule) -> None:
        super().__init__(nest, replace(schedule, tile=(), vector=None))
        found = match_contraction(nest)
        if found is None or len(schedule.tile) != 2 or len(schedule.workgroup) != 2:
            raise IRError(f"nest {nest.name} is no contraction that this schedule fits")
        if any(t % LANES for t in schedule.tile):
            raise IRError(f"tile {schedule.tile} is not a multiple of {LANES}")
        self.found: Contraction = found
        self.reduced = found.stage.reduce_axes
        self.reduced_sizes = [static_extent(a) for a in self.reduced]
        self.depth = min(schedule.stage_tile, _product(self.reduced_sizes))
        if _product(self.reduced_sizes) % self.depth and not found.vanishes:
            raise IRError(f"slices of {self.depth} do not divide the sums of nest {nest.name}")
        self.threads = schedule.workgroup[0] * schedule.workgroup[1]
        self.lane = Var("lane", self.threads)
        self.group, places = self._blocks(schedule)
        self.points = dict(zip(found.batch, places, strict=False))
        across = build.index(schedule.workgroup[1])
        row, column = build.floordiv(self.lane, across), build.mod(self.lane, across)
        self.rows = self._side(0, schedule, places[-2], row)
        self.columns = self._side(1, schedule, places[-1], column)

    def _blocks(self, schedule: Schedule) -> tuple[Var, list[Expr]]:
        """The workgroup's number, and its coordinates: batch, block of rows, block of columns."""
        counts = [static_extent(a) for a in self.found.batch]
        for axes, tile, threads in zip(
            (self.found.rows, self.found.columns), schedule.tile, schedule.workgroup, strict=True
        ):
            counts.append(-(-_product([static_extent(a) for a in axes]) // (tile * threads)))
        group = Var("group", _product(counts))
        return group, split_index(group, counts)

    def _side(self, which: int, schedule: Schedule, block: Expr, thread: Expr) -> Side:
        """Rows (0) or columns (1)."""
        found = self.found
        axes = (found.rows, found.columns)[which]
        operands = (found.left, found.right)[which]
        tile, threads = schedule.tile[which], schedule.workgroup[which]
        shared = tuple(
            Buffer(("left", "right")[which], (self.depth, length), copied(o).dtype, "workgroup")
            for o, length in zip(operands, shared_rows(found, schedule)[which], strict=True)
        )
        self.locals += shared
        first = build.mul(thread, build.index(tile))
        return Side(axes, operands, tile, threads, block, first, shared)

    def kernel(self, name: str) -> Kernel:
        body: list[Stmt] = []
        for stage in self.nest.stages:
            is_sum = stage is self.found.stage
            body += self._sum(stage) if is_sum else self._map_point(stage, {})
        return finish_kernel(name, on_grid(self.group, self.lane, body), self.locals)

    # This invocation's points.

    def register(self, name: str, dtype: DType, own: tuple[int, ...]) -> Buffer:
        buffer = Buffer(name, (self.rows.tile, self.columns.tile, *own), dtype, "register")
        self.locals.append(buffer)
        return buffer

    def over_tile(self, make: Callable[[Point], list[Stmt]]) -> list[Stmt]:
        row, column = Var("row", self.rows.tile), Var("column", self.columns.tile)
        # Vectors of columns are stored whole, so all or none must be inside.
        whole = self.columns.extent % self.columns.tile == 0
        bindings, clamped = dict(self.points), dict(self.points)
        inside: Expr = build.TRUE
        for side, counter in ((self.rows, row), (self.columns, column)):
            first = build.add(side.origin, side.first)
            place: Expr = build.add(first, counter)
            kept = place
            if side.is_partial:
                together = side is self.columns and whole
                limit = build.index(side.extent)
                inside = build.logical_and(inside, build.lt(first if together else place, limit))
                if together:
                    last = build.index(side.extent - side.tile)
                    kept = build.add(build.minimum(first, last), counter)
                else:
                    kept = build.minimum(place, build.index(side.extent - 1))
            bindings.update(zip(side.axes, split_index(place, side.sizes), strict=True))
            clamped.update(zip(side.axes, split_index(kept, side.sizes), strict=True))
        tile = (row, column)
        body = guarded(make, Point(self, tile, bindings), Point(self, tile, clamped), inside)
        return self._loops(row, column, body, vector=whole)

    def _loops(self, row: Var, column: Var, body: list[Stmt], vector: bool) -> list[Stmt]:
        inner = For(column, "vector", body, LANES) if vector else For(column, "unroll", body)
        return [For(row, "unroll", [inner])]

    # The sum.

    def _sum(self, stage: Stage) -> list[Stmt]:
        """Runs of at most `PRODUCT_RUN` products, whose results are added up."""
        total = self.register("total", stage.value.dtype, ())
        slices = -(-_product(self.reduced_sizes) // self.depth)
        per_run = max(1, PRODUCT_RUN // self.depth)
        body = self._fill(total, build.zero(total.dtype))
        if slices <= per_run:
            body += self._slices(total, slices, build.index(0))
        else:
            body += self._runs(total, slices, per_run)
        finish = self.over_tile(lambda p: [p.store_value(stage, {}, Load(total, p.tile))])
        return body + finish

    def _runs(self, total: Buffer, slices: int, per_run: int) -> list[Stmt]:
        run = Var("run", -(-slices // per_run))
        first = build.mul(run, build.index(per_run))
        count: int | Expr = per_run
        if slices % per_run:
            count = build.minimum(build.index(per_run), build.sub(build.index(slices), first))
        partial = self.register("partial", total.dtype, ())
        body = self._fill(partial, build.zero(total.dtype))
        body += self._slices(partial, count, first)
        body += self._each(
            lambda place: Store(
                total, place, combine(ops.ADD, Load(total, place), Load(partial, place))
            )
        )
        return [For(run, "serial", body)]

    def _slices(self, total: Buffer, count: int | Expr, first: Expr) -> list[Stmt]:
        counter = Var("slice", count)
        start = build.mul(build.add(first, counter), build.index(self.depth))
        body = [*self._copy(self.rows, start), *self._copy(self.columns, start), Barrier()]
        body += [*self._multiply(total, start), Barrier()]
        return [For(counter, "serial", body)]

    def _multiply(self, total: Buffer, start: Expr) -> list[Stmt]:
        """Add the products of the slice from `start` on."""
        expanded = _EXPANDED_DEPTH if self.depth % _EXPANDED_DEPTH == 0 else 1
        outer, inner = Var("depth", self.depth // expanded), Var("k", expanded)
        k = build.add(build.mul(outer, build.index(expanded)), inner)

        reduced = self._reduced_at(build.add(start, k))

        def add(place: tuple[Expr, ...]) -> Stmt:
            known: dict[Expr, Expr] = {}
            for side, counter in zip((self.rows, self.columns), place, strict=True):
                at = (k, build.add(side.first, counter))
                for operand, shared in zip(side.operands, side.shared, strict=True):
                    known[operand] = build.cast(Load(shared, at), operand.dtype)
            value = substitute(self.found.stage.value, {**self.points, **reduced}, memo=known)
            return Store(total, place, combine(ops.ADD, Load(total, place), value))

        return [For(outer, "serial", [For(inner, "unroll", self._each(add))])]

    def _fill(self, buffer: Buffer, value: Expr) -> list[Stmt]:
        return self._each(lambda place: Store(buffer, place, value))

    def _each(self, make: Callable[[tuple[Expr, ...]], Stmt]) -> list[Stmt]:
        row, column = Var("row", self.rows.tile), Var("column", self.columns.tile)
        return self._loops(row, column, [make((row, column))], vector=True)

    # Copying operands into workgroup memory.

    def _copy(self, side: Side, start: Expr) -> list[Stmt]:
        """All operands of a side; see `_copy_operand`."""
        body: list[Stmt] = []
        for operand, shared in zip(side.operands, side.shared, strict=True):
            body += self._copy_operand(side, copied(operand), shared, start)
        return body

    def _copy_operand(self, side: Side, operand: Expr, shared: Buffer, start: Expr) -> list[Stmt]:
        """Vectors along the side's block; neighbours take what is neighbouring in memory."""
        quads = side.block // LANES
        slots = self.depth * quads
        turn, lane = Var("turn", -(-slots // self.threads)), Var("lanes", LANES)
        slot = build.add(build.mul(turn, build.index(self.threads)), self.lane)
        if _is_turned(operand, side.axes, self.reduced):
            quad, k = split_index(slot, (quads, self.depth))
        else:
            k, quad = split_index(slot, (self.depth, quads))
        value = self._element(side, operand, self._coordinates(side, quad, lane), start, k)
        place = build.add(build.mul(quad, build.index(LANES)), lane)
        body: list[Stmt] = [For(lane, "vector", [Store(shared, (k, place), value)], LANES)]
        if slots % self.threads:
            body = [If(build.lt(slot, build.index(slots)), body)]
        return [For(turn, "unroll", body)]

    def _element(self, side: Side, operand: Expr, place: list[Expr], start: Expr, k: Expr) -> Expr:
        """The operand's value at one place of the block; 0 beyond the last reduced point."""
        number = build.add(start, k)
        bindings = {**self.points, **self._reduced_at(number)}
        bindings.update(zip(side.axes, place, strict=True))
        value = substitute(operand, bindings)
        total = _product(self.reduced_sizes)
        if total % self.depth:
            inside = build.lt(number, build.index(total))
            value = build.select(inside, value, build.zero(value.dtype))
        return value

    def _reduced_at(self, number: Expr) -> dict[Var, Expr]:
        """The reduced axes at a point by its number; beyond the last point, at the last."""
        total = _product(self.reduced_sizes)
        if total % self.depth:
            number = build.minimum(number, build.index(total - 1))
        return dict(zip(self.reduced, split_index(number, self.reduced_sizes), strict=True))

    def _coordinates(self, side: Side, quad: Expr, lane: Var) -> list[Expr]:
        """Coordinates on the side's axes, whole vectors on the last one where that is possible."""
        sizes = side.sizes
        first = build.add(side.origin, build.mul(quad, build.index(LANES)))
        if sizes[-1] % LANES:
            place: Expr = build.add(first, lane)
            if side.is_partial:
                place = build.minimum(place, build.index(side.extent - 1))
            return split_index(place, sizes)
        quads = build.add(build.mul(side.number, build.index(side.block // LANES)), quad)
        if side.is_partial:
            quads = build.minimum(quads, build.index(side.extent // LANES - 1))
        *others, last = split_index(quads, [*sizes[:-1], sizes[-1] // LANES])
        return [*others, build.add(build.mul(last, build.index(LANES)), lane)]


def shared_rows(found: Contraction, schedule: Schedule) -> tuple[list[int], list[int]]:
    """How many elements of workgroup memory each reduced point takes, for each operand of the rows
    and of the columns.

    What is turned on the way is stored by neighbours one row apart: rows of an odd number of
    vectors then lie in different banks.
    """
    reduced = found.stage.reduce_axes
    lengths: list[list[int]] = []
    for axes, operands, tile, threads in zip(
        (found.rows, found.columns),
        (found.left, found.right),
        schedule.tile,
        schedule.workgroup,
        strict=True,
    ):
        block = tile * threads
        turned = block if block // LANES % 2 else block + LANES
        lengths.append([turned if _is_turned(o, axes, reduced) else block for o in operands])
    return lengths[0], lengths[1]


def copied(operand: Expr) -> Expr:
    """What of an operand is kept in workgroup memory: a float16 before it becomes a float32, as it
    takes half of the memory."""
    is_widened = isinstance(operand, Apply) and operand.op is ops.CAST
    return operand.operands[0] if is_widened and operand.operands[0].dtype is F16 else operand


def _is_turned(operand: Expr, own: Sequence[Var], reduced: Sequence[Var]) -> bool:
    """Whether neighbours in memory are neighbours along the reduced axes, and not along its own."""
    return unit_stride(operand, reduced[-1]) and not unit_stride(operand, own[-1])


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
