"""An extreme of a row and the first position that has it, in one pass over the row.

In: two stages of a nest as `ir/passes/lower_arg_reductions.py` makes them of an argmin or argmax: a
minimum or maximum, and the smallest position where the same value is equal to it. Out: statements
that keep, in every lane, the best value so far and where it was. NaN, which would win, is only
noted; a row that has one is looked through again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.tensor_ranges import holds
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var, post_order
from tilewright.ir.graph import identity
from tilewright.ir.kernel import Buffer, For, If, Stmt, Store
from tilewright.ir.program import Stage
from tilewright.ir.structure import Keys
from tilewright.ir.traverse import substitute

if TYPE_CHECKING:
    from tilewright.ir.lower.nest import NestLowering, Point

Place = tuple[Expr, ...]
_BETTER = {"max": (ops.GT, ops.MAX), "min": (ops.LT, ops.MIN)}


class FirstExtreme(Struct, frozen=True, eq=False):
    """The stages: `extreme` of `value`, and `first`, the smallest `position` that has it.

    Value and position are in terms of the reduced axes of `first`.
    """

    extreme: Stage
    first: Stage
    value: Expr
    position: Expr
    absent: Const


def match_first_extreme(extreme: Stage, first: Stage) -> FirstExtreme | None:
    """The pair that two stages are, over static axes and without axes of their own."""
    for stage in (extreme, first):
        if stage.axes or not stage.reduce_axes:
            return None
        if not all(isinstance(a.extent, int) for a in stage.reduce_axes):
            return None
    chosen = first.value
    if extreme.combiner not in _BETTER or first.combiner != "min":
        return None
    if not isinstance(chosen, Apply) or chosen.op is not ops.SELECT:
        return None
    found, position, absent = chosen.operands
    if not isinstance(absent, Const) or absent.value != absent.dtype.max:
        return None
    value = _value_found(found, extreme)
    if value is None or not _is_same(value, extreme, first):
        return None
    if not _increases(position, first.reduce_axes):
        return None
    return FirstExtreme(extreme, first, value, position, absent)


def _value_found(found: Expr, extreme: Stage) -> Expr | None:
    """What `found` says to be the extreme: equal to it, or NaN as it is."""
    equal, both = found, None
    if isinstance(found, Apply) and found.op is ops.OR:
        equal, both = found.operands
    if not isinstance(equal, Apply) or equal.op is not ops.EQ:
        return None
    value, best = equal.operands
    if not isinstance(best, Load) or best.source is not extreme.target:
        return None
    if both is None:
        return None if value.dtype.is_float else value
    if not isinstance(both, Apply) or both.op is not ops.AND:
        return None
    keys = Keys()
    tested = {
        keys.of(o.operands[0], {})
        for o in both.operands
        if isinstance(o, Apply) and o.op is ops.ISNAN
    }
    return value if tested == {keys.of(value, {}), keys.of(best, {})} else None


def _increases(position: Expr, axes: tuple[Var, ...]) -> bool:
    """Whether positions grow in the order in which elements are visited: only then is the first
    element that is better the one with the smallest position."""
    casts: list[DType] = []
    while isinstance(position, Apply) and position.op is ops.CAST:
        casts.append(position.dtype)
        position = position.operands[0]
    if not all(dtype is INDEX or holds(dtype, position) for dtype in casts):
        return False
    terms = linear(position).terms
    if any(n in axes for atom in terms if not isinstance(atom, Var) for n in post_order((atom,))):
        return False
    reach = 0
    for axis in reversed(axes):
        assert isinstance(axis.extent, int)
        if axis.extent > 1 and terms.get(axis, 0) <= reach:
            return False
        reach += terms.get(axis, 0) * (axis.extent - 1)
    return True


def _is_same(value: Expr, extreme: Stage, first: Stage) -> bool:
    """Whether `value`, over the axes of `first`, is what `extreme` is the extreme of."""
    axes, others = first.reduce_axes, extreme.reduce_axes
    if [a.extent for a in axes] == [a.extent for a in others]:
        keys = Keys()
        numbers = {a: k for k, a in enumerate(axes)}
        old = keys.of(extreme.value, {a: k for k, a in enumerate(others)})
        return keys.of(value, numbers) == old
    return len(others) == 1 and _walks_as_one(value, extreme.value, others[0], axes)


def _walks_as_one(value: Expr, whole: Expr, axis: Var, axes: tuple[Var, ...]) -> bool:
    """Whether loads of the same tensor go over `axes`, row-major, as over the one merged `axis`."""
    if not isinstance(value, Load) or not isinstance(whole, Load):
        return False
    place: Expr = build.index(0)
    for one in axes:
        assert one.extent is not None
        place = build.add(build.mul(place, build.index(one.extent)), one)
    if value.source is not whole.source or axis.extent != math.prod(_extents(axes)):
        return False
    moved = [linear(substitute(i, {axis: place})) for i in whole.indices]
    mine = [linear(i) for i in value.indices]
    return [(m.terms, m.constant) for m in moved] == [(m.terms, m.constant) for m in mine]


def _extents(axes: tuple[Var, ...]) -> list[int]:
    return [a.extent for a in axes if isinstance(a.extent, int)]


class FirstExtremeLowering:
    """Lowers one pair for one point, the axis across lanes."""

    def __init__(self, lowering: NestLowering, pair: FirstExtreme) -> None:
        self.lowering = lowering
        self.pair = pair
        *self.outer, last = pair.first.reduce_axes
        assert isinstance(last.extent, int)
        self.size = last.extent
        schedule = lowering.schedule
        self.width = schedule.width
        self.lanes = min(schedule.width * schedule.unroll, self.size)
        self.dtype = pair.value.dtype
        self.best = self._register("best", self.dtype)
        self.where = self._register("where", pair.absent.dtype)
        self.better = self._register("better", BOOL)
        self.odd = self._register("odd", BOOL)

    def _register(self, name: str, dtype: DType) -> Buffer:
        buffer = Buffer(name, (self.lanes,), dtype, "register")
        self.lowering.locals.append(buffer)
        return buffer

    def statements(self, point: Point) -> list[Stmt]:
        better, combine = _BETTER[self.pair.extreme.combined_by]
        most = LaneReduce(combine, self.best)

        def look(place: Place, lane: Expr) -> list[Stmt]:
            value, position = self._at(point, place)
            take, old = Load(self.better, (lane,)), Load(self.best, (lane,))
            where = build.select(take, position, Load(self.where, (lane,)))
            return [
                *self._note_nan(value, lane),
                Store(self.better, (lane,), Apply(better, (value, old))),
                Store(self.where, (lane,), where),
                Store(self.best, (lane,), build.select(take, value, old)),
            ]

        return [
            *self._over_lanes(lambda lane: self._start(point, lane)),
            *self._over_row(look),
            point.store_value(self.pair.extreme, {}, most),
            *self._first(point, lambda lane: self._has_extreme(point, lane)),
            *self._if_nan(point),
        ]

    def _start(self, point: Point, lane: Expr) -> list[Stmt]:
        """Nothing is better than the identity of the extreme, which is then found at first."""
        _, position = self._at(point, (*(build.index(0) for _ in self.outer), lane))
        neutral = identity(self.pair.extreme.combined_by, self.dtype)
        body: list[Stmt] = [
            Store(self.best, (lane,), neutral),
            Store(self.where, (lane,), position),
        ]
        if self.dtype.is_float:
            body.append(Store(self.odd, (lane,), build.const(False, BOOL)))
        return body

    def _note_nan(self, value: Expr, lane: Expr) -> list[Stmt]:
        if not self.dtype.is_float:
            return []
        seen = Apply(ops.OR, (Load(self.odd, (lane,)), Apply(ops.ISNAN, (value,))))
        return [Store(self.odd, (lane,), seen)]

    def _has_extreme(self, point: Point, lane: Expr) -> Expr:
        best = point.value(Load(self.pair.extreme.target, ()), {})
        return build.eq(Load(self.best, (lane,)), best)

    def _if_nan(self, point: Point) -> list[Stmt]:
        """The same for the first NaN."""
        if not self.dtype.is_float:
            return []

        def look(place: Place, lane: Expr) -> list[Stmt]:
            value, position = self._at(point, place)
            old = Load(self.where, (lane,))
            here = build.select(Apply(ops.ISNAN, (value,)), position, self.pair.absent)
            return [Store(self.where, (lane,), build.minimum(old, here))]

        nan = build.const(float("nan"), self.dtype)
        start = self._over_lanes(lambda lane: [Store(self.where, (lane,), self.pair.absent)])
        body = [
            *start,
            *self._over_row(look),
            point.store_value(self.pair.extreme, {}, nan),
            *self._first(point, lambda _: build.const(True, BOOL)),
        ]
        return [If(LaneReduce(ops.OR, self.odd), body)]

    def _first(self, point: Point, has: Callable[[Expr], Expr]) -> list[Stmt]:
        """Store the smallest position of the lanes of which `has` holds."""

        def keep(lane: Expr) -> list[Stmt]:
            where = build.select(has(lane), Load(self.where, (lane,)), self.pair.absent)
            return [Store(self.where, (lane,), where)]

        first = LaneReduce(ops.MIN, self.where)
        return [*self._over_lanes(keep), point.store_value(self.pair.first, {}, first)]

    def _at(self, point: Point, place: Place) -> tuple[Expr, Expr]:
        """The value at a place of the row (an index on each axis), and its position."""
        axes = dict(zip(self.pair.first.reduce_axes, place, strict=True))
        return point.value(self.pair.value, axes), point.value(self.pair.position, axes)

    def _over_lanes(self, make: Callable[[Expr], list[Stmt]]) -> list[Stmt]:
        lane = Var("lane", self.lanes)
        return [For(lane, "vector", make(lane), self.width)]

    def _over_row(self, make: Callable[[Place, Expr], list[Stmt]]) -> list[Stmt]:
        """``make(place, lane)`` in the order of positions: whole vectors, then the rest."""
        counters = tuple(Var(a.name, a.extent) for a in self.outer)
        whole, rest = divmod(self.size, self.lanes)
        block, lane = Var("block", whole), Var("lane", self.lanes)
        element = build.add(build.mul(block, build.index(self.lanes)), lane)
        inner = For(lane, "vector", make((*counters, element), lane), self.width)
        body: list[Stmt] = [For(block, "serial", [inner])]
        if rest:
            lane = Var("lane", rest)
            element = build.add(build.index(self.size - rest), lane)
            body.append(For(lane, "vector", make((*counters, element), lane), self.width))
        for counter in reversed(counters):
            body = [For(counter, "serial", body)]
        return body
