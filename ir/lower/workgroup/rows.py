"""A nest -> a kernel in which a team of invocations computes all that belongs to an outer point.

In: a nest whose outer extents are static. Out: as of `workgroup/grid.py`. There are one or several
teams in a workgroup (`workgroup/team.py`). The invocations of a team stride over the axes inside of
its outer point, so that neighbours take neighbouring elements: of the same point, or, where those
of neighbouring outer points are next to each other in memory, of one point each. Reductions end in
a tree over what each of a team has (`workgroup/combine.py`), scans in a tree of prefixes; results
without axes are then known to all of the team, rows lie in workgroup memory.

A `tile` gives a team several outer points at once, so that what these have in common is read once;
with a `width` of 4 neighbours take neighbouring ``vec4`` where lines are whole ones.

Where teams do not fill the last workgroup, those left over compute the last point once more and
store nothing, so that all reach every barrier; without barriers they do nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import product

from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.expr import Expr, Load, Size, Var, post_order
from tilewright.ir.graph import identity
from tilewright.ir.kernel import Barrier, Buffer, For, If, Kernel, LoopKind, Stmt, Store
from tilewright.ir.lower.accesses import flat, outer_is_contiguous
from tilewright.ir.lower.check_schedule import LANES
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.nest import Point
from tilewright.ir.lower.reducer import Reducer, combine, is_product
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, plan_levels
from tilewright.ir.lower.workgroup.combine import (
    MemoryTree,
    Partials,
    SubgroupTree,
    Tree,
    operation,
)
from tilewright.ir.lower.workgroup.grid import (
    GridLowering,
    guard_stores,
    on_grid,
    split_index,
    static_extent,
)
from tilewright.ir.lower.workgroup.team import Teams
from tilewright.ir.ops import Op
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.subgroups import Subgroups
from tilewright.ir.traverse import substitute

Bound = dict[Var, Expr]
Indices = tuple[Expr, ...]
_SHORT = 16
WORD_BITS = 32


class RowLowering(GridLowering):
    """State of the lowering of one nest."""

    def __init__(self, nest: Nest, schedule: Schedule, least_subgroup: int) -> None:
        super().__init__(nest, replace(schedule, vector=None, unroll=1))
        self.teams = Teams(schedule.workgroup, interleaved=outer_is_contiguous(nest))
        self.threads, self.lane = self.teams.threads, self.teams.thread
        self.partials = Partials(self.teams.shape((self.threads,)), self.locals)
        self.subgroups = Subgroups(self.threads, least_subgroup) if schedule.subgroups else None
        self.tree = self._make_tree()
        self.shares: dict[Size, Expr] = {}

    def _make_tree(self) -> Tree:
        if self.subgroups is None:
            return MemoryTree(self.teams, self.partials)
        return SubgroupTree(self.threads, self.subgroups, self.locals)

    def kernel(self, name: str) -> Kernel:
        sizes = [-(-static_extent(a) // self.sizes[a]) for a in self.order]
        total, teams = math.prod(sizes), self.teams
        group = Var("group", -(-total // teams.count))
        position = build.add(build.mul(group, build.index(teams.count)), teams.number)
        is_partial = total % teams.count != 0
        exists = build.lt(position, build.index(total))
        waits = self.threads > 1 or any(s.scans for s in self.nest.stages)
        clamps = is_partial and waits
        kept = build.minimum(position, build.index(total - 1)) if clamps else position
        for axis, place in zip(self.order, split_index(kept, sizes), strict=True):
            self.tiles[axis] = self._tile(axis, build.mul(place, build.index(self.sizes[axis])))
        body = self.tile_body()
        if clamps:
            body = guard_stores(body, exists, {kept: position})
        elif is_partial:
            body = [If(exists, body)]
        body = on_grid(group, teams.local, body, self.subgroups)
        return finish_kernel(name, body, self.locals)

    def place(self, local: Buffer, tile: Indices, indices: Indices) -> Indices:
        return self.teams.place(*indices) if local.shape else tile

    def placed(self, local: Buffer) -> Buffer:
        if not local.shape:
            return super().placed(local)
        found = self.storage.get(local)
        if found is None:
            found = Buffer(local.name, self.teams.shape(local.shape), local.dtype, "workgroup")
            self.storage[local] = found
            self.locals.append(found)
        return found

    def stage(self, stages: Sequence[Stage]) -> list[Stmt]:
        stage = stages[0]
        if stage.combiner is None:
            body = self._map(stage)
        elif stage.scans:
            body = self._scan_rows(stage)
        else:
            body = self._reduction(stages)
        return [*body, Barrier()] if self._is_shared(stage.target) else body

    def _is_shared(self, target: Buffer) -> bool:
        """Whether other invocations read what one of them stored: a local row, or one that was too
        long for workgroup memory and that stages of this nest read."""
        if self.threads == 1:
            return False
        if target in self.nest.locals:
            return bool(target.shape)
        nodes = [n for s in self.nest.stages for n in post_order((s.value, *s.indices))]
        loads = [n for n in nodes if isinstance(n, Load)]
        return target.root in {n.source.root for n in loads if isinstance(n.source, Buffer)}

    def _point_here(self) -> Point:
        return Point(self, (), dict(self.points))

    # Maps.

    def _map(self, stage: Stage) -> list[Stmt]:
        if stage.axes:
            words = self._in_a_word(stage)
            together = words if words > 1 else self._lanes(stage.axes)
            kind: LoopKind = "unroll" if words > 1 else "vector"
            make = functools.partial(self._map_point, stage)
            return self._strided(stage.axes, make, together, kind)
        return self._store_once(stage, self._map_point(stage, {}))

    def _store_once(self, stage: Stage, body: list[Stmt]) -> list[Stmt]:
        """Every invocation keeps a local without axes; one writes what lies in memory."""
        if self.threads == 1 or (stage.target in self.nest.locals and not stage.target.shape):
            return body
        return [If(build.eq(self.lane, build.index(0)), body)]

    def _in_a_word(self, stage: Stage) -> int:
        """How many neighbours an invocation stores together: of narrow elements those that share a
        word, where rows are made of whole ones."""
        target, bits = stage.target, stage.target.dtype.bits
        last = stage.axes[-1]
        if target in self.nest.locals or bits >= WORD_BITS or not isinstance(last.extent, int):
            return 1
        form, each = flat(target, stage.indices), WORD_BITS // bits
        others = [form.constant, last.extent, *form.without(last).terms.values()]
        return 1 if form.coefficient(last) != 1 or any(n % each for n in others) else each

    def _lanes(self, axes: Sequence[Var]) -> int:
        """Neighbours along the last axis in a vector: of lines that are made of whole ones."""
        last = axes[-1].extent
        whole = isinstance(last, int) and last % LANES == 0
        return LANES if whole and self.schedule.width == LANES else 1

    def _strided(
        self,
        axes: Sequence[Var],
        make: Callable[[Bound], list[Stmt]],
        neighbours: int = 1,
        kind: LoopKind = "unroll",
    ) -> list[Stmt]:
        """``make`` at every point of `axes`, shared among the invocations, which take so many
        `neighbours` along the last of them at a time, in a loop of that kind."""
        counter, inner, places = self._shared_points(axes, {}, neighbours)
        body = make(dict(zip(axes, places, strict=True)))
        if inner is not None:
            body = [For(inner, kind, body, neighbours if kind == "vector" else None)]
        return [For(counter, "serial", body)]

    def _shared_points(
        self, axes: Sequence[Var], bound: Bound, neighbours: int
    ) -> tuple[Var, Var | None, list[Expr]]:
        """The points of `axes` that fall to this invocation: counters of pieces of so many
        neighbours and, if these are several, inside of a piece; and the place on each axis."""
        *others, last = (self.extent(a, bound) for a in axes)
        sizes = [*others, build.size_floordiv(last, neighbours) if neighbours > 1 else last]
        counter = Var(f"{axes[-1].name}_s", self._share(build.product(tuple(sizes))))
        position = build.add(build.mul(counter, build.index(self.threads)), self.lane)
        places = split_index(position, sizes)
        if neighbours == 1:
            return counter, None, places
        inner = Var(f"{axes[-1].name}_n", neighbours)
        places[-1] = build.add(build.mul(places[-1], build.index(neighbours)), inner)
        return counter, inner, places

    def _share(self, total: Size) -> Size:
        """How many of `total` points fall to this invocation."""
        if isinstance(total, int) and total % self.threads == 0:
            return total // self.threads
        if total not in self.shares:
            rounded = build.index(build.size_add(total, self.threads - 1))
            mine = build.floordiv(build.sub(rounded, self.lane), build.index(self.threads))
            self.shares[total] = mine
        return self.shares[total]

    # Reductions.

    def _reduction(self, stages: Sequence[Stage]) -> list[Stmt]:
        axes = stages[0].axes
        alone = self._is_short(stages)
        if axes and (alone or self._fills(axes)):
            return self._strided(axes, lambda b: Reducer(self, stages, b).statements())
        kept = [s.target in self.nest.locals and not s.target.shape for s in stages]
        if alone and len(set(kept)) == 1:
            return self._store_once(stages[0], Reducer(self, stages, {}).statements())
        return self._serial_axes(list(axes), {}, lambda bound: self._tree(stages, bound))

    def _is_short(self, stages: Sequence[Stage]) -> bool:
        """Whether an invocation reduces sooner by itself than it waits for a tree of them."""
        sizes = tuple(self.extent(a, {}) for a in stages[0].reduce_axes)
        most = largest(build.product(sizes))
        return most is not None and most <= _SHORT

    def _fills(self, axes: Sequence[Var]) -> bool:
        """Whether there are enough points to give every other invocation at least one."""
        most = largest(build.product(tuple(self.extent(a, {}) for a in axes)))
        return bool(axes) and (most is None or most * 2 >= self.threads)

    def _tree(self, stages: Sequence[Stage], bound: Bound) -> list[Stmt]:
        """Each invocation reduces its share; those of a team combine the results."""
        shares, lane = self._shares_of(stages, bound)
        self.nest = replace(self.nest, locals=(*self.nest.locals, *(s.target for s in shares)))
        body = LaneReducer(self, shares, bound, lane).statements()
        tiles = [
            tuple(build.index(k) for k in place)
            for place in product(*(range(self.tiles[a].size) for a in self.tiled))
        ]
        values: list[Buffer] = []
        for tile, share in product(tiles, shares):
            value, steps = self._at(share.target, tile)
            values.append(value)
            body += steps
        combined = self.tree.combine([*stages] * len(tiles), values, repeated=bool(bound))
        body += combined.body
        results = iter(combined.results)
        for tile in tiles:
            point, _, inside = self.point_at(tile)
            for stage in stages:
                store: Stmt = point.store_value(stage, bound, next(results))
                one = [store] if inside is build.TRUE else guard_stores([store], inside)
                body += self._store_once(stage, one)
        return [*body, *combined.end]

    def _shares_of(self, stages: Sequence[Stage], bound: Bound) -> tuple[list[Stage], Var | None]:
        """The stages over this invocation's share of the reduced points, into registers; and the
        lane of their values, where there are lanes."""
        axes = stages[0].reduce_axes
        counter, lane, places = self._shared_points(axes, bound, self._lanes(axes))
        shares = []
        for stage in stages:
            value = substitute(stage.value, dict(zip(stage.reduce_axes, places, strict=True)))
            mine = Buffer(f"{stage.target.name}_lane", (), stage.value.dtype, "register")
            shares.append(
                replace(stage, reduce_axes=(counter,), value=value, target=mine, indices=())
            )
        return shares, lane

    def _at(self, share: Buffer, tile: Indices) -> tuple[Buffer, list[Stmt]]:
        """A register of its own for what a share comes to at one point of the tile."""
        kept = self.placed(share)
        if not tile:
            return kept, []
        made = Buffer(share.name, (), kept.dtype, "register")
        self.locals.append(made)
        return made, [Store(made, (), Load(kept, tile))]

    # Scans.

    def _scan_rows(self, stage: Stage) -> list[Stmt]:
        rows = stage.axes[:-1]
        if self._fills(rows):
            return self._strided(rows, lambda bound: self._scan_run(stage, bound, None))
        return self._serial_axes(list(rows), {}, lambda bound: self._scan_shared(stage, bound))

    def _scan_shared(self, stage: Stage, bound: Bound) -> list[Stmt]:
        """Each invocation scans a run of its own, after the runs' totals have been scanned."""
        name, op = stage.combined_by, operation(stage)
        dtype = stage.value.dtype
        before = self.register(f"{stage.target.name}_before", dtype, ())
        partial = self.partials.of(dtype)
        mine = self.teams.place(self.lane)
        body = self._scan_run(stage, bound, before, totals=True)
        body += [Store(partial, mine, Load(before, ())), Barrier()]
        step = 1
        while step < self.threads:
            there = self.teams.place(build.sub(self.lane, build.index(step)))
            value = combine(op, Load(partial, there), Load(before, ()))
            has_left = build.ge(self.lane, build.index(step))
            body += [If(has_left, [Store(before, (), value)]), Barrier()]
            body += [Store(partial, mine, Load(before, ())), Barrier()]
            step *= 2
        left = Load(partial, self.teams.place(build.sub(self.lane, build.index(1))))
        body.append(Store(before, (), identity(name, dtype)))
        body.append(If(build.ge(self.lane, build.index(1)), [Store(before, (), left)]))
        return [*body, *self._scan_run(stage, bound, before, shared=True), Barrier()]

    def _scan_run(
        self,
        stage: Stage,
        bound: Bound,
        total: Buffer | None,
        *,
        totals: bool = False,
        shared: bool = False,
    ) -> list[Stmt]:
        """A running combination: of the whole axis, or (with `totals` or `shared`) of this
        invocation's run of it. `totals` only leaves the end result in `total`; `shared` starts
        from what `total` holds."""
        name, op = stage.combined_by, operation(stage)
        axis = stage.axes[-1]
        extent = self.extent(axis, bound)
        first: Expr = build.index(0)
        if totals or shared:
            run = build.size_floordiv(build.size_add(extent, self.threads - 1), self.threads)
            first = build.mul(self.lane, build.index(run))
            left = build.maximum(build.sub(build.index(extent), first), build.index(0))
            extent = build.minimum(build.index(run), left)
        register = total or self.register(f"{stage.target.name}_run", stage.value.dtype, ())
        counter = Var(f"{axis.name}_r", extent)
        inner = {**bound, axis: build.add(first, counter)}
        point = self._point_here()
        old = Load(register, ())
        body: list[Stmt] = [Store(register, (), combine(op, old, point.value(stage.value, inner)))]
        if not totals:
            body.append(point.store_value(stage, inner, old))
        start = [] if shared else [Store(register, (), identity(name, stage.value.dtype))]
        return [*start, For(counter, "serial", body)]


