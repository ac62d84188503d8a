"""Index expressions whose value in each lane is known."""

from __future__ import annotations

import pytest

from tilewright.ir import build, ops
from tilewright.ir.analysis.lane_literals import lane_literals
from tilewright.ir.expr import Apply, Expr, Var

LANE, OTHER = Var("lane", 4), Var("t", 9)
LANES = {LANE: range(4)}


def index(op: ops.Op, node: Expr, number: int) -> Expr:
    return Apply(op, (node, build.index(number)))


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (LANE, (0, 1, 2, 3)),
        (index(ops.QUO, LANE, 2), (0, 0, 1, 1)),
        (index(ops.SHR_RAW, build.add(LANE, build.index(1)), 1), (0, 1, 1, 2)),
        (index(ops.REM, build.mul(LANE, build.index(3)), 4), (0, 3, 2, 1)),
        (index(ops.AND, LANE, 1), (0, 1, 0, 1)),
        (index(ops.QUO, LANE, 0), None),
        (index(ops.QUO, build.add(LANE, OTHER), 2), None),
        (OTHER, None),
        (build.index(3), None),
    ],
)
def test_values(node: Expr, wanted: tuple[int, ...] | None) -> None:
    assert lane_literals(node, LANES) == wanted


def test_a_part_of_the_lanes() -> None:
    assert lane_literals(index(ops.QUO, LANE, 2), {LANE: range(2, 4)}) == (1, 1)


def test_a_variable_with_one_value_in_all_lanes() -> None:
    node = index(ops.QUO, build.add(build.mul(OTHER, build.index(3)), LANE), 4)
    assert lane_literals(node, {**LANES, OTHER: (2,)}) == (1, 1, 2, 2)
    assert lane_literals(index(ops.REM, OTHER, 4), {OTHER: (7,)}) == (3,)
