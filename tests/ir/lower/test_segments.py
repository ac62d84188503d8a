"""The interior of an axis: one outcome of every boundary rule, at most one point given away."""

from __future__ import annotations

import pytest

from tests.ir.index_expressions import value_at
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, INDEX
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.segments import Interior, interior, nest_inside
from tilewright.ir.program import Nest, Stage

X, Y, OPEN = Var("x", 20), Var("y", 3), Var("N", least=1)
SOURCE, OUT = Buffer("s", (64,), F32), Buffer("o", (20, 3), F32)


def of(place: Expr, condition: Expr | None = None) -> Nest:
    value: Expr = Load(SOURCE, (place,))
    if condition is not None:
        value = build.select(condition, value, build.zero(F32))
    stage = Stage((), (), None, value, OUT, (X, Y))
    return Nest("n", (X, Y), (stage,), ())


def index(value: int) -> Expr:
    return build.index(value)


def maximum(a: Expr, b: Expr) -> Expr:
    return Apply(ops.MAX, (a, b))


def minimum(a: Expr, b: Expr) -> Expr:
    return Apply(ops.MIN, (a, b))


def moved(by: int) -> Expr:
    return build.add(X, index(by))


CLAMPED = {
    "nothing": (X, (0, 20)),
    "lower": (maximum(moved(-2), index(0)), (2, 20)),
    "lower turned": (maximum(index(0), moved(-2)), (3, 20)),
    "upper": (minimum(moved(3), index(19)), (0, 16)),
    "both": (minimum(maximum(moved(-2), index(0)), index(15)), (2, 17)),
    "another variable": (maximum(build.sub(X, Y), index(0)), (2, 20)),
    "falling": (maximum(build.sub(index(17), X), index(0)), (0, 18)),
    "twice as fast": (minimum(build.mul(X, index(2)), index(33)), (0, 17)),
    "wrapped": (Apply(ops.MOD, (moved(5), index(16))), (0, 11)),
    "wrapped below": (Apply(ops.MOD, (moved(-3), index(32))), (3, 20)),
    "wrapped with another": (Apply(ops.MOD, (build.add(moved(4), Y), index(24))), (0, 18)),
    "going round": (Apply(ops.MOD, (build.mul(X, index(7)), index(16))), (0, 20)),
    "always": (maximum(X, index(0)), (0, 20)),
    "half is enough": (maximum(moved(-10), index(0)), (10, 20)),
    "too little would be left": (maximum(maximum(moved(-10), index(0)), moved(-16)), (10, 20)),
    "wrapped twice": (Apply(ops.MOD, (moved(30), index(32))), (2, 20)),
    "wrapped and more": (
        maximum(build.sub(Apply(ops.MOD, (moved(30), index(32))), index(5)), index(0)),
        (7, 20),
    ),
    "going round and more": (
        minimum(build.add(Apply(ops.MOD, (build.mul(X, index(7)), index(16))), X), index(9)),
        (0, 20),
    ),
    "by nothing": (Apply(ops.MOD, (moved(5), index(0))), (0, 20)),
    "by less than nothing": (Apply(ops.MOD, (moved(5), index(-16))), (0, 20)),
    "by what is open": (Apply(ops.MOD, (moved(5), OPEN)), (0, 20)),
    "by one": (Apply(ops.MOD, (moved(5), index(1))), (0, 20)),
    "open above": (maximum(build.sub(build.add(X, OPEN), index(5)), index(0)), (0, 20)),
    "size": (maximum(Apply(ops.ABS, (moved(-2),)), index(3)), (0, 20)),
    "literals that meet": (
        maximum(
            build.sub(
                build.mul(X, build.floordiv(minimum(moved(4), index(4)), index(2))), index(6)
            ),
            index(0),
        ),
        (3, 20),
    ),
    "product of both": (maximum(build.mul(X, Y), index(5)), (0, 20)),
}


@pytest.mark.parametrize("name", CLAMPED)
def test_the_interior_is_what_one_outcome_allows(name: str) -> None:
    place, wanted = CLAMPED[name]
    found = interior(of(place).stages, X)
    assert (found.start, found.stop) == wanted


@pytest.mark.parametrize("name", CLAMPED)
def test_the_nest_inside_computes_the_same(name: str) -> None:
    place, (start, stop) = CLAMPED[name]
    nest = of(place)
    inside = nest_inside(nest, X)
    (stage,) = inside.stages
    assert isinstance(stage.value, Load)
    for x in range(stop - start):
        for y in range(3):
            wanted = value_at(place, {X: x + start, Y: y, OPEN: 4})
            assert value_at(stage.value.indices[0], {X: x, Y: y, OPEN: 4}) == wanted
            assert value_at(stage.indices[0], {X: x, Y: y}) == x + start


def test_boundary_rules_are_gone_inside() -> None:
    place, _ = CLAMPED["both"]
    (stage,) = nest_inside(of(place), X).stages
    assert not {"max", "min"} & set(str(stage.value).replace("(", " ").split())


@pytest.mark.parametrize(
    ("op", "bound", "wanted"),
    [(ops.LT, 3, (3, 20)), (ops.GE, 3, (3, 20)), (ops.LT, 17, (0, 17)), (ops.LE, 16, (0, 20))],
)
def test_comparisons_have_one_outcome(op: ops.Op, bound: int, wanted: tuple[int, int]) -> None:
    found = interior(of(X, Apply(op, (X, index(bound)))).stages, X)
    if op is not ops.LE:
        assert (found.start, found.stop) == wanted
    outcomes = {op.reference(x, bound) for x in range(found.start, found.stop)}
    assert op is ops.LE or len(outcomes) == 1


def test_an_open_axis_has_no_interior() -> None:
    n = Var("N", None, INDEX)
    open_axis = Var("i", n)
    stage = Stage((), (), None, Load(SOURCE, (open_axis,)), Buffer("o", (n,), F32), (open_axis,))
    nest = Nest("n", (open_axis,), (stage,), ())
    assert interior(nest.stages, open_axis) == Interior(0, 0)
    assert nest_inside(nest, open_axis) is nest


@pytest.mark.parametrize(("wide", "wanted"), [(None, (0, 11)), (4, (0, 11)), (3, (8, 11))])
def test_a_small_part_counts_if_it_is_wide_enough(
    wide: int | None, wanted: tuple[int, int]
) -> None:
    place = maximum(minimum(build.sub(X, index(8)), index(3)), index(0))
    found = interior(of(place).stages, X, wide=wide)
    assert (found.start, found.stop) == wanted


def test_a_part_of_an_axis_has_an_interior_of_its_own() -> None:
    place = maximum(build.sub(X, index(12)), index(0))
    assert interior(of(place).stages, X, 0, 12) == Interior(0, 12)
    assert interior(of(place).stages, X, 10, 20) == Interior(12, 20)