class LaneReducer(Reducer):
    """A reducer over one invocation's share, whose size is known up to one; of several lanes, whose
    results are combined by halving, if the share has any."""

    lowering: RowLowering

    def _results(self, totals: list[Buffer]) -> list[Stmt]:
        return self.lowering.over_tile(
            lambda point: [
                point.store_value(s.stage, self.bound, self._whole(s.op, t, point.tile))
                for s, t in zip(self.sums, totals, strict=True)
            ]
        )

    def _whole(self, op: Op, total: Buffer, tile: Indices) -> Expr:
        lanes: list[Indices] = [(build.index(k),) for k in range(self.lanes)] or [()]
        parts: list[Expr] = [Load(total, (*tile, *lane)) for lane in lanes]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [combine(op, *pair) for pair in zip(parts[:half], parts[half:], strict=True)]
        return parts[0]

    def _plan(self) -> list[tuple[int, ...]]:
        rounded = [s for s in self.sums if s.dtype.is_float and s.op in (ops.ADD, ops.MUL)]
        if not rounded:
            return [()]
        (axis,) = self.axes
        assert axis.extent is not None
        plain = any(not is_product(s.stage) for s in rounded)
        run = self.lowering.schedule.reduce_block or (SUM_RUN if plain else PRODUCT_RUN)
        # As for lanes that are not full, where the tree over all shares is higher than it must be.
        lanes = 2 if self.lowering.tree.height_reserved else 1
        return plan_levels([largest(axis.extent)], run, lanes)
