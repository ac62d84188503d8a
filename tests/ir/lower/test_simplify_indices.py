"""Simplified index expressions have the value of the original at every point."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.segments import Interior, interior
from tilewright.ir.lower.simplify_indices import index_simplifier
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute

ROW, COL = Var("i", 7), Var("j", 5)
COMPARISONS = (ops.LT, ops.LE, ops.GT, ops.GE, ops.EQ, ops.NE)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_every_point_keeps_its_value(data: st.DataObject) -> None:
    original = data.draw(index_expressions((ROW, COL)))
    simple = index_simplifier()(original)
    for point in points((ROW, COL)):
        assert value_at(simple, point) == value_at(original, point)


@given(data=st.data(), op=st.sampled_from(COMPARISONS))
@settings(max_examples=200, deadline=None)
def test_every_comparison_keeps_its_outcome(data: st.DataObject, op: ops.Op) -> None:
    sides = [data.draw(index_expressions((ROW, COL))) for _ in range(2)]
    original = Apply(op, tuple(sides))
    simple = index_simplifier()(original)
    for point in points((ROW, COL)):
        assert value_at(simple, point) == value_at(original, point)


def index(value: int) -> Expr:
    return build.index(value)


@pytest.mark.parametrize(
    ("original", "wanted"),
    [
        (Apply(ops.MIN, (ROW, index(6))), "i"),
        (Apply(ops.MAX, (ROW, index(0))), "i"),
        (Apply(ops.MOD, (ROW, index(7))), "i"),
        (Apply(ops.FLOORDIV, (ROW, index(7))), "0"),
        (Apply(ops.LT, (ROW, index(7))), "true"),
        (Apply(ops.GE, (ROW, index(7))), "false"),
        (Apply(ops.MIN, (build.add(ROW, COL), ROW)), "i"),
    ],
)
def test_what_ranges_decide_disappears(original: Expr, wanted: str) -> None:
    simple = index_simplifier()(original)
    shown = {"i": ROW, "true": build.TRUE, "false": build.FALSE}
    assert simple is shown[wanted] if wanted in shown else build.known(simple) == int(wanted)


# Segments: the interior is where an expression keeps one form.


def nest_reading(place: Expr, axis: Var) -> Nest:
    source, target = Buffer("x", (64,), F32), Buffer("o", (axis.extent or 1,), F32)
    stage = Stage((), (), None, Load(source, (place,)), target, (axis,))
    return Nest("n", (axis,), (stage,), ())


def inside(place: Expr, axis: Var, part: Interior) -> Expr:
    short = Var("s", part.stop - part.start)
    moved = substitute(place, {axis: build.add(short, index(part.start))})
    return index_simplifier()(moved)


X = Var("x", 64)
CLAMPED = Apply(ops.MIN, (Apply(ops.MAX, (build.sub(X, index(2)), index(0))), index(61)))
WRAPPED = Apply(ops.MOD, (build.sub(X, index(3)), index(64)))


@pytest.mark.parametrize(
    ("place", "wanted"),
    [(CLAMPED, Interior(2, 63)), (WRAPPED, Interior(3, 64)), (X, Interior(0, 64))],
)
def test_the_interior_is_cut_where_the_form_changes(place: Expr, wanted: Interior) -> None:
    part = interior(nest_reading(place, X).stages, X)
    assert part == wanted
    simple = inside(place, X, part)
    assert not any(isinstance(n, Apply) and n.op in (ops.MIN, ops.MAX, ops.MOD) for n in (simple,))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_interior_lies_within_the_axis_and_keeps_values(data: st.DataObject) -> None:
    axis = Var("x", data.draw(st.integers(1, 24)))
    place = data.draw(index_expressions((axis,)))
    part = interior(nest_reading(place, axis).stages, axis)
    assert isinstance(axis.extent, int)
    assert 0 <= part.start < part.stop <= axis.extent
    simple = inside(place, axis, part)
    for position in range(part.start, part.stop):
        binding = {n: position - part.start for n in _variables(simple)}
        assert value_at(simple, binding) == value_at(place, {axis: position})


def _variables(node: Expr) -> list[Var]:
    from tilewright.ir.traverse import variables

    return list(variables((node,)))


TASK = Var("c", 4)
TILE = Var(
    "t", build.minimum(build.index(3), build.sub(build.index(11), build.mul(TASK, build.index(3))))
)
LAST_TILES = build.add(build.mul(TASK, build.index(3)), TILE)
"""0 … 10: the last task has two tiles, where three would reach 11."""


@pytest.mark.parametrize(
    ("original", "stays"),
    [
        (Apply(ops.MOD, (LAST_TILES, index(11))), False),
        (Apply(ops.MOD, (LAST_TILES, index(10))), True),
        (Apply(ops.MIN, (LAST_TILES, index(10))), False),
        (Apply(ops.MIN, (LAST_TILES, index(9))), True),
        (Apply(ops.MAX, (build.sub(index(10), LAST_TILES), index(0))), False),
        (Apply(ops.MAX, (build.sub(index(9), LAST_TILES), index(0))), True),
    ],
)
def test_tiles_of_a_task_end_with_the_axis(original: Apply, stays: bool) -> None:
    simple = index_simplifier()(original)
    assert (isinstance(simple, Apply) and simple.op is original.op) == stays
    for task in range(4):
        for tile in range(min(3, 11 - 3 * task)):
            point = {TASK: task, TILE: tile}
            assert value_at(simple, point) == value_at(original, point)
