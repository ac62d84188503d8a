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
FIRST = build.index(0)
ELEMENT = Load(IN, (ROW, LANE))


def costly(value: Expr, operations: int = 8) -> Expr:
    for _ in range(operations):
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
        build.select(
            build.lt(Load(IN, (ROW, FIRST)), build.const(0, F32)), costly(ELEMENT), ELEMENT
        ),
        build.select(TOP, costly(ELEMENT, 2), costly(ELEMENT, 3)),  # five operations
        Apply(ops.FMA, (build.const(2, F32), costly(ELEMENT), ELEMENT)),
        ELEMENT,
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


def test_six_operations_are_worth_a_branch() -> None:
    for one, other in ((3, 3), (6, 0), (0, 6)):
        value = build.select(TOP, costly(ELEMENT, one), costly(ELEMENT, other))
        assert len(branches(branch_on_positions(rows(stored(value))))) == 1


def test_registers_are_stored_whatever_the_position() -> None:
    register = Buffer("r", (8,), F32, "register")
    value = build.select(TOP, costly(ELEMENT), ELEMENT)
    body = rows(Store(register, (LANE,), value), stored(Load(register, (LANE,))))
    assert not branches(branch_on_positions(body))


def test_no_branch_stays_inside_of_a_vector() -> None:
    """A loop over lanes that stores something else as well cannot be split."""
    other = Buffer("other", (6, 8), F32)
    choice = stored(build.select(TOP, costly(ELEMENT), ELEMENT))
    for pair in (
        (choice, Store(other, (ROW, LANE), ELEMENT)),
        (Store(other, (ROW, LANE), ELEMENT), choice),
    ):
        (loop,) = branch_on_positions(rows(*pair))
        assert not branches((loop,))


def test_a_branch_leaves_every_loop_that_it_does_not_depend_on() -> None:
    """Around the rows, too, if it depends on neither; not around loops of threads."""
    task = Var("task", 2)
    first = build.lt(task, build.index(1))
    store = stored(build.select(first, costly(ELEMENT), ELEMENT))
    inner = rows(store)
    (changed,) = branch_on_positions((For(task, "parallel", inner),))
    assert isinstance(changed, For)
    (branch,) = changed.body
    assert isinstance(branch, If)
    for side, value in ((branch.body, costly(ELEMENT)), (branch.otherwise, ELEMENT)):
        (row,) = side
        assert isinstance(row, For)
        assert row.var is ROW
        (lane,) = row.body
        assert isinstance(lane, For)
        (kept,) = lane.body
        assert isinstance(kept, Store)
        assert repr(kept.value) == repr(value)
    constant = For(ROW, "parallel", [stored(build.select(first, costly(ELEMENT), ELEMENT))])
    (outer,) = branch_on_positions((For(task, "serial", [constant]),))
    assert isinstance(outer, For)
    assert isinstance(outer.body[0], For)


def test_only_neighbours_on_one_condition_are_joined() -> None:
    bottom = build.lt(build.index(2), ROW)
    loops = [
        For(LANE, "vector", [stored(build.select(c, costly(ELEMENT), ELEMENT))], 8)
        for c in (TOP, bottom, TOP)
    ]
    loops.append(For(LANE, "vector", [stored(ELEMENT)], 8))
    changed = branch_on_positions((For(ROW, "serial", loops),))
    assert [b.condition for b in branches(changed)] == [TOP, bottom, TOP]
    np.testing.assert_array_equal(run(changed), run((For(ROW, "serial", loops),)))
