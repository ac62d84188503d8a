"""Reductions over windows that overlap: the rows of a tile share what their windows share.

Four rows of a 3x3 window read six rows. In ``combine over (i, j) of f(y + i, x + j)`` each of the
six is combined over `j` once, and three of the results give one row of the tile: 5 additions for
each element and not 9.

In: reducing stages over a tile of several rows. Out: statements, or None where a value depends on
its place in the window. Sums are added in another order than written, in a tree that is no higher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.row_windows import row_sums
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import Buffer, Stmt, Store
from tilewright.ir.lower.accesses import operations
from tilewright.ir.lower.reducer import combine
from tilewright.ir.program import Stage
from tilewright.ir.traverse import rewrite, variables

if TYPE_CHECKING:
    from tilewright.ir.lower.nest import NestLowering, Point

_MOST_VALUES = 100
"""Values that are written out for a tile, and for what they are made of."""
_TALLEST = 24


class _Sharing(Struct, frozen=True):
    """The axis of the tile whose points share, and the reduced axis that moves as it does."""

    rows: Var
    window: Var


def share_windows(lowering: NestLowering, stages: Sequence[Stage]) -> list[Stmt] | None:
    """The statements of `stages`, which reduce over the same axes, for the current tile."""
    found = _sharing(lowering, stages)
    if found is None:
        return None
    body: list[Stmt] = []
    for stage in stages:
        sharing = _sharing(lowering, [stage])
        assert sharing is not None
        body += _SharedWindow(lowering, stage, sharing).statements()
    return body


def _sharing(lowering: NestLowering, stages: Sequence[Stage]) -> _Sharing | None:
    if lowering.vector_axis is None or lowering.at_border:
        return None
    if any(_reads_a_local(lowering, stage) for stage in stages):
        return None
    rows = [a for a in lowering.tiled if a is not lowering.vector_axis]
    for axis in rows:
        windows = [_window(stage, axis, lowering.tiles[axis].size) for stage in stages]
        if all(windows):
            assert windows[0] is not None
            return _Sharing(axis, windows[0])
    return None


def _reads_a_local(lowering: NestLowering, stage: Stage) -> bool:
    """Whether a stage reads what an earlier one made for its own point of the tile."""
    local = lowering.nest.locals
    return any(isinstance(n, Load) and n.source in local for n in post_order((stage.value,)))


def _window(stage: Stage, rows: Var, size: int) -> Var | None:
    """The reduced axis that moves along `rows`, if sharing is right and makes little code."""
    extents = [a.extent for a in stage.reduce_axes if isinstance(a.extent, int)]
    if stage.axes or len(extents) < len(stage.reduce_axes) or 0 in extents:
        return None
    if sum(extents) - len(extents) > _TALLEST:
        return None
    points = math.prod(extents)
    for axis in stage.reduce_axes:
        assert isinstance(axis.extent, int)
        values = (size + axis.extent - 1) * points // axis.extent
        code = values * (1 + operations(stage.value))
        gains = axis.extent > 1 and (points > axis.extent or operations(stage.value) > 0)
        if gains and code <= _MOST_VALUES and _slides(stage.value, rows, axis):
            return axis
    return None


def _slides(value: Expr, rows: Var, window: Var) -> bool:
    """Whether `value` knows the two axes by their sum alone."""
    found = False
    for node in _data(value):
        if node is rows or node is window:
            return False
        if not isinstance(node, Load):
            continue
        for index in node.indices:
            axes = set(variables((index,)))
            if rows not in axes and window not in axes:
                continue
            found = True
            if not _by_sum(index, rows, window):
                return False
    return found


def _data(value: Expr) -> list[Expr]:
    """The nodes of a value, those of the indices of loads left out."""
    found: list[Expr] = []
    stack, seen = [value], set[Expr]()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            found.append(node)
            stack += () if isinstance(node, Load) else node.operands
    return found


def _by_sum(index: Expr, rows: Var, window: Var) -> bool:
    sums = row_sums(index, rows)
    if not sums or any(linear(s).coefficient(window) != 1 for s in sums):
        return False
    place = Var("place")
    rest = rewrite(index, lambda node: place if node in sums else None)
    return not {rows, window} & set(variables((rest,)))


class _SharedWindow:
    """One reduction over the current tile."""

    def __init__(self, lowering: NestLowering, stage: Stage, sharing: _Sharing) -> None:
        self.lowering = lowering
        self.stage = stage
        self.rows, self.window = sharing.rows, sharing.window
        op = COMBINERS[stage.combined_by].op
        assert op is not None
        self.op: ops.Op = op
        self.others = [a for a in lowering.tiled if a is not self.rows]

    def statements(self) -> list[Stmt]:
        assert isinstance(self.window.extent, int)
        count = self.lowering.tiles[self.rows].size + self.window.extent - 1
        sums = self._registers(count)
        body: list[Stmt] = []
        for row in range(count):
            body += self.lowering.over_axes(self.others, partial(self._row, sums, row))
        return body + self.lowering.over_tile(partial(self._whole, sums))

    def _registers(self, count: int) -> Buffer:
        """A row of registers for each row that the windows of the tile cover."""
        sizes = (self.lowering.tiles[a].size for a in self.others)
        name, dtype = f"{self.stage.target.name}_row", self.stage.value.dtype
        buffer = Buffer(name, (count, *sizes), dtype, "register")
        self.lowering.locals.append(buffer)
        return buffer

    def _row(self, sums: Buffer, row: int, point: Point) -> list[Stmt]:
        """One row combined over the other reduced axes."""
        others = [a for a in self.stage.reduce_axes if a is not self.window]
        total: Expr | None = None
        for place in product(*(range(a.extent) for a in others)):  # type: ignore[arg-type]
            bound: dict[Var, Expr] = {a: build.index(k) for a, k in zip(others, place, strict=True)}
            bound[self.window] = build.index(row)
            value = point.value(self.stage.value, bound)
            total = value if total is None else combine(self.op, total, value)
        assert total is not None
        return [Store(sums, (build.index(row), *point.tile), total)]

    def _whole(self, sums: Buffer, point: Point) -> list[Stmt]:
        """One point of the tile: the rows of its window together."""
        position = self.lowering.tiled.index(self.rows)
        first, others = point.tile[position], [*point.tile]
        del others[position]
        assert isinstance(self.window.extent, int)
        total: Expr | None = None
        for k in range(self.window.extent):
            value = Load(sums, (build.add(first, build.index(k)), *others))
            total = value if total is None else combine(self.op, total, value)
        assert total is not None
        return [point.store_value(self.stage, {}, total)]
