"""Intervals hold every value, and are tight where that is promised."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.analysis.intervals import UNKNOWN
from tilewright.ir.analysis.ranges import interval, largest
from tilewright.ir.dtypes import F32, I32, I64, INDEX, U8, U32
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer

ROW, COL = Var("i", 5), Var("j", 3)
TRIANGLE = Var("k", build.add(ROW, build.index(1)))


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_intervals_hold_every_value(data: st.DataObject) -> None:
    axes = (ROW, TRIANGLE, COL)
    check(data.draw(index_expressions(axes)), axes)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_intervals_of_truncating_division(data: st.DataObject) -> None:
    """quo and rem round towards zero: below zero they differ from // and %."""
    axes = (ROW, COL)
    check(data.draw(index_expressions(axes, (ops.ADD, ops.SUB, ops.QUO, ops.REM))), axes)


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_intervals_of_bits(data: st.DataObject) -> None:
    axes = (ROW, COL)
    check(data.draw(index_expressions(axes, (ops.ADD, ops.SUB, ops.AND, ops.OR, ops.XOR))), axes)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_intervals_of_shifts(data: st.DataObject) -> None:
    axes = (ROW, COL)
    check(data.draw(index_expressions(axes, (ops.ADD, ops.SUB, ops.SHR))), axes)


def check(node: Expr, axes: tuple[Var, ...]) -> None:
    low, high = interval(node)
    for point in points(axes):
        value = value_at(node, point)
        assert low is None or low <= value
        assert high is None or value <= high


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (build.index(7), (7, 7)),
        (ROW, (0, 4)),
        (TRIANGLE, (0, 4)),
        (Var("e", 0), (0, 0)),
        (build.sub(build.index(4), ROW), (0, 4)),
        (build.mul(ROW, build.index(-2)), (-8, 0)),
        (build.add(build.mul(ROW, build.index(3)), COL), (0, 14)),
        (build.floordiv(build.add(ROW, build.index(-3)), build.index(2)), (-2, 0)),
        (build.mod(ROW, build.index(3)), (0, 2)),
        (build.mod(COL, build.index(3)), (0, 2)),
        (build.mod(build.add(COL, build.index(-1)), build.index(7)), (0, 6)),
        (build.minimum(ROW, build.index(2)), (0, 2)),
        (build.maximum(ROW, build.index(2)), (2, 4)),
        (Var("N", least=1), (1, None)),
        (Var("N"), UNKNOWN),
        (build.minimum(Var("N", least=0), build.index(9)), (0, 9)),
        (Apply(ops.FLOORDIV, (ROW, COL)), UNKNOWN),
        (Apply(ops.ABS, (build.sub(ROW, build.index(3)),)), (0, 3)),
        (Apply(ops.NEG, (ROW,)), (-4, 0)),
        (Apply(ops.AND, (build.sub(ROW, build.index(3)), COL)), (0, 2)),
        (Apply(ops.OR, (Apply(ops.SHL, (ROW, build.index(3))), COL)), (0, 63)),
        (Apply(ops.XOR, (Var("N", least=1), COL)), UNKNOWN),
        (Apply(ops.SHR_RAW, (build.add(ROW, build.index(60)), build.index(4))), (0, 4)),
        (Apply(ops.SHL_RAW, (ROW, build.index(4))), (0, 64)),
        (Apply(ops.SHR, (build.sub(ROW, build.index(3)), build.index(1))), (-3, 0)),
        (build.const(1.5, F32), UNKNOWN),
    ],
)
def test_intervals(node: Expr, wanted: tuple[int | None, int | None]) -> None:
    assert interval(node) == wanted


def test_the_largest_size() -> None:
    assert largest(4) == 4
    assert largest(build.minimum(Var("N", least=0), build.index(16))) == 16
    assert largest(Var("N", least=0)) is None


def test_chains_of_any_length() -> None:
    node: Expr = build.index(0)
    for _ in range(5000):
        node = Apply(ops.ADD, (node, ROW))
    assert interval(node) == (0, 20000)
    assert interval(node, {}) == (0, 20000)


LEVELS, NUMBERS = Buffer("levels", (5,), U8), Buffer("numbers", (5,), I32)
WORDS = Buffer("words", (5,), U32)


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (build.cast(Load(LEVELS, (ROW,)), INDEX), (0, 255)),
        (build.cast(Load(NUMBERS, (ROW,)), INDEX), (I32.min, I32.max)),
        (build.cast(build.minimum(Load(LEVELS, (ROW,)), build.const(9, U8)), INDEX), (0, 9)),
        (build.cast(build.cast(Load(LEVELS, (ROW,)), I32), INDEX), (0, 255)),
        # Sums of data may wrap, and an index has 32 bits on some targets.
        (build.cast(build.add(Load(LEVELS, (ROW,)), build.const(1, U8)), INDEX), (0, 255)),
        (build.cast(Load(WORDS, (ROW,)), INDEX), UNKNOWN),
        (build.cast(Apply(ops.AND, (Load(WORDS, (ROW,)), build.const(63, U32))), INDEX), (0, 63)),
        (build.cast(Apply(ops.SHR, (Load(WORDS, (ROW,)), build.const(24, U32))), INDEX), (0, 255)),
        (build.cast(Apply(ops.MOD, (Load(NUMBERS, (ROW,)), build.const(7, I32))), INDEX), (0, 6)),
        (build.cast(Load(Buffer("n", (5,), I64), (ROW,)), INDEX), UNKNOWN),
    ],
)
def test_what_a_dtype_can_hold(node: Expr, wanted: tuple[int | None, int | None]) -> None:
    assert interval(node) == wanted
