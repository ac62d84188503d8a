"""A nest -> a kernel in which a team of invocations computes all that belongs to an outer point.

In: a nest whose outer extents are static. Out: as of `workgroup/grid.py`. There are one or several
teams in a workgroup (`workgroup/team.py`). The invocations of a team stride over the axes inside of
its outer point, so that neighbours take neighbouring elements: of the same point, or, where those
of neighbouring outer points are next to each other in memory, of one point each. Reductions end in
a tree over what each of a team has (`workgroup/combine.py`), scans in a tree of prefixes; results
without axes are then known to all of the team, rows lie in workgroup memory.

Where teams do not fill the last workgroup, those left over compute the last point once more and
store nothing, so that all reach every barrier.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.expr import Expr, Load, Size, Var, post_order
from tilewright.ir.graph import identity
from tilewright.ir.kernel import Barrier, Buffer, For, If, Kernel, Stmt, Store
from tilewright.ir.lower.accesses import flat, outer_is_contiguous
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.nest import NestLowering, Point
from tilewright.ir.lower.reducer import Reducer, combine, is_product
from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, plan_levels
from tilewright.ir.lower.tile_walk import Tile
from tilewright.ir.lower.workgroup.combine import (
    MemoryTree,
    Partials,
    SubgroupTree,
    Tree,
    operation,
)
from tilewright.ir.lower.workgroup.grid import (
    guard_stores,
    on_grid,
    split_index,
    static_extent,
)
from tilewright.ir.lower.workgroup.team import Teams
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.subgroups import Subgroups
from tilewright.ir.traverse import substitute

Bound = dict[Var, Expr]
_SHORT = 16
WORD_BITS = 32


class RowLowering(NestLowering):
    """State of the lowering of one nest."""

    def __init__(self, nest: Nest, schedule: Schedule, least_subgroup: int) -> None:
        super().__init__(nest, replace(schedule, tile=(), vector=None, width=1, unroll=1))
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
        sizes = [static_extent(a) for a in self.order]
        total, teams = math.prod(sizes), self.teams
        group = Var("group", -(-total // teams.count))
        position = build.add(build.mul(group, build.index(teams.count)), teams.number)
        is_partial = total % teams.count != 0
        kept = build.minimum(position, build.index(total - 1)) if is_partial else position
        for axis, place in zip(self.order, split_index(kept, sizes), strict=True):
            self.tiles[axis] = Tile(place, 1)
        body = self.tile_body()
        if is_partial:
            body = guard_stores(body, build.lt(position, build.index(total)), {kept: position})
        body = on_grid(group, teams.local, body, self.subgroups)
        return finish_kernel(name, body, self.locals)

    def place(
        self, local: Buffer, tile: tuple[Expr, ...], indices: tuple[Expr, ...]
    ) -> tuple[Expr, ...]:
        return self.teams.place(*indices) if local.shape else indices

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
            neighbours = self._in_a_word(stage)
            return self._strided(
                stage.axes, lambda bound: self._map_point(stage, bound), neighbours
            )
        return self._store_once(stage, self._map_point(stage, {}))

    def _store_once(self, stage: Stage, body: list[Stmt]) -> list[Stmt]:
        """Every invocation keeps a local without axes; one writes what lies in memory."""
        if stage.target in self.nest.locals and not stage.target.shape:
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

    def _strided(
        self, axes: Sequence[Var], make: Callable[[Bound], list[Stmt]], neighbours: int = 1
    ) -> list[Stmt]:
        """``make`` at every point of `axes`, shared among the invocations, which take so many
        `neighbours` along the last of them at a time."""
        *others, last = (self.extent(a, {}) for a in axes)
        sizes = [*others, build.size_floordiv(last, neighbours) if neighbours > 1 else last]
        counter = Var(f"{axes[-1].name}_s", self._share(build.product(tuple(sizes))))
        places = split_index(self._position(counter), sizes)
        if neighbours == 1:
            return [For(counter, "serial", make(dict(zip(axes, places, strict=True))))]
        inner = Var(f"{axes[-1].name}_n", neighbours)
        places[-1] = build.add(build.mul(places[-1], build.index(neighbours)), inner)
        body = make(dict(zip(axes, places, strict=True)))
        return [For(counter, "serial", [For(inner, "unroll", body)])]

    def _position(self, counter: Expr) -> Expr:
        return build.add(build.mul(counter, build.index(self.threads)), self.lane)

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
        """Each invocation reduces its share; the workgroup combines the results."""
        shares = self._shares_of(stages, bound)
        self.nest = replace(self.nest, locals=(*self.nest.locals, *(s.target for s in shares)))
        body = LaneReducer(self, shares, bound).statements()
        values = [self.placed(share.target) for share in shares]
        combined = self.tree.combine(stages, values, repeated=bool(bound))
        body += combined.body
        point = self._point_here()
        for stage, result in zip(stages, combined.results, strict=True):
            body += self._store_once(stage, [point.store_value(stage, bound, result)])
        return [*body, *combined.end]

    def _shares_of(self, stages: Sequence[Stage], bound: Bound) -> list[Stage]:
        """The stages over this invocation's share of the reduced points, into registers."""
        axes = stages[0].reduce_axes
        sizes = [self.extent(a, bound) for a in axes]
        counter = Var(f"{axes[-1].name}_s", self._share(build.product(tuple(sizes))))
        places = split_index(self._position(counter), sizes)
        shares = []
        for stage in stages:
            value = substitute(stage.value, dict(zip(stage.reduce_axes, places, strict=True)))
            mine = Buffer(f"{stage.target.name}_lane", (), stage.value.dtype, "register")
            shares.append(
                replace(stage, reduce_axes=(counter,), value=value, target=mine, indices=())
            )
        return shares

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
    """A reducer over one invocation's share, whose size is known up to one."""

    lowering: RowLowering

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
