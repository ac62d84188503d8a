"""Simplified index expressions have the value of the original at every point."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F32, I32, I64, INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
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


def stays(node: Expr, op: ops.Op) -> bool:
    return isinstance(node, Apply) and node.op is op


AXES = [Var("i", n) for n in (1, 2, 5)]


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: str(axis.extent))
@pytest.mark.parametrize("op", [*COMPARISONS, ops.MIN, ops.MAX], ids=lambda op: op.name)
def test_what_is_the_same_everywhere_is_decided_and_nothing_else(op: ops.Op, axis: Var) -> None:
    for literal in range(-2, 8):
        for sides in ((axis, index(literal)), (index(literal), axis)):
            original = Apply(op, sides)
            simple = index_simplifier()(original)
            found = [value_at(original, point) for point in points((axis,))]
            if op in COMPARISONS:
                known = None if len(set(found)) > 1 else build.const(found[0], BOOL)
                assert stays(simple, op) if known is None else simple is known
            else:
                is_axis = found == [value_at(axis, point) for point in points((axis,))]
                is_literal = set(found) == {literal}
                assert stays(simple, op) == (not is_axis and not is_literal)
            assert [value_at(simple, point) for point in points((axis,))] == found


@pytest.mark.parametrize("divisor", [1, 2, 3, 5])
@pytest.mark.parametrize("axis", AXES, ids=lambda axis: str(axis.extent))
def test_a_division_goes_where_the_quotient_is_the_same_everywhere(axis: Var, divisor: int) -> None:
    outer = Var("o", 3)
    for constant in range(-6, 7):
        part = build.add(axis, index(constant))
        whole = Apply(ops.ADD, (Apply(ops.MUL, (outer, index(2 * divisor))), part))
        quotients = {value_at(part, p) // divisor for p in points((axis,))}
        for op in (ops.FLOORDIV, ops.MOD):
            simple = index_simplifier()(Apply(op, (whole, index(divisor))))
            divisions = [n for n in post_order((simple,)) if is_division(n)]
            assert bool(divisions) == (len(quotients) > 1 and divisor > 1)
            assert not any(outer in post_order((n,)) for n in divisions)
            for point in points((outer, axis)):
                wanted = value_at(Apply(op, (whole, index(divisor))), point)
                assert value_at(simple, point) == wanted


def is_division(node: Expr) -> bool:
    return isinstance(node, Apply) and node.op in (ops.FLOORDIV, ops.MOD)


def test_divisors_that_are_not_positive_are_left_alone() -> None:
    for divisor in (index(0), index(-3), Var("n", least=1)):
        for op in (ops.FLOORDIV, ops.MOD):
            node = Apply(op, (build.mul(ROW, build.index(3)), divisor))
            assert stays(index_simplifier()(node), op)


OPEN = Var("N", least=1)
WORKER = Var("w")
REST = build.sub(OPEN, build.mul(WORKER, index(3)))


@pytest.mark.parametrize("extent", [REST, build.minimum(index(3), REST)], ids=["all", "at most 3"])
def test_tiles_of_an_open_axis_end_with_it(extent: Expr) -> None:
    place = build.add(build.mul(WORKER, index(3)), Var("t", extent))
    mirrored = build.sub(build.sub(OPEN, index(1)), place)
    for original, wanted in (
        (Apply(ops.LT, (place, OPEN)), build.TRUE),
        (Apply(ops.GE, (place, OPEN)), build.FALSE),
        (Apply(ops.LT, (place, build.sub(OPEN, index(1)))), None),
        (Apply(ops.GE, (mirrored, index(0))), build.TRUE),
        (Apply(ops.GE, (mirrored, index(1))), None),
        (Apply(ops.LT, (mirrored, OPEN)), None),
    ):
        simple = index_simplifier()(original)
        assert simple is wanted if wanted else simple not in (build.TRUE, build.FALSE)


def test_the_nearer_of_two_bounds_counts() -> None:
    """A loop of 10 that stays below 4 - o as well: its own extent may say more, or less."""
    outer = Var("o", 3)
    tile = Var("t", build.minimum(index(10), build.sub(index(4), outer)))
    for literal in range(6):
        total = build.add(build.mul(outer, index(2)), tile)
        last = build.sub(index(20), tile)
        for op, a, b in ((ops.LT, tile, literal), (ops.LT, total, literal + 2)):
            found = {value_at(Apply(op, (a, index(b))), p) for p in points((outer, tile))}
            simple = index_simplifier()(Apply(op, (a, index(b))))
            assert (simple is build.TRUE) == (found == {True})
        found = {value_at(last, p) >= 15 + literal for p in points((outer, tile))}
        simple = index_simplifier()(Apply(ops.GE, (last, index(15 + literal))))
        assert (simple is build.TRUE) == (found == {True})


def test_what_a_known_condition_leaves() -> None:
    """Operations on the outcome of a comparison of positions."""
    other, a, b = Var("c", dtype=BOOL), Var("a", dtype=F32), Var("b", dtype=F32)
    yes, no = Apply(ops.LT, (ROW, index(7))), Apply(ops.GE, (ROW, index(7)))
    for original, wanted in (
        (Apply(ops.SELECT, (yes, a, b)), a),
        (Apply(ops.SELECT, (no, a, b)), b),
        (Apply(ops.OR, (yes, other)), build.TRUE),
        (Apply(ops.OR, (other, yes)), build.TRUE),
        (Apply(ops.OR, (no, other)), other),
        (Apply(ops.OR, (other, no)), other),
        (Apply(ops.AND, (yes, other)), other),
        (Apply(ops.AND, (other, no)), build.FALSE),
    ):
        assert index_simplifier()(original) is wanted
    assert build.known(index_simplifier()(Apply(ops.ADD, (index(2), index(3))))) == 5


def test_extremes_are_taken_before_widening() -> None:
    """Vectors of i32 hold twice as many lanes; a literal beyond 32 bits stays outside."""
    narrow = Load(Buffer("n", (4,), I32), (index(0),))
    wide = Load(Buffer("n", (4,), I64), (index(0),))
    for op, literal in ((ops.MIN, 9), (ops.MIN, I32.max - 1), (ops.MAX, -9)):
        short = index_simplifier()(Apply(op, (build.cast(narrow, INDEX), index(literal))))
        assert stays(short, ops.CAST)
        assert stays(short.operands[0], op)
        for a, b in ((build.cast(wide, INDEX), index(literal)), (build.cast(narrow, INDEX), ROW)):
            assert stays(index_simplifier()(Apply(op, (a, b))), op)
    kept = Apply(ops.MIN, (build.cast(narrow, INDEX), index(I32.max)))
    assert repr(index_simplifier()(kept)) == repr(kept.operands[0])


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
