"""A good schedule for a nest on a CPU, without tuning.

The vector axis is the one along which most accesses are to neighbouring elements. Contractions get
a tile of accumulators that fills the registers; everything else enough independent vectors to hide
latencies.
"""

from __future__ import annotations

import math

from msgspec import Struct

from tilewright.codegen_cpu.target import CpuTarget
from tilewright.codegen_cpu.task_count import tasks_for
from tilewright.ir import ops
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.lower.accesses import Access, accesses, depends, operations, points, work
from tilewright.ir.lower.lane_axes import lane_axis
from tilewright.ir.lower.segments import nest_inside
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule

_EXPANDED_REDUCTION = 32
_ROWS_OF_BLOCK = 16
_MOST_IN_BLOCK = 40
_NEAR = 4
_CHEAP = 8
_GATHERED_LANES = (8, 16)
"""Two vectors of as many lanes that are loaded one by one hide latencies, and are much code."""
_MOST_EXPANDED_CODE = 160
_COST_OF_COMBINED_LANES = 27  # relative to the load of one element into a lane
_LEAST_IN_STEP, _MOST_IN_STEP = 12, 200
_BRANCHING = frozenset({ops.SIN, ops.COS, ops.TAN, ops.POW})
_HOLDING_MANY = frozenset({ops.ATAN2, ops.ERFC})  # values at once: some seven in a vector
_WORTH_OF_OPERATION = 0.1  # relative to a load of neighbouring elements


def default_schedule(nest: Nest, target: CpuTarget) -> Schedule:
    """The schedule that is used where nothing was tuned."""
    return Heuristic(nest, target).schedule()


