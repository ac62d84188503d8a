"""Selects on outer positions become branches: which do, where they stand, and what they store."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, For, If, Kernel, Stmt, Store, statements
from tilewright.ir.lower.branch_on_positions import branch_on_positions

ROW, LANE = Var("row", 6), Var("lane", 8)
IN, OUT = Buffer("in", (6, 8), F32), Buffer("out", (6, 8), F32)
TOP = build.lt(ROW, build.index(2))
LEFT = build.lt(LANE, build.index(3))
ELEMENT = Load(IN, (ROW, LANE))


def costly(value: Expr) -> Expr:
    for _ in range(8):
        value = Apply(ops.MUL, (value, value))
    return value


def rows(*body: Stmt) -> tuple[Stmt, ...]:
    return (For(ROW, "serial", [For(LANE, "vector", body, 8)]),)


def stored(value: Expr) -> Store:
    return Store(OUT, (ROW, LANE), value)


def run(body: tuple[Stmt, ...]) -> np.ndarray:
    source = np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8)
    result = np.zeros((6, 8), np.float32)
    interpret_kernel(Kernel("k", (IN, OUT), (), (), body), {IN: source, OUT: result})
    return result


def branches(body: tuple[Stmt, ...]) -> list[If]:
    return [s for s in statements(body) if isinstance(s, If)]


def test_a_condition_on_the_row_stands_around_the_lanes() -> None:
    body = rows(stored(build.select(TOP, costly(ELEMENT), ELEMENT)))
    changed = branch_on_positions(body)
    (branch,) = branches(changed)
    assert all(isinstance(s, For) and s.kind == "vector" for s in branch.body + branch.otherwise)
    np.testing.assert_array_equal(run(changed), run(body))


@pytest.mark.parametrize(
    "value",
    [
        build.select(LEFT, costly(ELEMENT), ELEMENT),  # lanes differ
        build.select(TOP, ELEMENT, build.const(0, F32)),  # nothing is saved
        build.select(build.lt(ELEMENT, build.const(0, F32)), costly(ELEMENT), ELEMENT),  # data
    ],
)
def test_what_stays_a_select(value: Expr) -> None:
    body = rows(stored(value))
    changed = branch_on_positions(body)
    assert not branches(changed)
    np.testing.assert_array_equal(run(changed), run(body))


def test_stores_on_one_condition_share_a_branch() -> None:
    both = [For(LANE, "vector", [stored(build.select(TOP, costly(ELEMENT), ELEMENT))], 8)] * 2
    changed = branch_on_positions((For(ROW, "serial", both),))
    (branch,) = branches(changed)
    assert len(branch.body) == len(branch.otherwise) == 2
