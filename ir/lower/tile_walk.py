"""The loops over the tiles of a nest's outer axes, around what one tile does.

In: a nest and a schedule. Out: loops in the schedule's order, over cache blocks and in them over
tiles, the first of them cut into tasks. Borders, and the smaller tile that is left over at the end
of an axis, have code of their own (single points, where the extent is open).
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Size, Var, post_order
from tilewright.ir.kernel import For, LoopKind, Stmt
from tilewright.ir.lower.accesses import operations
from tilewright.ir.lower.segments import Interior, interior
from tilewright.ir.lower.tails import may_repeat, tail_blocks
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import variables

_LEAST_INTERIOR = 16
"""Rows are cut off as a border only where there are so many times as many."""
_MOST_PIECES = 16
"""Of a vector axis, each with code of its own."""
_WIDE = 2
"""Vectors for which a piece is worth it, however small a part of the axis it is."""
_LEAST_SHARE_OF_TASKS = 16
"""A piece is cut into tasks, as a whole axis would be, if so many of it make up the axis."""
_CHEAP = 10
"""Operations at a point of a reduction beside which a test of positions counts."""
_TESTS = (*ops.COMPARISONS, ops.MIN, ops.MAX)


class Tile(Struct):
    """Where the current tile begins on an axis, and how many points it has there; where it was
    moved so that it fits, the first point that it stores."""

    origin: Expr
    size: int
    stored_from: Expr | None = None


class Span(Struct):
    """The tiles of an axis that the current cache block holds: `count` of `size` points each."""

    origin: Expr
    count: Size
    size: int


class TileWalk:
    """Knows the current tile; what is done in it is left to a subclass.

    `at_border`: not in the interior of all axes. `is_rare`: where few points are, which should have
    little code; the ends of rows are not, since every row has them.
    """

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
        self.at_border = False
        self.is_rare = False
        self.pieces = 0
        self.may_repeat = may_repeat(nest)
        self.checked = _checked_inside(nest)

    def tile_body(self) -> list[Stmt]:
        """What is done with the current tile."""
        raise NotImplementedError

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
            if axis is self.vector_axis or size > 1 or axis in self.checked:
                inside = self._interior(axis, Interior(0, extent))
                if self._is_cut(axis, extent, inside):
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
            whole = Interior(0, axis.extent)
            if axis is not self.vector_axis or self._interior(axis, whole) == whole:
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
        return self.schedule.chunks if position == len(self.blocks) and not self.at_border else 1

    # Tiles.

    def _is_cut(self, axis: Var, extent: int, inside: Interior) -> bool:
        """Whether borders are apart: always on the vector axis, elsewhere if they are narrow."""
        border = extent - inside.size
        return border > 0 and (axis is self.vector_axis or border * _LEAST_INTERIOR <= extent)

    def _cut(self, position: int, axis: Var, inside: Interior) -> list[Stmt]:
        """Borders apart from the interior, which is in tiles."""
        assert isinstance(axis.extent, int)
        self.pieces = 0
        return self._around(position, axis, Interior(0, axis.extent), inside)

    def _around(self, position: int, axis: Var, part: Interior, inside: Interior) -> list[Stmt]:
        """A part of a cut axis, of which `inside` keeps one form."""
        self.pieces += 1
        before = self._border(position, axis, Interior(part.start, inside.start))
        assert isinstance(axis.extent, int)
        narrow = inside.size * _LEAST_SHARE_OF_TASKS < axis.extent
        around, rare = self.at_border, self.is_rare
        self.at_border, self.is_rare = around or narrow, rare or narrow
        size = self.sizes[axis]
        middle = self._static_tiles(position, axis, inside.start, inside.stop, size)
        self.at_border, self.is_rare = around, rare
        return [*before, *middle, *self._border(position, axis, Interior(inside.stop, part.stop))]

    def _interior(self, axis: Var, part: Interior) -> Interior:
        """What keeps one form: of a vector axis also a small part, if it has some vectors."""
        wide = _WIDE * self.schedule.width if axis is self.vector_axis else None
        return interior(self.nest.stages, axis, part.start, part.stop, wide)

    def _border(self, position: int, axis: Var, part: Interior) -> list[Stmt]:
        """Point by point; but where a wide part keeps one form (as each array of a concatenation
        does), that in tiles, and the rest likewise."""
        width = self.schedule.width
        if axis is self.vector_axis and part.size >= width and self.pieces < _MOST_PIECES:
            inside = self._interior(axis, part)
            if inside.size >= width:
                return self._around(position, axis, part, inside)
        around, rare = self.at_border, self.is_rare
        self.at_border, self.is_rare = True, rare or axis is not self.vector_axis or position == 0
        body = self._static_tiles(position, axis, part.start, part.stop, 1)
        self.at_border, self.is_rare = around, rare
        return body

    def _static_tiles(
        self, position: int, axis: Var, start: int, stop: int, size: int
    ) -> list[Stmt]:
        """Tiles over ``start … stop - 1``, a smaller one at the end."""
        full, rest = divmod(stop - start, size)
        body = self._full_tiles(position, axis, start, full, size) if full else []
        across = axis is self.vector_axis
        for origin, points in self._tail(stop - start, rest) if across else [(full * size, rest)]:
            if points:
                self.tiles[axis] = Tile(build.index(start + origin), points)
                body += self.outer_loops(position + 1)
        return body

    def _tail(self, length: int, rest: int) -> list[tuple[int, int]]:
        """Origins and sizes of the blocks over the last `rest` elements of a vector axis."""
        if self.may_repeat:
            return tail_blocks(length, rest, self.schedule.width)
        return [(length - rest, rest)]

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


def _checked_inside(nest: Nest) -> set[Var]:
    """Outer axes on which a test of positions depends at each point of a reduction (the zeros
    around an image), so that nothing but a border of its own gets it out of the loop. Where much is
    computed at each point, a test does not count."""
    found: set[Var] = set()
    for stage in nest.stages:
        if not stage.reduce_axes or operations(stage.value) > _CHEAP:
            continue
        for node in post_order((stage.value,)):
            if isinstance(node, Apply) and _is_test(node):
                used = set(variables((node,)))
                if not used.isdisjoint(stage.reduce_axes):
                    found |= used & set(nest.outer)
    return found


def _is_test(node: Apply) -> bool:
    return node.operands[0].dtype is INDEX and node.op in _TESTS
