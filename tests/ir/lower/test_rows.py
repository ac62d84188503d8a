"""Rows of a tensor along an axis, and how tasks share them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.ir.index_expressions import value_at
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, For, Stmt, Store
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.rows import Rows, ceiling_of, floor_of, over_rows

N = Var("N", least=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_along_an_axis(axis: int) -> None:
    shape = (2, 3, 4)
    rows = Rows.of(shape, axis)
    count = rows.count
    assert isinstance(count, int)
    assert (count, rows.length) == (24 // shape[axis], shape[axis])
    view = rows.view(Buffer("x", shape, F32))
    array = np.arange(24).reshape(shape)
    seen = array.reshape(view.shape)  # type: ignore[arg-type]
    lines = np.moveaxis(array, axis, -1).reshape(count, -1)
    for row, element in itertools.product(range(count), range(shape[axis])):
        place = [value_at(i, {}) for i in rows.at(build.index(row), build.index(element))]
        assert seen[tuple(place)] == lines[row, element]


def test_quotients_of_sizes() -> None:
    for count, parts in itertools.product(range(10), (1, 2, 3, 7)):
        assert floor_of(count, parts) == count // parts
        assert ceiling_of(count, parts) == -(-count // parts)
        for made, wanted in (
            (floor_of(N, parts), count // parts),
            (ceiling_of(N, parts), -(-count // parts)),
        ):
            assert isinstance(made, Apply)
            assert made.op is ops.QUO  # extents of loops are not legalised
            assert value_at(made, {N: count}) == wanted


@pytest.mark.parametrize("tasks", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 6, 7, None])
def test_every_row_belongs_to_one_task(count: int | None, tasks: int) -> None:
    """In runs of neighbouring rows, that are of one length but for the last ones."""
    for rows in (0, 1, 4, 6, 7) if count is None else (count,):
        out = Buffer("o", (count if count is not None else N,), I32)
        mine = Buffer("m", (count if count is not None else N,), I32)

        def body(task: Expr, row: Expr, out: Buffer = out, mine: Buffer = mine) -> list[Stmt]:
            once = build.add(Load(out, (row,)), build.const(1, I32))
            return [Store(out, (row,), once), Store(mine, (row,), build.cast(task, I32))]

        made = over_rows(count if count is not None else N, tasks, body)
        assert isinstance(made[0], For)
        assert made[0].kind == ("parallel" if tasks > 1 else "serial")
        kernel = finish_kernel("k", made, [])
        visits, owner = np.zeros(rows, np.int32), np.full(rows, -1, np.int32)
        arrays = {out: visits, mine: owner}
        interpret_kernel(kernel, arrays, {N: rows} if count is None else None)
        assert (visits == 1).all()
        each = -(-rows // tasks)
        np.testing.assert_array_equal(owner, [row // each for row in range(rows)])
