"""One reducing stage of a nest, for the texel that a fragment makes.

In: the stage's value with outer axes as digits. Out: statements that leave the result in a register
and the expression that reads it. Where the four lanes reduce different data each has its own
accumulator; where they would all reduce the same, the reduced axis itself lies across the lanes.
Sums are trees: short runs, expanded blocks and lanes are combined by halving (`numerics.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer, For, LoopKind, Stmt, Store
from tilewright.ir.lower.nest import combine, is_product
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN
from tilewright.ir.lower.unravel import LANES, static_extent
from tilewright.ir.program import Stage
from tilewright.ir.ranges import largest
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.lower.fragment_grid import FragmentLowering

SUM_RUN = 8

Bindings = dict[Var, Expr]
Body = Callable[[Expr, Buffer], list[Stmt]]


def with_static_axes(stage: Stage) -> Stage:
    """The stage with reduced axes of static extents: what lies past a shorter one is left out.

    The lanes of a fragment run in step, so that they cannot loop differently often.
    """
    if all(isinstance(axis.extent, int) for axis in stage.reduce_axes):
        return stage
    axes: list[Var] = []
    bindings: dict[Var, Expr] = {}
    inside: Expr = build.TRUE
    for axis in stage.reduce_axes:
        assert axis.extent is not None
        most = largest(axis.extent)
        if most is None:
            raise UnsupportedError(
                f"{stage.target.name} reduces the open dimension {axis.name}, and a fragment needs "
                "known sizes",
                loc=stage.loc,
            )
        axes.append(Var(axis.name, most))
        bindings[axis] = axes[-1]
        if isinstance(axis.extent, Expr):
            extent = substitute(axis.extent, dict(bindings))
            inside = build.logical_and(inside, build.lt(axes[-1], extent))
    value = substitute(stage.value, bindings)
    value = build.select(inside, value, identity(stage.combiner or "", value.dtype))
    return replace(stage, reduce_axes=tuple(axes), value=value)


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
        self.expanded = _points(self.axes) <= lowering.schedule.unroll_reduce
        last = static_extent(self.axes[-1])
        whole = last % LANES == 0
        self.across = not self.laned and last >= LANES and (whole or len(self.axes) == 1)
        self.lanes = LANES if self.across else 1
        self.block = max(1, last // self.lanes) if self.expanded else self._block_size(last)
        self.runs = self._plan_runs()
        self.total = self._register(self.laned or self.across)
        self.rest = self._register(False) if self.across and not whole else None

    @property
    def _is_sum(self) -> bool:
        """Whether rounding errors grow with the length of a run, and nothing bounds it yet."""
        return self.value.dtype.is_float and self.op in (ops.ADD, ops.MUL)

    def _block_size(self, last: int) -> int:
        """How many points (or vectors of points) one iteration handles: a power of two, the largest
        that leaves no rest if that is at least four."""
        available = max(1, last // self.lanes)
        block = 1
        while 2 * block <= min(available, self.lowering.schedule.unroll):
            block *= 2
        whole = block
        while whole >= LANES and available % whole:
            whole //= 2
        return whole if whole >= LANES else block

    def _plan_runs(self) -> dict[Var, int]:
        """For every axis, how many iterations may add to one register before it is put away."""
        budget = max(1, PRODUCT_RUN // self.block) if is_product(self.stage) else SUM_RUN
        runs: dict[Var, int] = {}
        count = static_extent(self.axes[-1]) // (self.lanes * self.block)
        for axis, outside in zip(
            reversed(self.axes), (*reversed(self.axes[:-1]), None), strict=True
        ):
            runs[axis] = budget
            budget = max(1, budget // max(1, count)) if count <= budget else 1
            count = static_extent(outside) if outside is not None else 1
        return runs

    def statements(self) -> list[Stmt]:
        body = self._clear(self.total)
        if self.rest is not None:
            body += self._clear(self.rest)
        return body + self._axis(0, {}, self.total)

    def result(self) -> Expr:
        """The reduced value, once the statements have run."""
        value: Expr = self._read(self.total)
        if self.across:
            value = LaneReduce(self.op, self.total)
        if self.rest is not None:
            value = combine(self.op, value, self._read(self.rest))
        return build.cast(value, F16) if self.wide else value

    # Loops over the reduced axes.

    def _axis(self, number: int, bound: Bindings, total: Buffer) -> list[Stmt]:
        """Accumulate everything from axis `number` inwards into `total`."""
        axis = self.axes[number]
        extent = static_extent(axis)
        if number == len(self.axes) - 1:
            return self._last_axis(axis, extent, bound, total)

        def inside(index: Expr, into: Buffer) -> list[Stmt]:
            return self._axis(number + 1, {**bound, axis: index}, into)

        return self._loop(axis.name, extent, total, inside, self.runs[axis])

    def _last_axis(self, axis: Var, extent: int, bound: Bindings, total: Buffer) -> list[Stmt]:
        """The innermost axis: expanded blocks, then what is left of them."""
        step = self.lanes * self.block

        def blocks(index: Expr, into: Buffer) -> list[Stmt]:
            start = build.mul(index, build.index(step))
            return self._block_body(axis, start, self.block, bound, into)

        body: list[Stmt] = []
        if extent >= step:
            body += self._loop(axis.name, extent // step, total, blocks, self.runs[axis])
        return body + self._tail(axis, extent - extent % step, extent, bound, total)

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
        count = (extent - start) // self.lanes
        body: list[Stmt] = []
        if count:
            body += self._block_body(axis, build.index(start), count, bound, total)
        start += count * self.lanes
        if self.rest is None or start == extent:
            return body
        point = Var(f"{axis.name}_r", extent - start)
        add = self._add({**bound, axis: build.add(build.index(start), point)}, self.rest)
        return [*body, For(point, "unroll", add)]

    def _loop(self, name: str, count: int, total: Buffer, make: Body, run: int) -> list[Stmt]:
        """`count` iterations; of a long sum at most `run` between partial results."""
        if self.expanded or not self._is_sum or count <= run:
            counter = Var(name, count)
            kind: LoopKind = "unroll" if self.expanded else "serial"
            return [For(counter, kind, make(counter, total))]
        size = _run_length(count, run)
        partial = self._register(bool(total.shape))

        def one_run(number: Expr, into: Buffer) -> list[Stmt]:
            first = build.mul(number, build.index(size))
            length: Size = size
            if count % size:
                length = build.minimum(build.index(size), build.sub(build.index(count), first))
            counter = Var(name, length)
            return [
                *self._clear(partial),
                For(counter, "serial", make(build.add(first, counter), partial)),
                *self._accumulate(into, self._read(partial)),
            ]

        return self._loop(f"{name}_run", -(-count // size), total, one_run, SUM_RUN)

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


def _points(axes: tuple[Var, ...]) -> int:
    """How many points the axes have together."""
    total = 1
    for axis in axes:
        total *= static_extent(axis)
    return total


def _run_length(count: int, run: int) -> int:
    """The largest number up to `run` that divides `count`, if one is long enough."""
    for size in range(run, max(1, run // 2), -1):
        if count % size == 0:
            return size
    return run
