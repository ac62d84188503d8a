"""Intervals hold every value, and are tight where that is promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN
from tilewright.ir.analysis.ranges import interval, largest
from tilewright.ir.dtypes import F32, I8, I32, I64, INDEX, U8, U32, DType
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.interpret.values import evaluate
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
        (Apply(ops.SHR, (build.sub(ROW, build.index(3)), build.index(1))), (-2, 0)),
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


BYTES = (I8, U8)
OPERATIONS = [
    *(ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.FLOORDIV, ops.MOD, ops.FMOD, ops.QUO),
    *(ops.REM, ops.AND, ops.OR, ops.XOR, ops.SHL, ops.SHR, ops.SHL_RAW, ops.SHR_RAW),
]
MAY_WRAP = (ops.ADD, ops.SUB, ops.MUL, ops.FMOD, ops.SHL, ops.SHL_RAW)


@pytest.mark.parametrize("dtype", BYTES, ids=str)
@pytest.mark.parametrize("op", OPERATIONS, ids=lambda o: o.name)
def test_every_value_of_bytes_is_inside(op: ops.Op, dtype: DType) -> None:
    """What does not wrap keeps what is known of its operands; what may wrap can be anything."""
    x = Load(Buffer("x", (256,), dtype), (build.index(0),))
    values = np.arange(dtype.min, dtype.max + 1).astype(dtype.numpy)
    limited = build.maximum(build.minimum(x, build.const(9, dtype)), build.const(2, dtype))
    for a in (x, limited):
        for literal in (0, 1, 3, 7, dtype.min, dtype.max):
            if literal < 1 and op in (ops.QUO, ops.REM, ops.SHL_RAW, ops.SHR_RAW):
                continue
            if literal > 7 and op in (ops.SHL_RAW, ops.SHR_RAW):
                continue
            for b in (build.const(literal, dtype), limited):
                node = Apply(op, (a, b))
                found = evaluate((node,), {}, lambda *_: values)[0]
                low, high = interval(build.cast(node, INDEX))
                assert low is not None
                assert high is not None
                assert low <= found.min(), node
                assert found.max() <= high, node
                least, most = RULES[op](interval(a), interval(b)) if op in RULES else UNKNOWN
                if op in MAY_WRAP:
                    least = most = None
                assert low == (dtype.min if least is None else least)
                assert high == (dtype.max if most is None else most)


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
        (build.cast(build.cast(Load(Buffer("f", (5,), F32), (ROW,)), U8), INDEX), (0, 255)),
        # A position keeps its value in any dtype that has it; others keep what fits 32 bits.
        (build.cast(build.mul(ROW, build.index(1 << 40)), I64), (0, 4 << 40)),
        (build.cast(build.mul(ROW, build.index(100)), U8), (0, 255)),
        (build.cast(build.cast(build.mul(ROW, build.index(1 << 40)), I64), INDEX), UNKNOWN),
        (build.cast(build.sub(ROW, build.index(1)), U32), (0, U32.max)),
    ],
)
def test_what_a_dtype_can_hold(node: Expr, wanted: tuple[int | None, int | None]) -> None:
    assert interval(node) == wanted
