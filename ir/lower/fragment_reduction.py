"""One reducing stage of a nest, for the texel that a fragment makes.

In: the stage's value with outer axes as digits. Out: statements that leave the result in a register
and the expression that reads it. Where the four lanes reduce different data each has its own
accumulator; where they would all reduce the same, the reduced axis itself lies across the lanes.
Sums are trees: short runs, expanded blocks and lanes are combined by halving (`numerics.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer, For, Stmt, Store
from tilewright.ir.lower.nest import combine, is_product
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Stage
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.lower.fragment_grid import FragmentLowering

SUM_RUN = 8

Bindings = dict[Var, Expr]
Body = Callable[[Bindings, Buffer], list[Stmt]]


class FragmentReduction:
    """The loops and registers of one reducing stage."""

    def __init__(self, lowering: FragmentLowering, stage: Stage, value: Expr) -> None:
        combiner = COMBINERS[stage.combiner or ""]
        if combiner.op is None:
            raise IRError(f"{combiner.name} must be lowered before fragments are")
        self.lowering = lowering
        self.stage = stage
        self.op = combiner.op
        # Half precision is only rounded once, at the end.
        self.wide = value.dtype is F16 and self.op in (ops.ADD, ops.MUL)
        self.value = build.cast(value, F32) if self.wide else value
        self.identity = identity(combiner.name, self.value.dtype)
        self.laned = lowering.depends_on_lane(value)
        self.axes = stage.reduce_axes
        self.points = _points(self.axes)
        self.expanded = self.points is not None and self.points <= self._most_expanded
        self.across = self._lies_across()
        self.total = self._register(self.laned or self.across)
        self.rest = self._register(False) if self._has_rest() else None

    @property
    def _most_expanded(self) -> int:
        return self.lowering.schedule.unroll_reduce

    @property
    def _is_sum(self) -> bool:
        """Whether rounding errors grow with the length of a run, and nothing bounds it yet."""
        return self.value.dtype.is_float and self.op in (ops.ADD, ops.MUL)

    def _lies_across(self) -> bool:
        last = self.axes[-1].extent
        if self.laned or not isinstance(last, int) or last < LANES:
            return False
        return len(self.axes) == 1 or last % LANES == 0

    def _has_rest(self) -> bool:
        last = self.axes[-1].extent
        return self.across and isinstance(last, int) and last % LANES != 0

    def statements(self) -> list[Stmt]:
        body = self._clear(self.total)
        if self.rest is not None:
            body += self._clear(self.rest)
        return body + self._axis(0, {}, self.total)

    def result(self) -> Expr:
        """The reduced value, once the statements have run."""
        value: Expr
        if self.across:
            value = LaneReduce(self.op, self.total)
        else:
            value = self._read(self.total)
        if self.rest is not None:
            value = combine(self.op, value, self._read(self.rest))
        return build.cast(value, F16) if self.wide else value

    # Loops over the reduced axes.

    def _axis(self, number: int, bound: Bindings, total: Buffer) -> list[Stmt]:
        """Accumulate everything from axis `number` inwards into `total`."""
        axis = self.axes[number]
        extent = self._extent(axis, bound)
        if number == len(self.axes) - 1:
            return self._last_axis(axis, extent, bound, total)

        def inside(index: Expr, into: Buffer) -> list[Stmt]:
            return self._axis(number + 1, {**bound, axis: index}, into)

        return self._runs(axis.name, extent, total, inside, SUM_RUN)

    def _last_axis(
        self, axis: Var, extent: Size, bound: Bindings, total: Buffer
    ) -> list[Stmt]:
        """The innermost axis: expanded blocks, then what is left of them."""
        lanes = LANES if self.across else 1
        block = self._block(extent, lanes)
        if not isinstance(extent, int):
            return self._runs(
                axis.name, extent, total, lambda k, into: self._add({**bound, axis: k}, into), 1
            )
        step = lanes * block

        def blocks(index: Expr, into: Buffer) -> list[Stmt]:
            start = build.mul(index, build.index(step))
            return self._block_body(axis, start, block, bound, into)

        body: list[Stmt] = []
        if extent >= step:
            run = max(1, PRODUCT_RUN // block) if is_product(self.stage) else SUM_RUN
            body += self._runs(axis.name, extent // step, total, blocks, run)
        return body + self._tail(axis, extent - extent % step, extent, bound, total)

    def _block(self, extent: Size, lanes: int) -> int:
        """How many points (or vectors of points) one iteration handles."""
        if not isinstance(extent, int):
            return 1
        available = max(1, extent // lanes)
        if self.expanded:
            return available
        return _block_size(available, self.lowering.schedule.unroll)

    def _block_body(
        self, axis: Var, start: Expr, block: int, bound: Bindings, total: Buffer
    ) -> list[Stmt]:
        if not (self._is_sum and not is_product(self.stage) and block > 1):
            point = Var(f"{axis.name}_u", block)
            body = self._add({**bound, axis: self._point(start, point)}, total)
            return [For(point, "unroll", body)]
        return self._tree(axis, start, block, bound, total)

    def _tree(
        self, axis: Var, start: Expr, block: int, bound: Bindings, total: Buffer
    ) -> list[Stmt]:
        """`block` values side by side, halved until one is left."""
        lane = (self.lowering.lane,) if total.shape else ()
        shape = (block, LANES) if total.shape else (block,)
        parts = Buffer(f"{self.stage.target.name}_parts", shape, self.value.dtype, "register")
        self.lowering.registers.append(parts)
        point = Var(f"{axis.name}_u", block)
        value = substitute(self.value, {**bound, axis: self._point(start, point)})
        fill = Store(parts, (point, *lane), value)
        body: list[Stmt] = [For(point, "unroll", self._each(total, fill))]
        while block > 1:
            half = (block + 1) // 2
            near = Var("near", block - half)
            far = build.add(near, build.index(half))
            pair = combine(self.op, Load(parts, (near, *lane)), Load(parts, (far, *lane)))
            added = Store(parts, (near, *lane), pair)
            body.append(For(near, "unroll", self._each(total, added)))
            block = half
        first = Load(parts, (build.index(0), *lane))
        return [*body, *self._accumulate(total, first)]

    def _point(self, start: Expr, point: Var) -> Expr:
        if not self.across:
            return build.add(start, point)
        offset = build.add(build.mul(point, build.index(LANES)), self.lowering.lane)
        return build.add(start, offset)

    def _tail(
        self, axis: Var, start: int, extent: int, bound: Bindings, total: Buffer
    ) -> list[Stmt]:
        """The points after the last whole block: vectors of them, then single ones."""
        body: list[Stmt] = []
        if self.across:
            vectors = (extent - start) // LANES
            if vectors:
                body += self._block_body(axis, build.index(start), vectors, bound, total)
            start += vectors * LANES
        if start == extent:
            return body
        into = self.rest if self.rest is not None else total
        point = Var(f"{axis.name}_r", extent - start)
        add = self._add({**bound, axis: build.add(build.index(start), point)}, into)
        return [*body, For(point, "unroll", add)]

    def _runs(
        self,
        name: str,
        count: Size,
        total: Buffer,
        make: Callable[[Expr, Buffer], list[Stmt]],
        run: int,
    ) -> list[Stmt]:
        """`count` iterations; of a long sum at most `run` between partial results."""
        if self.expanded or not self._is_sum or (isinstance(count, int) and count <= run):
            counter = Var(name, count)
            kind = "unroll" if self.expanded else "serial"
            return [For(counter, kind, make(counter, total))]
        size = _whole_runs(count, run)
        partial = self._register(bool(total.shape))

        def one_run(number: Expr, into: Buffer) -> list[Stmt]:
            first = build.mul(number, build.index(size))
            length: Size = size
            if not isinstance(count, int) or count % size:
                length = build.minimum(build.index(size), build.sub(build.index(count), first))
            counter = Var(name, length)
            inside = make(build.add(first, counter), partial)
            return [
                *self._clear(partial),
                For(counter, "serial", inside),
                *self._accumulate(into, self._read(partial)),
            ]

        runs = build.size_floordiv(build.size_add(count, size - 1), size)
        return self._runs(f"{name}_run", runs, total, one_run, SUM_RUN)

    # Registers.

    def _register(self, laned: bool) -> Buffer:
        shape = (LANES,) if laned else ()
        made = Buffer(f"{self.stage.target.name}_acc", shape, self.value.dtype, "register")
        self.lowering.registers.append(made)
        return made

    def _place(self, register: Buffer) -> tuple[Expr, ...]:
        return (self.lowering.lane,) if register.shape else ()

    def _read(self, register: Buffer) -> Expr:
        return Load(register, self._place(register))

    def _each(self, register: Buffer, store: Store) -> list[Stmt]:
        return self.lowering.over_lanes([store]) if register.shape else [store]

    def _clear(self, register: Buffer) -> list[Stmt]:
        return self._each(register, Store(register, self._place(register), self.identity))

    def _add(self, bound: Bindings, total: Buffer) -> list[Stmt]:
        return self._accumulate(total, substitute(self.value, dict(bound)))

    def _accumulate(self, total: Buffer, value: Expr) -> list[Stmt]:
        combined = combine(self.op, self._read(total), value)
        return self._each(total, Store(total, self._place(total), combined))

    def _extent(self, axis: Var, bound: Bindings) -> Size:
        assert axis.extent is not None
        if isinstance(axis.extent, int):
            return axis.extent
        return substitute(axis.extent, {**self.lowering.unravel.bindings(), **bound})


def _points(axes: tuple[Var, ...]) -> int | None:
    """How many points the axes have together, if that is known."""
    total = 1
    for axis in axes:
        if not isinstance(axis.extent, int):
            return None
        total *= axis.extent
    return total


def _block_size(available: int, most: int) -> int:
    """A power of two up to `most`: the largest that leaves no rest, if that is at least four."""
    block = 1
    while 2 * block <= min(available, most):
        block *= 2
    whole = block
    while whole >= LANES and available % whole:
        whole //= 2
    return whole if whole >= LANES else block


def _whole_runs(count: Size, run: int) -> int:
    """The length of a run: the largest up to `run` that divides `count`, if one is long enough."""
    if isinstance(count, int):
        for size in range(run, max(1, run // 2), -1):
            if count % size == 0:
                return size
    return run
