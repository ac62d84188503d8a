"""Rows that an index reads: the rule at each offset gives the index, and nothing is read beyond."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.ir.index_expressions import points, value_at
from tilewright.ir import build, ops
from tilewright.ir.analysis.row_windows import Reach, Window, row_offset, row_window
from tilewright.ir.dtypes import INDEX, U8
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer

ROWS = 6
Y, R, S, OPEN = Var("y", ROWS), Var("r", 3), Var("s", 2), Var("N", least=1)
TABLE = Buffer("t", (9,), U8)


def index(value: int) -> Expr:
    return build.index(value)


def plus(*parts: Expr | int) -> Expr:
    total: Expr = index(0)
    for part in parts:
        total = build.add(total, build.index(part))
    return total


def clamped(place: Expr) -> Expr:
    return build.maximum(build.minimum(place, index(ROWS - 1)), index(0))


def wrapped(place: Expr) -> Expr:
    return build.mod(place, index(ROWS))


def reflected(place: Expr) -> Expr:
    return Apply(ops.ABS, (place,))


def guarded(place: Expr) -> Expr:
    inside = Apply(ops.GE, (place, index(0)))
    return build.select(inside, place, index(0))


def doubled(place: Expr) -> Expr:
    return build.mul(place, index(2))


def mirrored(place: Expr) -> Expr:
    return build.sub(index(5), place)


PLACES: list[tuple[Expr, Reach]] = [
    (Y, Reach(0, 0)),
    (plus(Y, 2), Reach(2, 2)),
    (plus(Y, R, -1), Reach(-1, 1)),
    (plus(Y, R, S), Reach(0, 3)),
    (build.sub(Y, R), Reach(-2, 0)),
    (plus(Y, build.mul(R, index(2)), -2), Reach(-2, 2)),
]


@pytest.mark.parametrize("rule", [None, clamped, wrapped, reflected, doubled, mirrored])
def test_a_rule_of_every_offset(rule: object) -> None:
    for place, reach in PLACES:
        row = rule(place) if callable(rule) else place
        found = row_window(row, Y)
        assert found is not None
        window, wanted = found
        assert wanted == reach
        assert window.is_plain == (rule is None)
        read = {value_at(row, p) for p in points((Y, R, S))}
        rows = window.rows(reach.low, reach.high + ROWS - 1)
        assert len(rows) == reach.extra + ROWS
        assert read <= set(rows.tolist())
        for first in range(-3, 3):
            at = window.at(index(first))
            assert value_at(at, {}) == window.rows(first, first)[0]


def test_a_rule_that_gives_one_row_gives_it_for_every_place() -> None:
    place = Var("place", dtype=INDEX)
    np.testing.assert_array_equal(Window(index(4), place).rows(-1, 2), [4, 4, 4, 4])


@pytest.mark.parametrize(
    "row",
    [
        R,
        index(3),
        plus(Y, build.mul(R, S)),
        plus(Y, OPEN),
        build.mod(Y, OPEN),
        build.minimum(plus(Y, R), plus(Y, S)),
        build.minimum(plus(Y, 1), plus(Y, 2)),
        build.cast(Load(TABLE, (Y,)), INDEX),
        build.minimum(plus(Y, 1), build.cast(Load(TABLE, (R,)), INDEX)),
        clamped(build.mul(Y, R)),
        guarded(Y),
    ],
    ids=repr,
)
def test_what_is_no_rule(row: Expr) -> None:
    assert row_window(row, Y) is None


def test_the_offset_of_several_equal_sums() -> None:
    both = Apply(ops.MAX, (plus(Y, R, 1), build.minimum(plus(1, R, Y), index(9))))
    offset = row_offset(both, Y)
    assert offset is not None
    assert (offset.terms, offset.constant) == ({R: 1}, 1)
    found = row_window(both, Y)
    assert found is not None
    assert found[1] == Reach(1, 3)


def test_reaches_add_up_and_join() -> None:
    numbers = range(-2, 3)
    for low, high, least, most in itertools.product(numbers, repeat=4):
        if low <= high and least <= most:
            one, other = Reach(low, high), Reach(least, most)
            assert one.extra == high - low
            inner = {a + b for a in range(low, high + 1) for b in range(least, most + 1)}
            assert one.beyond(other) == Reach(min(inner), max(inner))
            assert one.joined(other) == Reach(min(low, least), max(high, most))
