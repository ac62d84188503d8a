"""Every reduction tree is as low as docs/numerics.md promises, however long and split it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tilewright as tw
from tests.compiler.trace_oracle import traced
from tilewright.ir import ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Expr, post_order
from tilewright.ir.graph import Compute, Reduction
from tilewright.ir.lower.reduction_plan import (
    PRODUCT_RUN,
    SUM_RUN,
    height,
    plan_levels,
    tree_height,
)
from tilewright.ir.passes import run_passes

LANES = (1, 4, 8, 16, 32, 64)


def bound(terms: int) -> int:
    return 24 + (max(1, terms) - 1).bit_length()


def product_bound(terms: int) -> int:
    """Of the additions: the product that each one begins with rounds too."""
    return 512 + (max(1, -(-terms // PRODUCT_RUN)) - 1).bit_length() + 2 - 1


def per_lane(extents: list[int], lanes: int) -> list[int]:
    return [*extents[:-1], -(-extents[-1] // lanes)]


@pytest.mark.parametrize("lanes", LANES)
def test_sums_of_one_axis_stay_below_the_bound(lanes: int) -> None:
    for terms in (*range(1, 3000), *(2**k + d for k in range(11, 31) for d in (-1, 0, 1))):
        assert with_rest([terms], SUM_RUN, lanes) <= bound(terms), terms


def with_rest(extents: list[int], run: int, lanes: int) -> int:
    """The height of the tree that is built: whole vectors, and then one more for the rest."""
    levels = plan_levels(per_lane(extents, lanes), run, lanes)
    whole, rest = divmod(extents[-1], lanes)
    if not whole:
        return (extents[-1] - 1).bit_length() + tree_height(levels, [*extents[:-1], 1])
    tall = tree_height(levels, [*extents[:-1], whole]) + (1 if rest else 0)
    return tall + (lanes - 1).bit_length()


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.sampled_from(LANES))
def test_sums_of_several_axes_stay_below_the_bound(extents: list[int], lanes: int) -> None:
    assert with_rest(extents, SUM_RUN, lanes) <= bound(math.prod(extents))


@pytest.mark.parametrize("extents", [[2, 9, 17, 9], [3, 17, 3, 17], [5, 5, 5, 5], [17] * 8])
def test_awkward_axes_get_shorter_runs(extents: list[int]) -> None:
    assert height(extents, SUM_RUN) <= bound(math.prod(extents))


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.booleans()), min_size=1, max_size=4),
    st.sampled_from(LANES),
)
def test_open_axes_of_any_size_stay_below_the_bound(
    axes: list[tuple[int, bool]], lanes: int
) -> None:
    extents = [n for n, _ in axes]
    planned = [None if is_open else n for n, is_open in axes]
    if planned[-1] is not None:
        planned[-1] = -(-extents[-1] // lanes)
    levels = plan_levels(planned, SUM_RUN, lanes)
    tall = tree_height(levels, per_lane(extents, lanes)) + (lanes - 1).bit_length()
    assert tall <= bound(math.prod(extents))


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6), st.sampled_from(LANES))
def test_products_stay_below_their_bound(extents: list[int], lanes: int) -> None:
    assert with_rest(extents, PRODUCT_RUN, lanes) <= product_bound(math.prod(extents))


@pytest.mark.parametrize("depth", [511, 512, 513, 1024, 4096, 4097, 10_000, 10**6, 10**7])
def test_products_of_one_axis_stay_below_their_bound(depth: int) -> None:
    assert height([depth], PRODUCT_RUN) <= product_bound(depth)


def test_ordinary_shapes_keep_their_long_runs() -> None:
    """Shorter runs are for awkward shapes: these are what the schedules are measured with."""
    assert plan_levels([1000], SUM_RUN) == [(16, 8, 4)]
    assert plan_levels([2048], PRODUCT_RUN) == [(512,)]
    assert plan_levels([3, 3, 256], PRODUCT_RUN) == [(), (2,), ()]


@given(st.lists(st.integers(1, 10**6) | st.none(), min_size=1, max_size=3))
def test_blocks_are_positive_and_there_is_a_plan_for_each_axis(extents: list[int | None]) -> None:
    plan = plan_levels(extents, SUM_RUN)
    assert len(plan) == len(extents)
    assert all(block >= 1 for levels in plan for block in levels)


def test_a_short_axis_is_left_whole() -> None:
    assert plan_levels([16], SUM_RUN) == [()]
    assert plan_levels([17], SUM_RUN) == [(16,)]


@pytest.mark.parametrize(
    ("extents", "levels"),
    [
        ([4, 4], [(), ()]),  # 16 numbers: one run
        ([5, 4], [(4,), ()]),  # four rows of four
        ([0, 17], [(), (16,)]),
        ([17, 0], [(16,), ()]),
        ([4, 32], [(), (16,)]),  # two runs for each row, and four rows: a run of eight
        ([5, 32], [(4,), (16,)]),
        ([9, 128], [(8,), (16,)]),  # a row is a run of eight, and so are rows
    ],
)
def test_what_a_row_leaves_of_a_run_is_for_the_next_axis(
    extents: list[int], levels: list[tuple[int, ...]]
) -> None:
    assert plan_levels(extents, SUM_RUN) == levels


N = tw.dim("N")


@tw.kernel(x=tw.f32[N])
def open_sum(x: np.ndarray) -> Any:
    return np.sum(x)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 63, 64, 65, 127, 500, 4099, 70_001])
def test_the_rest_of_an_open_axis_is_spread_over_lanes(size: int) -> None:
    """Ones after a great number: a lane that took them one by one would lose them all."""
    ones = np.ones(size, np.float32)
    assert open_sum(ones) == size
    ones[0] = 2.0**24
    assert abs(float(open_sum(ones)) - (2.0**24 + size - 1)) <= bound(size)


@pytest.mark.parametrize("shape", [(1_000_000,), (500_000, 2), (3, 70_001)])
def test_parts_of_a_large_sum_are_added_in_a_low_tree(shape: tuple[int, ...]) -> None:
    """With one lane (as reproducible kernels have it) parts and their sum keep the promise."""
    graph = run_passes(traced(lambda x: np.sum(x, axis=0), np.zeros(shape, np.float32)).graph)
    tall, terms = 0, shape[0]
    for node in graph.nodes():
        if isinstance(node, Reduction):
            extents = [static_size(a.extent) for a in node.reduce_axes]
            tall += height(extents, SUM_RUN)
        elif isinstance(node, Compute):
            tall += depth(node.body)
    assert tall <= bound(terms)


def static_size(extent: Any) -> int:
    return extent if isinstance(extent, int) else largest(extent) or 0


def depth(root: Expr) -> int:
    """Additions on the longest way through an expression."""
    found: dict[Expr, int] = {}
    for node in post_order((root,)):
        below = max((found[o] for o in node.operands), default=0)
        found[node] = below + (isinstance(node, Apply) and node.op is ops.ADD and node.dtype is F32)
    return found[root]
