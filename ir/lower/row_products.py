"""Products of one row and a matrix that no cache holds: a nest -> a kernel that reads it in lines.

A tile of results in registers would read a little of every line of the matrix, and memory delivers
far less that way than in long runs: what processors fetch ahead ends with the page. Here the
results of thousands of columns wait in memory near the core, and pass by with several lines of the
matrix at a time, each read from one end to the other.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.graph import identity
from tilewright.ir.kernel import Buffer, For, Kernel, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.reducer import combine, is_product
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import substitute

_RUN = 256
"""Products added up before they are combined with others; as many runs may follow in a row."""
_VECTORS_IN_STEP = 4
MOST_COLUMNS = 4096
"""Results that wait: with several lines of the matrix they fill a first-level cache of 32 KiB."""


def is_row_product(nest: Nest) -> bool:
    """Whether `nest` adds up products along one axis, for each point of one other axis."""
    product, *rest = nest.stages
    axes = (*nest.outer, *product.reduce_axes)
    return (
        len(nest.outer) == 1
        and len(product.reduce_axes) == 1
        and all(isinstance(axis.extent, int) for axis in axes)
        and _static(product.reduce_axes[0]) <= _RUN * _RUN
        and is_product(product)
        and product.value.dtype is not F16
        and product.target in nest.locals
        and not product.target.shape
        and all(_is_plain(stage) and stage.target not in nest.locals for stage in rest)
    )


def _is_plain(stage: Stage) -> bool:
    return stage.combiner is None and not stage.axes and not stage.reduce_axes


def in_parts(nest: Nest, parts: int) -> tuple[Nest, Nest, Buffer]:
    """The product of some of the lines for each task, a nest that adds these up and does the rest,
    and the buffer between them. `parts` divides the number of lines."""
    product, *rest = nest.stages
    (column,), (line,) = nest.outer, product.reduce_axes
    each = _static(line) // parts
    part, own_line = Var("part", parts), Var(line.name, each)
    own_column = Var(column.name, column.extent)
    between = Buffer(f"{nest.name}_parts", (parts, _static(column)), product.value.dtype)
    total = Buffer("total", (), product.value.dtype, "scratch")
    at = build.add(build.mul(part, build.index(each)), own_line)
    value = substitute(product.value, {line: at, column: own_column})
    own = replace(product, reduce_axes=(own_line,), value=value, target=total, indices=())
    place = (part, own_column)
    stored = Stage((), (), None, Load(total, ()), between, place)
    again = Var("part", parts)
    added = replace(product, reduce_axes=(again,), value=Load(between, (again, column)))
    return (
        replace(nest, outer=place, stages=(own, stored), locals=(total,)),
        replace(nest, name=f"{nest.name}_sum", stages=(added, *rest)),
        between,
    )


def lower_row_product(nest: Nest, schedule: Schedule, name: str) -> Kernel:
    """The kernel of a nest for which `is_row_product` holds, or of the first nest that `in_parts`
    makes of one, under ``schedule.lines``."""
    return _RowProduct(nest, schedule).kernel(name)


class _RowProduct:
    def __init__(self, nest: Nest, schedule: Schedule) -> None:
        self.nest = nest
        self.product, *self.rest = nest.stages
        self.lines = schedule.lines
        self.width = schedule.width
        self.step = schedule.width * _VECTORS_IN_STEP
        *self.parts, self.column = nest.outer
        (self.line,) = self.product.reduce_axes
        self.buffers: list[Buffer] = []

    def kernel(self, name: str) -> Kernel:
        full, rest = divmod(_static(self.column), MOST_COLUMNS)
        body: list[Stmt] = []
        if full:
            block = Var(f"{self.column.name}_b", full)
            origin = build.mul(block, build.index(MOST_COLUMNS))
            body.append(For(block, "serial", self._columns(origin, MOST_COLUMNS)))
        if rest:
            body += self._columns(build.index(full * MOST_COLUMNS), rest)
        for part in self.parts:
            body = [For(part, "parallel", body)]
        return finish_kernel(name, body, self.buffers)

    def _columns(self, origin: Expr, count: int) -> list[Stmt]:
        """All stages for `count` columns."""
        total = self._scratch("total", count)
        body = self._fill(total)
        runs, rest = divmod(_static(self.line), _RUN)
        if runs == 0 or (runs == 1 and not rest):
            body += self._run(origin, build.index(0), _static(self.line), total)
        else:
            partial = self._scratch("partial", count)
            run = Var(f"{self.line.name}_r", runs)
            first = build.mul(run, build.index(_RUN))
            body.append(For(run, "serial", self._added(origin, first, _RUN, partial, total)))
            if rest:
                body += self._added(origin, build.index(runs * _RUN), rest, partial, total)
        return body + [stmt for stage in self.rest for stmt in self._stage(stage, origin, total)]

    def _added(
        self, origin: Expr, first: Expr, count: int, partial: Buffer, total: Buffer
    ) -> list[Stmt]:
        """A run of lines, then its results added to those before."""

        def add(at: Expr) -> Stmt:
            value = combine(ops.ADD, Load(total, (at,)), Load(partial, (at,)))
            return Store(total, (at,), value)

        return [
            *self._fill(partial),
            *self._run(origin, first, count, partial),
            *self._over(total, add),
        ]

    def _run(self, origin: Expr, first: Expr, count: int, sums: Buffer) -> list[Stmt]:
        """Products of `count` lines, several at a time, added to `sums`."""
        full, rest = divmod(count, self.lines)
        body: list[Stmt] = []
        if full:
            group = Var(f"{self.line.name}_l", full)
            start = build.add(first, build.mul(group, build.index(self.lines)))
            body.append(For(group, "serial", self._lines(origin, start, self.lines, sums)))
        if rest:
            start = build.add(first, build.index(full * self.lines))
            body += self._lines(origin, start, rest, sums)
        return body

    def _lines(self, origin: Expr, first: Expr, count: int, sums: Buffer) -> list[Stmt]:
        def add(at: Expr) -> Stmt:
            column = build.add(origin, at)
            value: Expr = Load(sums, (at,))
            for k in range(count):
                line = build.add(first, build.index(k))
                bound = {self.column: column, self.line: line}
                value = combine(ops.ADD, value, substitute(self.product.value, bound))
            return Store(sums, (at,), value)

        return self._over(sums, add)

    def _stage(self, stage: Stage, origin: Expr, total: Buffer) -> list[Stmt]:
        return self._over(total, lambda at: self._stored(stage, build.add(origin, at), total, at))

    def _stored(self, stage: Stage, column: Expr, total: Buffer, at: Expr) -> Stmt:
        def load(old: Load) -> Expr | None:
            return Load(total, (at,)) if old.source is self.product.target else None

        bound = {self.column: column}
        indices = tuple(substitute(i, bound, load) for i in stage.indices)
        return Store(stage.target, indices, substitute(stage.value, bound, load))

    def _fill(self, sums: Buffer) -> list[Stmt]:
        zero = identity("add", sums.dtype)
        return self._over(sums, lambda at: Store(sums, (at,), zero))

    def _over(self, sums: Buffer, make: Callable[[Expr], Stmt]) -> list[Stmt]:
        """``make(k)`` for every result that waits, a few vectors at a time."""
        (count,) = sums.shape
        assert isinstance(count, int)
        full, rest = divmod(count, self.step)
        body: list[Stmt] = []
        if full:
            strip = Var("strip", full)
            origin = build.mul(strip, build.index(self.step))
            body.append(For(strip, "serial", self._vector(origin, self.step, make)))
        if rest:
            body += self._vector(build.index(full * self.step), rest, make)
        return body

    def _vector(self, origin: Expr, lanes: int, make: Callable[[Expr], Stmt]) -> list[Stmt]:
        lane = Var("lane", lanes)
        return [For(lane, "vector", [make(build.add(origin, lane))], self.width)]

    def _scratch(self, name: str, count: int) -> Buffer:
        buffer = Buffer(name, (count,), self.product.value.dtype, "scratch")
        self.buffers.append(buffer)
        return buffer


def _static(axis: Var) -> int:
    assert isinstance(axis.extent, int)
    return axis.extent
