"""Products whose four rows are made at once: which are, and that they are put in order again."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.row_targets import spread_rows
from tilewright.ir.program import Nest, Program, Stage


def product(
    rows: int, depth: int, columns: int, *batch: int
) -> tuple[Nest, Buffer, Buffer, Buffer]:
    """``y[…, i, j] = 1 + sum_k a[…, i, k] * b[k, j]``."""
    a, b = Buffer("a", (*batch, rows, depth), F32), Buffer("b", (depth, columns), F32)
    y, local = Buffer("y", (*batch, rows, columns), F32), Buffer("l", (), F32, "scratch")
    outer = tuple(Var(f"n{k}", size) for k, size in enumerate(batch))
    i, j, k = Var("i", rows), Var("j", columns), Var("k", depth)
    value = build.mul(Load(a, (*outer, i, k)), Load(b, (k, j)))
    done = build.add(Load(local, ()), build.const(1, F32))
    stages = (
        Stage((), (k,), "add", value, local, ()),
        Stage((), (), None, done, y, (*outer, i, j)),
    )
    return Nest("n", (*outer, i, j), stages, (local,)), a, b, y


@pytest.mark.parametrize("batch", [(), (2,)])
def test_rows_are_put_in_order_again(batch: tuple[int, ...]) -> None:
    nest, a, b, y = product(64, 32, 64, *batch)
    spread, gathered = spread_rows(nest)
    made = [s.target for s in spread.stages if s.target not in spread.locals]
    assert [t.shape for t in made] == [(*batch, 16, 64)] * 4
    assert len(spread.locals) == 4
    assert spread.outer[-2].extent == 16
    program = Program("p", (), (a, b), (y,), (), tuple(made), (spread, gathered))
    rng = np.random.default_rng(0)
    left = rng.integers(-3, 4, (*batch, 64, 32)).astype(np.float32)
    right = rng.integers(-3, 4, (32, 64)).astype(np.float32)
    (found,) = interpret_program(program, [left, right])
    np.testing.assert_array_equal(found, left @ right + 1)


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "is_spread"),
    [
        (64, 32, 64, True),
        (64, 31, 64, False),
        (63, 32, 68, False),
        (64, 32, 66, False),
        (1024, 32, 4, True),
        (1020, 32, 4, False),
        (4, 32, 1024, True),
    ],
)
def test_what_is_large_enough(rows: int, depth: int, columns: int, *, is_spread: bool) -> None:
    nest, *_ = product(rows, depth, columns)
    assert (len(spread_rows(nest)) == 2) == is_spread


def test_which_axis_is_spread() -> None:
    """The innermost that one factor does not depend on, and that factor on columns."""
    nest, a, *_ = product(64, 32, 64)
    product_stage, final = nest.stages
    i, j = nest.outer
    (k,) = product_stage.reduce_axes
    both = Buffer("c", (64, 32, 64), F32)
    same_rows = build.mul(Load(a, (i, k)), Load(a, (i, k)))
    with_rows = build.mul(Load(a, (i, k)), Load(both, (i, k, j)))
    for stages in (
        (replace(product_stage, value=same_rows), final),
        (replace(product_stage, value=with_rows), final),
        (product_stage, replace(final, indices=(i, build.index(0)))),
        (replace(product_stage, combiner="max"), final),
        (product_stage, final, final),
    ):
        assert len(spread_rows(replace(nest, stages=stages))) == 1
    deep, *_ = product(64, 32, 64, 3)
    (spread, _) = spread_rows(deep)
    assert [axis.extent for axis in spread.outer] == [3, 16, 64]
    several, *_ = product(64, 32, 64, 8)
    (spread, _) = spread_rows(several)
    assert [axis.extent for axis in spread.outer] == [8, 16, 64]