class Heuristic(Struct):
    """Facts about one nest on one machine."""

    nest: Nest
    target: CpuTarget

    def schedule(self) -> Schedule:
        nest = self.nest
        width = self._width()
        axis = self._vector_axis(width)
        tile = self._tile(axis, width)
        unroll = self._unroll() if axis == INNER else 1
        walked, pack = self._walk(axis)
        order, chunks = self._parallel(tile, walked, 1 if axis is None else width)
        vector = nest.outer.index(axis) if isinstance(axis, Var) else axis
        lines, parts = self._read_lines() if vector == 0 else (0, 0)
        return Schedule(
            tile=tile,
            vector=vector,
            width=width * self._in_step(axis, tile, width) if vector is not None else 1,
            unroll=unroll,
            order=order,
            chunks=parts or chunks,
            lines=lines,
            unroll_reduce=self._unroll_reduce(math.prod(tile) // width),
            share_windows=isinstance(vector, int) and self._may_regroup(),
            pack=pack,
            cache_block=self._cache_block(axis, tile) if pack else (),
        )

    def _read_lines(self) -> tuple[int, int]:
        if not any(s.reduce_axes for s in self.nest.stages):
            return 0, 0
        from tilewright.codegen_cpu.contraction_schedule import read_lines

        return read_lines(self.nest, self.target)

    # The vector axis.

    def _width(self) -> int:
        """Lanes of the widest type that the stages with the most work compute with."""
        most = max(self._weight(s) for s in self.nest.stages)
        bits = 8
        for stage in self.nest.stages:
            if self._weight(stage) < most:
                continue
            for node in post_order((stage.value,)):
                if node.dtype.kind not in "bx":
                    bits = max(bits, node.dtype.bits)
        return max(1, self.target.vector_bits // bits)

    def _vector_axis(self, width: int) -> Var | str | None:
        return self._product_axis() or self._axis_of_most_neighbours(width)

    def _product_axis(self) -> Var | str | None:
        main = self._main_reduction()
        if main is None or not adds_products(main):
            return None
        from tilewright.codegen_cpu.product_axis import product_axis

        return product_axis(self.nest, self.target)

    def _axis_of_most_neighbours(self, width: int) -> Var | str | None:
        found = accesses(self.nest)
        best: tuple[float, Var | str | None] = (0.0, None)
        for axis in reversed(self.nest.outer):
            best = max(best, (self._outer_score(axis, found, width), axis), key=lambda b: b[0])
        if self._may_use_inner() and any(s.axes or s.reduce_axes for s in self.nest.stages):
            best = max(best, (self._inner_score(found, width), INNER), key=lambda b: b[0])
        return self._side_by_side(found, width) or best[1] if best[1] == INNER else best[1]

    def _side_by_side(self, found: list[Access], width: int) -> Var | None:
        """The outer axis, where rows are so short that it takes longer to combine the lanes of
        their reductions than to load a vector of rows element by element."""
        reductions = [s for s in self.nest.stages if s.reduce_axes]
        axis = self.nest.outer[-1] if self.nest.outer else None
        if axis is None or points((axis,)) < 4 * width or any(map(adds_products, reductions)):
            return None
        apart = sum(
            self._weight(a.stage) * (2 if a.is_store else 1)
            for a in found
            if a.stride(axis) not in (0, 1)
        )
        return axis if apart <= _COST_OF_COMBINED_LANES * len(reductions) else None

    def _may_use_inner(self) -> bool:
        """A scan runs in order; sums whose lanes are combined last depend on the vector's width."""
        if any(s.scans for s in self.nest.stages):
            return False
        return self._may_regroup()

    def _may_regroup(self) -> bool:
        """Whether reductions may follow the schedule in the order of what they combine."""
        return not (self.target.reproducible and shows_order(self.nest))

    def _outer_score(self, axis: Var, found: list[Access], width: int) -> float:
        if any(depends(a, axis) for s in self.nest.stages for a in (*s.axes, *s.reduce_axes)):
            return -1.0
        inside = accesses(nest_inside(self.nest, axis))
        total = sum(self._value(a, axis) * self._weight(a.stage) for a in inside)
        return (total + self._arithmetic()) * _filled(axis, width)

    def _arithmetic(self) -> float:
        """What it is worth to compute in full vectors, whatever the accesses are."""
        stages = [s for s in self.nest.stages if not s.axes and not s.reduce_axes]
        return sum(_WORTH_OF_OPERATION * operations(s.value) for s in stages)

    def _inner_score(self, found: list[Access], width: int) -> float:
        total = 0.0
        for access in found:
            inside = (*access.stage.axes, *access.stage.reduce_axes)
            weight = self._weight(access.stage)
            if not inside:
                total -= weight
                continue
            last = inside[-1] if access.stage.reduce_axes else lane_axis(inside)
            total += self._value(access, last) * weight * _filled(last, width)
        return total

    def _value(self, access: Access, axis: Var) -> float:
        """What vectorising an access along an axis is worth."""
        stride = access.stride(axis)
        if access.is_store:
            return 2.0 if stride == 1 else 0.3 if stride and abs(stride) <= 4 else -1.0
        if stride == 1:
            return 1.0
        if stride == 0:
            return 0.6
        # Gathered one by one; the arithmetic is still done in vectors.
        return 0.3 if stride is not None and abs(stride) <= 4 else 0.02

    def _weight(self, stage: Stage) -> float:
        return float(points((*stage.axes, *stage.reduce_axes)))

    # Tiles.

    def _tile(self, axis: Var | str | None, width: int) -> tuple[int, ...]:
        sizes = dict.fromkeys(self.nest.outer, 1)
        main = self._main_reduction()
        if isinstance(axis, Var):
            vectors, rows = self._outer_tile(axis, width, main)
            sizes[axis] = self._clipped(axis, vectors * width)
            if rows is not None:
                sizes[rows] = self._rows(rows, min(vectors, 3))
            else:
                sizes.update(
                    self._stencil_rows(axis, width) or self._turned_block(axis, width, main)
                )
            sizes.update(self._interleaved(axis))
        elif axis == INNER and main is not None and adds_products(main):
            sizes.update(self._dot_tile())
        return tuple(1 if self._shapes_inner(a) else sizes[a] for a in self.nest.outer)

    def _shapes_inner(self, axis: Var) -> bool:
        """Whether a stage is longer at some points of the axis than at others: such points cannot
        share the loops of a tile."""
        stages = self.nest.stages
        return any(depends(a, axis) for s in stages for a in (*s.axes, *s.reduce_axes))

    def _stencil_rows(self, axis: Var, width: int) -> dict[Var, int]:
        """One vector in each of several rows that share what they read."""
        if len(self.nest.outer) < 2:
            return {}
        from tilewright.codegen_cpu.stencil_schedule import neighbour_axis, rows_of_tile

        rows = neighbour_axis(self.nest, axis)
        if rows is None:
            return {}
        return {rows: rows_of_tile(self.target), axis: self._clipped(axis, width)}

    def _turned_block(self, axis: Var, width: int, main: Stage | None) -> dict[Var, int]:
        """Where lines lie across the vectors, a block: all elements of a line are used while it is
        in the nearest cache."""
        cost = max(operations(s.value) for s in self.nest.stages)
        if main is not None or cost > _MOST_IN_BLOCK:
            return {}
        across = [a for a in accesses(self.nest) if abs(a.stride(axis) or 0) > _NEAR]
        lying = {o for a in across for o in self.nest.outer if o is not axis and a.stride(o) == 1}
        rows = max(lying, key=lambda o: points((o,)), default=None)
        if rows is None or points((rows,)) < _ROWS_OF_BLOCK:
            return {}
        return {rows: _ROWS_OF_BLOCK, axis: self._clipped(axis, width)}

    def _main_reduction(self) -> Stage | None:
        """The reducing stage with the most work, if no stage has axes of its own."""
        if any(s.axes for s in self.nest.stages):
            return None
        reducing = [s for s in self.nest.stages if s.reduce_axes]
        return max(reducing, key=lambda s: points(s.reduce_axes), default=None)

    def _outer_tile(self, axis: Var, width: int, main: Stage | None) -> tuple[int, Var | None]:
        """Vectors along the vector axis, and the axis of which several rows are kept."""
        available = max(1, -(-points((axis,)) // width))
        if main is None:
            cost = max(operations(s.value) for s in self.nest.stages)
            if width in _GATHERED_LANES and self._gathers(axis):
                return min(available, 2), None
            if self._keeps_step(cost):
                return min(available, self._vectors_in_step(cost)), None
            return min(available, 4 if cost <= 40 else 2 if cost <= 200 else 1), None
        rows = self._reuse_axis(axis, main)
        long = points(main.reduce_axes) > _EXPANDED_REDUCTION
        if not adds_products(main) or (rows is None and not long):
            cost = operations(main.value)
            if cost <= _CHEAP and self.target.vector_registers >= 32:
                return min(available, 8), None  # long stretches of rows that lie far apart
            return min(available, 4 if cost <= 40 else 2), None
        if not long:
            return min(available, 2), rows
        from tilewright.codegen_cpu.contraction_schedule import vectors_beside

        return vectors_beside(points((rows,)) if rows else 1, available, self.target), rows

    def _gathers(self, axis: Var) -> bool:
        """Whether several elements are read from scattered places at each point of the axis."""
        return sum(a.is_scattered(axis) and not a.is_store for a in accesses(self.nest)) > 1

    def _keeps_step(self, cost: int) -> bool:
        """Whether a few vectors take every operation together, as one wide vector: in a long
        formula, on a machine with many registers. One after the other, a vector's chain of
        operations would have to end before the processor sees the next one's."""
        maps = not any(s.axes or s.reduce_axes for s in self.nest.stages)
        long = _LEAST_IN_STEP < cost <= _MOST_IN_STEP
        return maps and long and self.target.vector_registers >= 32

    def _vectors_in_step(self, cost: int) -> int:
        """As many as hide latencies, and fewer where their values would not stay in registers: a
        function may hold many, and beyond a branch nothing waits in registers."""
        nodes = post_order(s.value for s in self.nest.stages)
        used = {n.op for n in nodes if isinstance(n, Apply)}
        if used & _HOLDING_MANY:
            return 2
        return 8 if cost > 40 and not used & _BRANCHING else 4

    def _in_step(self, axis: Var | str | None, tile: tuple[int, ...], width: int) -> int:
        """How many vectors are one."""
        cost = max(operations(s.value) for s in self.nest.stages)
        if not isinstance(axis, Var) or not self._keeps_step(cost):
            return 1
        vectors = tile[self.nest.outer.index(axis)] // width
        near = all(a.stride(axis) in (0, 1) for a in accesses(self.nest))
        return vectors if near and vectors in (2, 4, 8) else 1

    def _reuse_axis(self, axis: Var, main: Stage) -> Var | None:
        """The outer axis, besides the vector axis, along which a load of the reduction stays."""
        loads = [a for a in accesses(self.nest) if a.stage is main and not a.is_store]
        reused = [
            a
            for a in self.nest.outer
            if a is not axis
            and points((a,)) > 1
            and any(x.stride(a) == 0 and x.stride(axis) for x in loads)
        ]
        return max(reversed(reused), key=lambda a: points((a,)), default=None)

    def _rows(self, rows: Var, vectors: int) -> int:
        sums = sum(1 for s in self.nest.stages if s.reduce_axes)
        most = max(1, (self.target.vector_registers - 1 - vectors) // (vectors * sums))
        most = min(most, 14 if self.target.vector_registers >= 32 else 6)
        return _best_divisor(rows, most)

    def _dot_tile(self) -> dict[Var, int]:
        """Rows and columns of dot products, each with one vector of partial sums."""
        side = 4 if self.target.vector_registers >= 32 else 3
        largest = sorted(self.nest.outer, key=lambda a: -points((a,)))[:2]
        return {a: _best_divisor(a, side) for a in largest}

    def _interleaved(self, axis: Var) -> dict[Var, int]:
        """Short axes that lie between the elements of the vector axis are taken whole, so that
        what is loaded or gathered for one of their points serves the others."""
        whole: dict[Var, int] = {}
        for other in self.nest.outer:
            if other is axis or not isinstance(other.extent, int) or not 1 < other.extent <= 4:
                continue
            for access in accesses(self.nest):
                stride, along = access.stride(other), access.stride(axis)
                if stride and (along is None or 0 < abs(stride) < abs(along) <= 4):
                    whole[other] = other.extent
        return whole

    def _clipped(self, axis: Var, size: int) -> int:
        return max(1, min(size, axis.extent)) if isinstance(axis.extent, int) else size

    # Loops.

    def _unroll(self) -> int:
        main = self._main_reduction()
        if main is not None and adds_products(main) and len(self.nest.outer) > 1:
            return 1
        cost = max(operations(s.value) for s in self.nest.stages)
        return 4 if cost <= 40 else 2 if cost <= 200 else 1

    def _unroll_reduce(self, sums: int) -> int:
        """Short reductions are expanded, unless that makes a lot of code.

        Where the `sums` of a tile fill the registers there is none left for what would be kept
        from one point of the reduction to the next.
        """
        if 2 * sums > self.target.vector_registers:
            return 0
        reducing = [s for s in self.nest.stages if s.reduce_axes]
        most = max((points(s.reduce_axes) for s in reducing), default=0)
        code = sum(points(s.reduce_axes) * (2 + operations(s.value)) for s in reducing)
        expand = most <= _EXPANDED_REDUCTION and code <= _MOST_EXPANDED_CODE
        return _EXPANDED_REDUCTION if expand else 0

    def _walk(self, axis: Var | str | None) -> tuple[list[int], tuple[int, ...]]:
        """The outer axes from the outermost tile loop inwards, and the operands to pack."""
        main = self._main_reduction()
        order = list(range(len(self.nest.outer)))
        if main is None or not adds_products(main):
            return order, ()
        if not isinstance(axis, Var):
            return self._largest_outside(main) if axis == INNER else order, ()
        from tilewright.codegen_cpu.contraction_schedule import walk

        axes, pack = walk(self.nest, main, axis, self._reuse_axis(axis, main), self.target)
        return [self.nest.outer.index(a) for a in axes], pack

    def _largest_outside(self, main: Stage) -> list[int]:
        """The axes along which most is read first: that is then read once."""
        loads = [a for a in accesses(self.nest) if a.stage is main and not a.is_store]

        def read_along(k: int) -> int:
            moving = (a for a in loads if a.stride(self.nest.outer[k]) != 0)
            axes = (*self.nest.outer, *main.reduce_axes)
            return sum(points(tuple(x for x in axes if a.stride(x) != 0)) for a in moving)

        return sorted(range(len(self.nest.outer)), key=read_along, reverse=True)

    def _cache_block(self, axis: Var | str | None, tile: tuple[int, ...]) -> tuple[int, ...]:
        """Blocks of the rows that pass by a packed strip of columns."""
        main, outer = self._main_reduction(), self.nest.outer
        rows = self._reuse_axis(axis, main) if isinstance(axis, Var) and main else None
        if main is None or rows is None or not isinstance(axis, Var):
            return ()
        from tilewright.codegen_cpu.contraction_schedule import rows_of_block

        size = rows_of_block(main, axis, rows, tile[outer.index(rows)], self.target)
        return tuple(size if a is rows else 0 for a in outer) if size else ()

    def _parallel(
        self, tile: tuple[int, ...], order: list[int], lanes: int
    ) -> tuple[tuple[int, ...], int]:
        """The walk over tiles, and how many tasks its first axis is cut into."""
        chunks = tasks_for(self._operations(), lanes)
        if chunks < 2 or not order or not self.target.has_threads:
            return tuple(order), 1
        counts = [-(-points((a,)) // t) for a, t in zip(self.nest.outer, tile, strict=True)]
        first = order[0] if counts[order[0]] >= 4 else max(order, key=lambda k: counts[k])
        order.remove(first)
        order.insert(0, first)
        return tuple(order), chunks if counts[first] >= 2 else 1

    def _operations(self) -> int:
        """What the nest does at all its points; a product that is added counts once."""
        main = self._main_reduction()
        if main is not None and adds_products(main):
            return points(self.nest.outer) * points(main.reduce_axes)
        return work(self.nest)


def adds_products(stage: Stage) -> bool:
    """Whether the stage adds up products, or a few of them: complex numbers are multiplied so."""
    return stage.combiner == "add" and stage.value.dtype.is_float and _is_product(stage.value)


def _is_product(value: Expr) -> bool:
    while isinstance(value, Apply) and value.op is ops.CAST:
        value = value.operands[0]
    if isinstance(value, Apply) and value.op in (ops.ADD, ops.SUB):
        return all(_is_product(v) for v in value.operands)
    return isinstance(value, Apply) and value.op is ops.MUL


def shows_order(nest: Nest) -> bool:
    """Whether the order of a reduction shows in its result: that of sums and products in their last
    bits, that of extremes in the sign of a zero."""
    return any(s.reduce_axes and s.value.dtype.is_float for s in nest.stages)


def _filled(axis: Var, width: int) -> float:
    """How much of the vectors an axis fills."""
    size = points((axis,))
    if size < 2:
        return 0.0
    return size / (-(-size // width) * width)


def _best_divisor(axis: Var, most: int) -> int:
    """The largest tile up to `most`, a divisor of the extent if one is at least half of it."""
    size = points((axis,))
    if size <= most:
        return max(1, size) if isinstance(axis.extent, int) else most
    for tile in range(most, most // 2, -1):
        if size % tile == 0:
            return tile
    return most
