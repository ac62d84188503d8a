"""Sums of columns inside of a nest: each lane has a sum of its own, and the values are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tilewright.ir.dtypes import F64
from tilewright.ir.expr import LaneReduce, Load, Var, post_order
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, Kernel, Store, statements
from tilewright.ir.lower.lane_axes import own_lane_axis
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule

WIDTH = 4


def sums(rows: int, columns: int, combiner: str, of_columns: bool) -> tuple[Nest, Buffer, Buffer]:
    """Of each of three matrices, and then stored."""
    x = Buffer("x", (3, rows, columns), F64)
    count = columns if of_columns else rows
    out, total = Buffer("out", (3, count), F64), Buffer("total", (count,), F64, "scratch")
    i, own, k = Var("i", 3), Var("own", count), Var("k", count)
    reduced = Var("reduced", rows if of_columns else columns)
    element = Load(x, (i, reduced, own) if of_columns else (i, own, reduced))
    stages = (
        Stage((own,), (reduced,), combiner, element, total, (own,)),
        Stage((k,), (), None, Load(total, (k,)), out, (i, k)),
    )
    return Nest("n", (i,), stages, (total,)), x, out


def combined_lanes(kernel: Kernel) -> int:
    stores = [s for s in statements(kernel.body) if isinstance(s, Store)]
    return sum(isinstance(n, LaneReduce) for n in post_order([s.value for s in stores]))


@pytest.mark.parametrize("unroll", [1, 2])
@pytest.mark.parametrize("combiner", ["add", "max"])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 4), (5, 4), (40, 9), (7, 16), (300, 6), (5, 3), (1, 1)]
)
@pytest.mark.parametrize("of_columns", [True, False])
def test_as_numpy(rows: int, columns: int, combiner: str, unroll: int, *, of_columns: bool) -> None:
    nest, x, out = sums(rows, columns, combiner, of_columns)
    kernel = lower_nest(nest, Schedule(vector=INNER, width=WIDTH, unroll=unroll), "k")
    values = np.random.default_rng(rows).integers(-9, 9, (3, rows, columns)).astype(np.float64)
    found: Any = np.zeros(out.shape)
    interpret_kernel(kernel, {x: values, out: found})
    reduce = np.sum if combiner == "add" else np.max
    np.testing.assert_array_equal(found, reduce(values, axis=1 if of_columns else 2))


def test_lanes_are_combined_only_along_rows() -> None:
    for of_columns in (True, False):
        nest, _, _ = sums(40, 40, "add", of_columns)
        kernel = lower_nest(nest, Schedule(vector=INNER, width=WIDTH), "k")
        assert (combined_lanes(kernel) == 0) is of_columns


def test_columns_that_fill_no_vector_are_left() -> None:
    nest, _, _ = sums(40, WIDTH - 1, "add", of_columns=True)
    assert own_lane_axis(nest.stages[0], WIDTH) is None
    nest, _, _ = sums(40, WIDTH, "add", of_columns=True)
    assert own_lane_axis(nest.stages[0], WIDTH) is nest.stages[0].axes[0]
