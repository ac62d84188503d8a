"""Reducing stages of a nest, for the texel that a fragment makes.

In: values of stages over the same reduced axes, with outer axes as digits. Out: statements that
leave the results in registers, and the expressions that read them. Where the four lanes reduce
different data each has its own accumulator; where they would all reduce the same, the reduced axis
itself lies across the lanes. Sums are trees: short runs, expanded blocks and lanes are combined by
halving (`numerics.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer, For, LoopKind, Stmt, Store
from tilewright.ir.lower.reducer import combine, is_product
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN
from tilewright.ir.lower.unravel import LANES, static_extent
from tilewright.ir.program import Stage
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.lower.fragment.grid import FragmentLowering

SUM_RUN = 8

Bindings = dict[Var, Expr]
Registers = tuple[Buffer, ...]
Body = Callable[[Expr, Registers], list[Stmt]]


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
    value = build.select(inside, value, identity(stage.combined_by, value.dtype))
    return replace(stage, reduce_axes=tuple(axes), value=value)


class Part:
    """One of the stages that are reduced together: what is combined, and how."""

    def __init__(self, stage: Stage, value: Expr) -> None:
        combiner = COMBINERS[stage.combined_by]
        if combiner.op is None:
            raise IRError(f"{combiner.name} must be lowered before fragments are")
        self.name = stage.target.name
        self.op = combiner.op
        # Half precision is only rounded once, at the end.
        self.wide = value.dtype is F16 and self.op in (ops.ADD, ops.MUL)
        self.value = build.cast(value, F32) if self.wide else value
        self.identity = identity(combiner.name, self.value.dtype)
        self.is_product = is_product(stage)

    @property
    def is_sum(self) -> bool:
        """Whether rounding errors grow with the length of a run."""
        return self.value.dtype.is_float and self.op in (ops.ADD, ops.MUL)


class FragmentReduction:
    """The loops and registers of stages that reduce over the same axes."""

    def __init__(
        self, lowering: FragmentLowering, stages: Sequence[Stage], values: Sequence[Expr]
    ) -> None:
        self.lowering = lowering
        self.parts = [Part(s, v) for s, v in zip(stages, values, strict=True)]
        self.axes = stages[0].reduce_axes
        self.laned = any(lowering.depends_on_lane(value) for value in values)
        self.expanded = _points(self.axes) <= lowering.schedule.unroll_reduce
        last = static_extent(self.axes[-1])
        whole = last % LANES == 0
        self.across = not self.laned and last >= LANES and (whole or len(self.axes) == 1)
        self.lanes = LANES if self.across else 1
        self.block = max(1, last // self.lanes) if self.expanded else self._block_size(last)
        self.runs = self._plan_runs()
        self.totals = self._registers(self.laned or self.across)
        self.rests = self._registers(False) if self.across and not whole else None

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
        products = all(part.is_product for part in self.parts)
        budget = max(1, PRODUCT_RUN // self.block) if products else SUM_RUN
        runs: dict[Var, int] = {}
        count = static_extent(self.axes[-1]) // (self.lanes * self.block)
        outside = [static_extent(axis) for axis in self.axes[:-1]]
        for axis in reversed(self.axes):
            runs[axis] = budget
            budget = max(1, budget // max(1, count))
            count = outside.pop() if outside else 1
        return runs

    def statements(self) -> list[Stmt]:
        body = self._clear(self.totals)
        if self.rests is not None:
            body += self._clear(self.rests)
        return body + self._axis(0, {}, self.totals)

    def results(self) -> list[Expr]:
        """The reduced values, once the statements have run."""
        return [self._result(k, part) for k, part in enumerate(self.parts)]

    def _result(self, number: int, part: Part) -> Expr:
        total = self.totals[number]
        value: Expr = LaneReduce(part.op, total) if self.across else self._read(total)
        if self.rests is not None:
            value = combine(part.op, value, self._read(self.rests[number]))
        return build.cast(value, F16) if part.wide else value

    # Loops over the reduced axes.

    def _axis(self, number: int, bound: Bindings, totals: Registers) -> list[Stmt]:
        """Accumulate everything from axis `number` inwards into `totals`."""
        axis = self.axes[number]
        extent = static_extent(axis)
        if number == len(self.axes) - 1:
            return self._last_axis(axis, extent, bound, totals)

        def inside(index: Expr, into: Registers) -> list[Stmt]:
            return self._axis(number + 1, {**bound, axis: index}, into)

        short = _points(self.axes[number:]) <= self.lowering.schedule.unroll
        return self._loop(axis.name, extent, totals, inside, self.runs[axis], short)

    def _last_axis(self, axis: Var, extent: int, bound: Bindings, totals: Registers) -> list[Stmt]:
        """The innermost axis: expanded blocks, then what is left of them."""
        step = self.lanes * self.block

        def blocks(index: Expr, into: Registers) -> list[Stmt]:
            start = build.mul(index, build.index(step))
            return self._block(axis, start, self.block, bound, into)

        body: list[Stmt] = []
        if extent >= step:
            body += self._loop(axis.name, extent // step, totals, blocks, self.runs[axis])
        return body + self._tail(axis, extent - extent % step, extent, bound, totals)

    def _block(
        self, axis: Var, start: Expr, block: int, bound: Bindings, totals: Registers
    ) -> list[Stmt]:
        """`block` points, written out: plain sums as a tree, everything else one by one."""
        point = Var(f"{axis.name}_u", block)
        inner = {**bound, axis: self._point(start, point)}
        body: list[Stmt] = []
        one_by_one: list[Stmt] = []
        for part, total in zip(self.parts, totals, strict=True):
            if part.is_sum and not part.is_product and block > 1:
                body += self._tree(part, point, block, inner, total)
            else:
                one_by_one += self._add(part, inner, total)
        return [*body, For(point, "unroll", one_by_one)] if one_by_one else body

    def _tree(
        self, part: Part, point: Var, block: int, bound: Bindings, total: Buffer
    ) -> list[Stmt]:
        """`block` values side by side, halved until one is left."""
        lane = self._place(total)
        shape = (block, LANES) if total.shape else (block,)
        terms = Buffer(f"{part.name}_terms", shape, part.value.dtype, "register")
        self.lowering.registers.append(terms)
        fill = Store(terms, (point, *lane), substitute(part.value, dict(bound)))
        body: list[Stmt] = [For(point, "unroll", self._each(total, fill))]
        while block > 1:
            half = (block + 1) // 2
            near = Var("near", block - half)
            far = build.add(near, build.index(half))
            pair = combine(part.op, Load(terms, (near, *lane)), Load(terms, (far, *lane)))
            added = Store(terms, (near, *lane), pair)
            body.append(For(near, "unroll", self._each(total, added)))
            block = half
        first = Load(terms, (build.index(0), *lane))
        return [*body, *self._accumulate(part, total, first)]

    def _point(self, start: Expr, point: Var) -> Expr:
        if not self.across:
            return build.add(start, point)
        offset = build.add(build.mul(point, build.index(LANES)), self.lowering.lane)
        return build.add(start, offset)

    def _tail(
        self, axis: Var, start: int, extent: int, bound: Bindings, totals: Registers
    ) -> list[Stmt]:
        """The points after the last whole block: vectors of them, then single ones."""
        count = (extent - start) // self.lanes
        body: list[Stmt] = []
        if count:
            body += self._block(axis, build.index(start), count, bound, totals)
        if self.rests is None:
            return body
        start += count * self.lanes
        point = Var(f"{axis.name}_r", extent - start)
        inner = {**bound, axis: build.add(build.index(start), point)}
        singles: list[Stmt] = []
        for part, rest in zip(self.parts, self.rests, strict=True):
            singles += self._add(part, inner, rest)
        return [*body, For(point, "unroll", singles)]

    def _loop(
        self,
        name: str,
        count: int,
        totals: Registers,
        make: Body,
        run: int,
        short: bool = False,
    ) -> list[Stmt]:
        """`count` iterations, written out if that is `short`; of long sums at most `run` between
        partial results."""
        sums = any(part.is_sum for part in self.parts)
        if self.expanded or not sums or count <= run:
            counter = Var(name, count)
            kind: LoopKind = "unroll" if self.expanded or short else "serial"
            return [For(counter, kind, make(counter, totals))]
        size = _run_length(count, run)
        partial = self._registers(bool(totals[0].shape))

        def one_run(number: Expr, into: Registers) -> list[Stmt]:
            first = build.mul(number, build.index(size))
            length: Size = size
            if count % size:
                length = build.minimum(build.index(size), build.sub(build.index(count), first))
            counter = Var(name, length)
            body = [
                *self._clear(partial),
                For(counter, "serial", make(build.add(first, counter), partial)),
            ]
            for part, total, done in zip(self.parts, into, partial, strict=True):
                body += self._accumulate(part, total, self._read(done))
            return body

        return self._loop(f"{name}_run", -(-count // size), totals, one_run, SUM_RUN)

    # Registers.

    def _registers(self, laned: bool) -> Registers:
        """A register for each part."""
        made: list[Buffer] = []
        for part in self.parts:
            shape = (LANES,) if laned else ()
            made.append(Buffer(f"{part.name}_acc", shape, part.value.dtype, "register"))
        self.lowering.registers += made
        return tuple(made)

    def _place(self, register: Buffer) -> tuple[Expr, ...]:
        return (self.lowering.lane,) if register.shape else ()

    def _read(self, register: Buffer) -> Expr:
        return Load(register, self._place(register))

    def _each(self, register: Buffer, store: Store) -> list[Stmt]:
        return self.lowering.over_lanes([store]) if register.shape else [store]

    def _clear(self, registers: Registers) -> list[Stmt]:
        body: list[Stmt] = []
        for part, register in zip(self.parts, registers, strict=True):
            body += self._each(register, Store(register, self._place(register), part.identity))
        return body

    def _add(self, part: Part, bound: Bindings, total: Buffer) -> list[Stmt]:
        return self._accumulate(part, total, substitute(part.value, dict(bound)))

    def _accumulate(self, part: Part, total: Buffer, value: Expr) -> list[Stmt]:
        combined = combine(part.op, self._read(total), value)
        return self._each(total, Store(total, self._place(total), combined))


def _points(axes: tuple[Var, ...]) -> int:
    """How many points the axes have together."""
    total = 1
    for axis in axes:
        total *= static_extent(axis)
    return total


def _run_length(count: int, run: int) -> int:
    """The largest number up to `run` that divides `count`, if one is long enough: bounds of loops
    that are literals need no tests, and places between them are known to be inside."""
    least = min(run // 2 + 1, -(-count // SUM_RUN))
    for size in range(run, least - 1, -1):
        if count % size == 0:
            return size
    return run
