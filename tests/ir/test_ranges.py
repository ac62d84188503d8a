"""Intervals hold every value, and are tight where that is promised."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.index_expressions import ALL, index_expressions, points, value_at
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.ranges import UNKNOWN, interval, largest

I, J = Var("i", 5), Var("j", 3)
TRIANGLE = Var("k", build.add(I, build.index(1)))


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_intervals_hold_every_value(data: st.DataObject) -> None:
    axes = (I, TRIANGLE, J)
    node = data.draw(index_expressions(axes, (*ALL, ops.QUO, ops.REM)))
    low, high = interval(node)
    for point in points(axes):
        value = value_at(node, point)
        assert low is None or low <= value
        assert high is None or value <= high


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (build.index(7), (7, 7)),
        (I, (0, 4)),
        (TRIANGLE, (0, 4)),
        (Var("e", 0), (0, 0)),
        (build.sub(build.index(4), I), (0, 4)),
        (build.mul(I, build.index(-2)), (-8, 0)),
        (build.add(build.mul(I, build.index(3)), J), (0, 14)),
        (build.floordiv(build.add(I, build.index(-3)), build.index(2)), (-2, 0)),
        (build.mod(I, build.index(3)), (0, 2)),
        (build.mod(J, build.index(3)), (0, 2)),
        (build.mod(build.add(J, build.index(-1)), build.index(7)), (0, 6)),
        (build.minimum(I, build.index(2)), (0, 2)),
        (build.maximum(I, build.index(2)), (2, 4)),
        (Var("N", least=1), (1, None)),
        (Var("N"), UNKNOWN),
        (build.minimum(Var("N", least=0), build.index(9)), (0, 9)),
        (Apply(ops.FLOORDIV, (I, J)), UNKNOWN),
        (build.cast(Load(Buffer("x", (), I32), ()), I.dtype), UNKNOWN),
        (build.const(1.5, F32), UNKNOWN),
    ],
)
def test_intervals(node: Var, wanted: tuple[int | None, int | None]) -> None:
    assert interval(node) == wanted


def test_the_largest_size() -> None:
    assert largest(4) == 4
    assert largest(build.minimum(Var("N", least=0), build.index(16))) == 16
    assert largest(Var("N", least=0)) is None


def test_chains_of_any_length() -> None:
    node = build.index(0)
    for _ in range(5000):
        node = Apply(ops.ADD, (node, I))
    assert interval(node) == (0, 20000)
    assert interval(node, {}) == (0, 20000)
