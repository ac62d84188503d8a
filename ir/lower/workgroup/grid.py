"""A nest and a schedule -> a kernel over workgroups, one invocation for each tile of outer points.

In: a nest whose outer extents are static. Out: a kernel whose body is a ``group`` loop around a
``local`` loop. Invocations are numbered row-major over the tiles of the outer axes, so that
neighbours work on neighbouring elements of the last axis. Where tiles do not fill an axis, the
last one begins earlier, so that it ends where the axis does, and stores nothing for the points
that it shares with the one before; on an axis shorter than a tile surplus points are computed at
its end. Vectors along the only axis are not moved: one invocation computes what is left at the end.

The other two forms of a nest are in `workgroup/rows.py` and `workgroup/contraction.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tilewright.ir import build
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Size, Var
from tilewright.ir.kernel import For, If, Kernel, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.nest import NestLowering, Point
from tilewright.ir.lower.tile_walk import Tile
from tilewright.ir.subgroups import Subgroups
from tilewright.ir.traverse import substitute

WORKGROUP = 64


class GridLowering(NestLowering):
    """State of the lowering of one nest. `ended` is an axis whose tiles all have their points."""

    ended: Var | None = None

    def kernel(self, name: str) -> Kernel:
        threads = invocations(self.schedule.workgroup)
        if self._has_rest():
            return self._with_rest(name, threads)
        counts = {a: -(-static_extent(a) // self.sizes[a]) for a in self.order}
        total = 1
        for count in counts.values():
            total *= count
        group, local = Var("group", -(-total // threads)), Var("local", threads)
        position = build.add(build.mul(group, build.index(threads)), local)
        for axis, tile in zip(
            self.order, split_index(position, list(counts.values())), strict=True
        ):
            self.tiles[axis] = self._tile(axis, build.mul(tile, build.index(self.sizes[axis])))
        body = self.tile_body()
        if total % threads:
            body = [If(build.lt(position, build.index(total)), body)]
        return finish_kernel(name, on_grid(group, local, body), self.locals)

    def _has_rest(self) -> bool:
        """Whether the tiles of the only axis, which lies across lanes, do not fill it."""
        axis = self.vector_axis
        if axis is None or len(self.order) != 1:
            return False
        return static_extent(axis) % self.sizes[axis] != 0

    def _with_rest(self, name: str, threads: int) -> Kernel:
        """Whole tiles, and a smaller one after the last of them."""
        (axis,) = self.order
        full, rest = divmod(static_extent(axis), self.sizes[axis])
        group, local = Var("group", full // threads + 1), Var("local", threads)
        position = build.add(build.mul(group, build.index(threads)), local)
        self.ended = axis
        self.tiles[axis] = Tile(build.index(full * self.sizes[axis]), rest)
        at_end: list[Stmt] = [If(build.eq(position, build.index(full)), self.tile_body())]
        if full:
            origin = build.mul(position, build.index(self.sizes[axis]))
            self.tiles[axis] = Tile(origin, self.sizes[axis])
            at_end = [If(build.lt(position, build.index(full)), self.tile_body(), at_end)]
        return finish_kernel(name, on_grid(group, local, at_end), self.locals)

    def _tile(self, axis: Var, first: Expr) -> Tile:
        extent, size = static_extent(axis), self.sizes[axis]
        if extent % size == 0 or extent < size:
            return Tile(first, size)
        return Tile(build.minimum(first, build.index(extent - size)), size, first)

    def over_tile(self, make: Callable[[Point], list[Stmt]]) -> list[Stmt]:
        """As for a CPU, but surplus points of an axis are clamped to its end and guarded."""
        counters = [Var(f"{a.name}_i", self.tiles[a].size) for a in self.tiled]
        body = guarded(make, *self.point_at(tuple(counters)))
        for axis, counter in zip(reversed(self.tiled), reversed(counters), strict=True):
            if axis is self.vector_axis:
                body = [For(counter, "vector", body, self.schedule.width)]
            else:
                body = [For(counter, "unroll", body)]
        return body

    def point_at(self, tile: tuple[Expr, ...]) -> tuple[Point, Point, Expr]:
        """A point of the tile, the same clamped to where points exist, and whether it exists and
        no other tile stores it."""
        bindings, clamped = dict(self.points), dict(self.points)
        inside: Expr = build.TRUE
        for axis, counter in zip(self.tiled, tile, strict=True):
            tile_of_axis = self.tiles[axis]
            place = build.add(tile_of_axis.origin, counter)
            extent = static_extent(axis)
            bindings[axis] = clamped[axis] = place
            if tile_of_axis.stored_from is not None:
                inside = build.logical_and(inside, build.ge(place, tile_of_axis.stored_from))
            elif axis is not self.ended and extent % tile_of_axis.size:
                inside = build.logical_and(inside, build.lt(place, build.index(extent)))
                clamped[axis] = build.minimum(place, build.index(extent - 1))
        return Point(self, tile, bindings), Point(self, tile, clamped), inside


def invocations(workgroup: Sequence[int]) -> int:
    """The number of invocations of a workgroup of this shape."""
    total = 1
    for size in workgroup:
        total *= size
    return total if workgroup else WORKGROUP


def static_extent(axis: Var) -> int:
    """The extent of an axis that a grid is laid over."""
    if not isinstance(axis.extent, int):
        raise IRError(f"axis {axis.name} of a grid has an extent that is not static")
    return axis.extent


def split_index(position: Expr, sizes: Sequence[Size]) -> list[Expr]:
    """The coordinates of a row-major position; the first one needs no remainder."""
    coordinates: list[Expr] = []
    rest = position
    for k in range(len(sizes) - 1, 0, -1):
        size = build.index(sizes[k])
        coordinates.append(build.mod(rest, size))
        rest = build.floordiv(rest, size)
    return [rest, *reversed(coordinates)] if sizes else []


def guarded(
    make: Callable[[Point], list[Stmt]], exact: Point, clamped: Point, inside: Expr
) -> list[Stmt]:
    """``make(point)`` for a point of which only those `inside` exist.

    What is only stored to memory is computed behind the test; where registers are written as well
    (later stages read those of every point) the surplus points compute what `clamped` says.
    """
    body = make(exact)
    if inside is build.TRUE:
        return body
    if all(isinstance(s, Store) and s.buffer.space == "global" for s in body):
        return [If(inside, body)]
    return guard_stores(make(clamped), inside)


def guard_stores(
    body: Sequence[Stmt], condition: Expr, exact: Mapping[Expr, Expr] | None = None
) -> list[Stmt]:
    """The statements with stores to global buffers made only where `condition` holds; `exact`:
    what stands for expressions in their indices there."""
    result: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Store() if stmt.buffer.space == "global":
                indices = tuple(substitute(i, {}, memo=dict(exact or {})) for i in stmt.indices)
                result.append(If(condition, [Store(stmt.buffer, indices, stmt.value)]))
            case For():
                result.append(stmt.with_body(guard_stores(stmt.body, condition, exact)))
            case If():
                yes = guard_stores(stmt.body, condition, exact)
                no = guard_stores(stmt.otherwise, condition, exact)
                result.append(If(stmt.condition, yes, no))
            case _:
                result.append(stmt)
    return result


def on_grid(
    group: Var, local: Var, body: Sequence[Stmt], subgroups: Subgroups | None = None
) -> list[Stmt]:
    """`body` inside the loops over workgroups and invocations."""
    return [For(group, "group", [For(local, "local", body, subgroups=subgroups)])]
