"""Sums of columns inside of a nest: each lane has a sum of its own, and the values are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.dtypes import F64
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Var, post_order
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, Kernel, Store, statements
from tilewright.ir.lower.lane_axes import lane_axis, own_lane_axis
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
@pytest.mark.parametrize("tile", [1, 2])
def test_as_numpy(
    rows: int, columns: int, combiner: str, unroll: int, tile: int, *, of_columns: bool
) -> None:
    nest, x, out = sums(rows, columns, combiner, of_columns)
    schedule = Schedule(tile=(tile,), vector=INNER, width=WIDTH, unroll=unroll)
    kernel = lower_nest(nest, schedule, "k")
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


@pytest.mark.parametrize(
    ("sizes", "place"),
    [
        ((20, 3), 0),
        ((17, 4), 0),
        ((16, 4), 1),
        ((20, 5), 1),
        ((4,), 0),
        ((5, 20, 4), 1),
        ((Var("N"), 4), 1),
        ((20, Var("N")), 1),
    ],
)
def test_colours_of_pixels_lie_between_the_lanes(sizes: tuple[Size, ...], place: int) -> None:
    """Up to four, of more than sixteen pixels."""
    axes = [Var(f"i{k}", size) for k, size in enumerate(sizes)]
    assert lane_axis(axes) is axes[place]


OWN, REDUCED, FLAT = Var("own", 8), Var("reduced", 5), Buffer("x", (1000,), F64)


def at(own: int, reduced: int) -> Expr:
    """A load that moves so far from one point of the axes to the next."""
    moves = zip((OWN, REDUCED), (own, reduced), strict=True)
    one, other = (build.mul(axis, build.index(step)) for axis, step in moves)
    return Load(FLAT, (build.add(one, other),))


@pytest.mark.parametrize(
    ("value", "across"),
    [
        (at(1, 8), True),
        (build.mul(at(1, 8), at(1, 1)), True),
        (build.mul(at(1, 8), at(0, 1)), True),
        (at(1, 1), False),
        (at(1, 0), False),
        (at(0, 8), False),
        (at(5, 1), False),
        (build.mul(at(1, 8), at(5, 1)), False),
        (build.mul(at(1, 8), Load(FLAT, (build.mul(OWN, REDUCED),))), False),
        (build.const(1, F64), False),
    ],
)
def test_lanes_lie_where_elements_are_neighbours(value: Expr, across: bool) -> None:
    target = Buffer("t", (8,), F64, "scratch")
    stage = Stage((OWN,), (REDUCED,), "add", value, target, (OWN,))
    assert own_lane_axis(stage, 4) is (OWN if across else None)
    for less in (replace(stage, axes=()), replace(stage, reduce_axes=())):
        assert own_lane_axis(less, 4) is None


def test_reductions_of_other_lengths_for_each_lane_stay_along_the_row() -> None:
    triangle = Var("reduced", build.add(OWN, build.index(1)))
    place = build.add(OWN, build.mul(triangle, build.index(8)))
    target = Buffer("t", (8,), F64, "scratch")
    stage = Stage((OWN,), (triangle,), "add", Load(FLAT, (place,)), target, (OWN,))
    assert own_lane_axis(stage, 4) is None
    assert own_lane_axis(replace(stage, axes=(Var("own", Var("N")),)), 4) is None
