"""Every reduction tree is as low as docs/numerics.md promises, however long and split it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.ir.lower.reduction_plan import PRODUCT_RUN, SUM_RUN, height, plan_levels

LANES = (1, 4, 8, 16, 32, 64)


def bound(terms: int) -> int:
    return 24 + (max(1, terms) - 1).bit_length()


@pytest.mark.parametrize("lanes", LANES)
def test_sums_of_one_axis_stay_below_the_bound(lanes: int) -> None:
    for terms in (*range(1, 3000), *(2**k + d for k in range(11, 31) for d in (-1, 0, 1))):
        # The rest that fills no vector is one more addition.
        tall = height([-(-terms // lanes)], SUM_RUN, lanes)
        assert tall <= bound(terms), terms


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=3), st.sampled_from(LANES))
def test_sums_of_several_axes_stay_below_the_bound(extents: list[int], lanes: int) -> None:
    terms = lanes
    for extent in extents:
        terms *= extent
    assert height(extents, SUM_RUN, lanes) <= bound(terms)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=4))
def test_products_run_for_at_most_512_terms(extents: list[int]) -> None:
    terms = 1
    for extent in extents:
        terms *= extent
    upper = 24 + (max(1, -(-terms // PRODUCT_RUN)) - 1).bit_length()
    assert height(extents, PRODUCT_RUN) <= PRODUCT_RUN + upper


@given(st.lists(st.integers(1, 10**6) | st.none(), min_size=1, max_size=3))
def test_blocks_are_positive_and_there_is_a_plan_for_each_axis(extents: list[int | None]) -> None:
    plan = plan_levels(extents, SUM_RUN)
    assert len(plan) == len(extents)
    assert all(block >= 1 for levels in plan for block in levels)


def test_a_short_axis_is_left_whole() -> None:
    assert plan_levels([16], SUM_RUN) == [()]
    assert plan_levels([17], SUM_RUN) == [(16,)]
