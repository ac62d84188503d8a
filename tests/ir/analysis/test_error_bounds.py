"""Error bounds: what is exact stays exact, what rounding decides is free, errors add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import traced
from tilewright.ir.analysis.error_bounds import bound_graph
from tilewright.ir.analysis.error_rules import GPU, IEEE, PROMISES, Bounded, TargetClass
from tilewright.ir.ops import OPS

F32_UNIT = 2.0**-24
# What rounding makes infinite or the largest finite number.
LARGEST_OVER_E80 = np.float32(float(np.finfo(np.float32).max) / np.exp(80.0))


def bounds(function: Callable[..., Any], *args: Any, target: TargetClass = IEEE) -> Bounded:
    (found,) = bound_graph(traced(function, *args).graph, args, target)
    return found


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_every_elementary_function_has_a_promise() -> None:
    assert {n for n, op in OPS.items() if op.elementary} <= PROMISES.keys()


def test_integers_wrap_and_are_exact() -> None:
    found = bounds(lambda x: x * x - 1, np.array([127, -128, 3], np.int8))
    assert found.value.tolist() == [0, -1, 8]
    assert not found.bound.any()


def test_sums_of_exact_operands_are_one_value_on_ieee_targets_only() -> None:
    x = f32(0.1, 0.7)
    found = bounds(lambda x: x + x / 3, x)
    np.testing.assert_array_equal(found.value, x + x / np.float32(3))
    assert not found.bound.any()
    assert (bounds(lambda x: x + x / 3, x, target=GPU).bound > 0).all()


def test_products_may_be_fused() -> None:
    x = f32(0.1, 0.7)
    assert (bounds(lambda x: x * x, x).bound > 0).all()
    assert not bounds(lambda x: x * x, f32(3, 5)).bound.any()


def test_errors_grow_through_a_function() -> None:
    x = f32(20.0)
    once, twice = bounds(lambda x: np.exp(x), x), bounds(lambda x: np.exp(np.log(x) * 3), x)
    assert once.bound[0] / once.value[0] <= 5 * F32_UNIT
    assert twice.bound[0] / twice.value[0] > 20 * F32_UNIT
    assert abs(twice.value[0] - 8000) <= 1e-9 * 8000


def test_a_comparison_that_rounding_decides_is_free() -> None:
    x = f32(1.0, 2.0)
    found = bounds(lambda x: np.exp(np.log(x)) > 1.0, x)
    assert np.isinf(found.bound[0])
    assert found.bound[1] == 0
    assert found.value[1]


def test_rounding_to_integers_is_free_at_a_step_only() -> None:
    found = bounds(lambda x: np.exp(np.log(x)).astype(np.int32), f32(3.0, 3.5))
    assert np.isinf(found.bound[0])
    assert (found.value[1], found.bound[1]) == (3, 0)


def test_a_choice_covers_both_branches() -> None:
    found = bounds(lambda x: np.where(np.exp(np.log(x)) > 1, x, x + 2), f32(1.0))
    assert 2 <= found.bound[0] < 2.1


def test_reductions_hold_the_promised_tree() -> None:
    x = np.linspace(-1, 1, 100, dtype=np.float32)
    found = bounds(lambda x: np.sum(x), x)
    height = 24 + 7 + 1
    size = np.abs(x.astype(np.float64)).sum()
    assert found.bound[()] == pytest.approx(height * F32_UNIT * size, rel=1e-3)


def test_overflow_is_certain_or_free() -> None:
    found = bounds(lambda x: x + x, f32(3.4e38, 1.0))
    assert found.value[0] == np.inf
    assert found.bound[0] == 0
    far = bounds(lambda x: np.exp(x), f32(88.7228394))  # five units beyond the largest float
    assert far.value[0] == np.inf
    assert far.bound[0] == 0
    assert np.isinf(bounds(lambda x: np.exp(x) * LARGEST_OVER_E80, f32(80)).bound[0])


def test_nan_is_a_kind_of_its_own() -> None:
    found = bounds(lambda x: np.max(x), f32(1, np.nan, np.inf))
    assert np.isnan(found.value)
    assert found.bound == 0


def test_subnormals_may_flush_on_a_gpu() -> None:
    x = f32(1e-40)
    assert bounds(lambda x: x + 0, x).bound[0] == 0
    assert bounds(lambda x: x + 0, x, target=GPU).bound[0] >= 1e-40
    assert np.isinf(bounds(lambda x: 1 / x > 0, -x, target=GPU).bound[0])


def test_uncertain_indices_read_anything() -> None:
    x = f32(1, 5, 2, 7)
    found = bounds(lambda x: x[np.minimum(np.exp(np.log(x)) + x % 2 / 2, 3).astype(np.int32)], x)
    assert np.isinf(found.bound).tolist() == [False, False, True, False]
    assert found.value[0] == 5


def test_argmax_of_near_ties_is_free() -> None:
    tied = f32(2.0, 2.0, 1.0)
    assert bounds(lambda x: np.argmax(x), tied).bound == 0
    assert np.isinf(bounds(lambda x: np.argmax(np.exp(x)), tied).bound)
    assert bounds(lambda x: np.argmax(np.exp(x)), f32(2, 3, 1)).bound == 0


def test_argmax_of_each_row_is_decided_by_that_row() -> None:
    rows = np.array([[np.nan, 1, 2], [2, 2, 1], [3, 1, 2]], np.float32)
    for turned in (rows, rows[::-1]):
        found = bounds(lambda x: np.argmax(np.exp(x), axis=1), turned).bound
        assert np.isinf(found).tolist() == [False, True, False]


@pytest.mark.parametrize("target", [IEEE, GPU])
def test_numpy_itself_is_inside(target: TargetClass) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((9, 40)).astype(np.float32)

    def function(x: Any) -> Any:
        return np.cumsum(np.tanh(x) * x[::-1], axis=0) / (1 + np.abs(x)) - np.sqrt(x * x + 1)

    found = bounds(function, x, target=target)
    assert (np.abs(function(x) - found.value) <= 2 * found.bound).all()
    assert (found.bound < 1e-4).all()


def test_a_product_that_overflows_is_infinite_unless_a_sum_takes_it_in() -> None:
    x = f32(1e30, -1e30, 2)
    alone = bounds(lambda x: x * np.float32(1e30), x)
    assert alone.value.tolist()[:2] == [np.inf, -np.inf]
    assert not alone.bound[:2].any()
    for fused in (lambda x: x * np.float32(1e30) + x, lambda x: x - x * np.float32(1e30)):
        assert np.isinf(bounds(fused, x).bound).tolist() == [True, True, False]
    rows = f32(1e30, 1, 2).reshape(1, 3)
    assert np.isinf(bounds(lambda x: np.sum(x * x, axis=1), rows).bound).all()
    # An infinite operand is no overflow: nothing makes it finite again.
    assert not bounds(lambda x: x * np.float32(3) + 1, f32(np.inf)).bound.any()


def test_signs_of_zero_are_promised_where_ieee_decides_them() -> None:
    x = f32(0.0, -0.0)
    exact = bounds(lambda x: -x, x)
    assert np.signbit(exact.value).tolist() == [True, False]
    assert not np.any(exact.unsigned)
    assert np.all(bounds(lambda x: np.maximum(x, -x), x).unsigned)
    assert np.all(bounds(lambda x: np.sum(x, keepdims=True), x).unsigned)
    assert not np.any(bounds(lambda x: np.maximum(x, 1), x).unsigned)


def test_what_depends_on_a_sign_that_is_not_promised_is_free() -> None:
    x = f32(0.0, -0.0)
    assert not bounds(lambda x: 1 / x, x).bound.any()
    assert np.isinf(bounds(lambda x: 1 / x, x, target=GPU).bound).all()
    assert np.isinf(bounds(lambda x: 1 / np.maximum(x, -x), x).bound).all()
    assert np.isinf(bounds(lambda x: np.signbit(np.maximum(x, -x)), x).bound).all()
    assert np.isinf(bounds(lambda x: np.copysign(x + 1, np.maximum(x, -x)), x).bound).all()


def test_only_results_that_may_be_subnormal_get_more_room_on_a_gpu() -> None:
    tiny = float(np.finfo(np.float32).tiny)
    x = f32(tiny * 1.5, tiny * 0.5, 1)
    found = bounds(lambda x: x + 0, x, target=GPU).bound
    assert found[0] < tiny * 1e-6
    assert found[1] >= tiny * 0.5
    assert found[2] <= 2.0**-23


def test_a_sum_is_off_by_its_tree_and_by_its_terms() -> None:
    x = f32(*np.linspace(-0.3, 1.7, 40))
    for target, u in ((IEEE, 2.0**-24), (GPU, 2.0**-23)):
        terms = bounds(lambda x: np.exp(x), x, target=target)
        found = bounds(lambda x: np.sum(np.exp(x)), x, target=target)
        height = 24 + 6 + 1
        size = (np.abs(terms.value) + terms.bound).sum()
        assert found.value == pytest.approx(terms.value.sum(), rel=1e-12)
        assert found.bound == pytest.approx(terms.bound.sum() + height * u * size, rel=1e-9)


def test_a_sum_of_few_terms_has_few_roundings() -> None:
    x = f32(1, 2, 3)
    found = bounds(lambda x: np.sum(x), x)
    assert found.bound == pytest.approx(2 * 3 * F32_UNIT * 6, rel=1e-9)
    assert bounds(lambda x: np.sum(x), f32(1.5)).bound == 0


def test_a_sum_of_products_may_run_through_512_of_them() -> None:
    x = f32(*np.linspace(0.5, 1.5, 2000))
    found = bounds(lambda x: np.dot(x, x), x)
    squares = bounds(lambda x: x * x, x)
    size = (squares.value + squares.bound).sum()
    height = 512 + 2 + 2
    assert found.bound == pytest.approx(squares.bound.sum() + height * F32_UNIT * size, rel=1e-9)


def test_a_product_is_off_by_a_rounding_per_factor() -> None:
    x = f32(1.5, -2.5, 3.5)
    for target, u in ((IEEE, 2.0**-24), (GPU, 2.0**-23)):
        found = bounds(lambda x: np.prod(x), x, target=target)
        assert found.value == -13.125
        assert found.bound == pytest.approx(13.125 * ((1 + u) ** 2 - 1), rel=1e-3)


def test_the_roundings_of_a_long_product_add_up_in_every_tree() -> None:
    x = np.full(300, 0.96435547, np.float32)  # each rounding falls on the same side
    found = bounds(lambda x: np.prod(x), x)
    assert found.bound == pytest.approx(found.value * ((1 + F32_UNIT) ** 299 - 1), rel=1e-3)
    assert abs(float(np.multiply.accumulate(x)[-1]) - found.value) <= found.bound
    running = bounds(lambda x: np.cumprod(x), x)
    assert (np.abs(np.multiply.accumulate(x) - running.value) <= running.bound).all()
    assert running.bound[-1] >= found.bound


@pytest.mark.parametrize("target", [IEEE, GPU])
@pytest.mark.parametrize("combine", [np.add, np.multiply])
def test_any_tree_of_float32_is_inside(target: TargetClass, combine: Any) -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(-2, 2, 31).astype(np.float32)
    found = bounds(lambda x: combine.reduce(x), x, target=target)
    for _ in range(20):
        terms = list(rng.permutation(x))
        while len(terms) > 1:
            first, second = (terms.pop(rng.integers(len(terms))) for _ in range(2))
            terms.append(combine(first, second))
        assert abs(float(terms[0]) - found.value) <= found.bound
    assert found.bound < 1e-3 * max(1, abs(found.value))


def test_a_sum_that_overflows_in_some_order_is_free() -> None:
    big = 3e38
    assert np.isinf(bounds(lambda x: np.sum(x), f32(big, big, -big)).bound)
    assert np.isinf(bounds(lambda x: np.prod(x), f32(1e30, 1e30, 1e-30)).bound)
    assert bounds(lambda x: np.sum(x), f32(1e38, 1, 2)).bound < 1e33


def test_an_infinite_term_decides_a_sum_unless_others_overflow() -> None:
    found = bounds(lambda x: np.sum(x), f32(np.inf, 1, 2))
    assert (found.value, found.bound) == (np.inf, 0)
    assert np.isinf(bounds(lambda x: np.sum(x), f32(-np.inf, 3e38, 3e38)).bound)
    found = bounds(lambda x: np.prod(x), f32(np.inf, 1, 2))
    assert (found.value, found.bound) == (np.inf, 0)
    assert np.isnan(bounds(lambda x: np.sum(x), f32(np.nan, 1, 2)).value)
    # Tiny factors may have become zero before they meet the infinity.
    assert np.isinf(bounds(lambda x: np.prod(x), f32(np.inf, 1e-30, 1e-30)).bound)


def test_a_gpu_may_flush_the_terms_of_a_small_sum() -> None:
    x = f32(1e-38, 1e-38, 1e-38)
    tiny = float(np.finfo(np.float32).tiny)
    assert bounds(lambda x: np.sum(x), x).bound < tiny / 100
    assert bounds(lambda x: np.sum(x), x, target=GPU).bound >= 3 * tiny
    larger = x * np.float32(1e10)
    found = bounds(lambda x: np.sum(x), larger, target=GPU)
    assert found.bound == pytest.approx(6 * 2.0**-23 * found.value, rel=1e-9)


def test_sums_and_products_of_nothing_are_exact() -> None:
    nothing = np.zeros((2, 0), np.float32)
    for function, value in (
        (lambda x: np.sum(x, axis=1), [0, 0]),
        (lambda x: np.prod(x, axis=1), [1, 1]),
        (lambda x: np.max(x, axis=1, initial=-1), [-1, -1]),
    ):
        found = bounds(function, nothing)
        assert found.value.tolist() == value
        assert not found.bound.any()
    assert bounds(lambda x: np.cumsum(x, axis=1), nothing).value.shape == (2, 0)
    assert bounds(lambda x: np.sort(x, axis=1), nothing).value.shape == (2, 0)


def test_an_extreme_moves_as_far_as_the_candidates_that_can_win() -> None:
    x = f32(*np.log([1.0, 2.0, 1.9999999]))
    largest, all_of = bounds(lambda x: np.max(np.exp(x)), x), bounds(lambda x: np.exp(x), x)
    assert largest.value == all_of.value.max()
    assert largest.bound == pytest.approx(all_of.bound[1:].max(), rel=1e-2)
    smallest = bounds(lambda x: np.min(np.exp(x)), x)
    assert smallest.bound == pytest.approx(all_of.bound[0], rel=1e-2)
    assert bounds(lambda x: np.max(x), x).bound == 0
    assert np.isinf(bounds(lambda x: np.max(np.exp(x) * LARGEST_OVER_E80), f32(80, 1)).bound)


def test_an_extreme_of_what_may_be_nan_is_free() -> None:
    x = np.array([[np.nan, 1], [np.nan, np.nan]], np.float32)
    for extreme in (np.max, np.min):
        folded = bounds(lambda x, e=extreme: e(x - x, axis=1), x, target=GPU)
        assert folded.bound.tolist() == [np.inf, np.inf]
        assert not bounds(lambda x, e=extreme: e(x, axis=1), x, target=GPU).bound.any()
    assert not bounds(lambda x: np.fmax.reduce(x, axis=1), x, target=GPU).bound.any()


def test_integer_reductions_are_exact_unless_a_term_is_free() -> None:
    x = f32(2.5, 3.5)
    assert bounds(lambda x: np.sum(np.exp(np.log(x)).astype(np.int32)), x).bound == 0
    found = bounds(lambda x: np.sum(np.exp(np.log(x)).astype(np.int32)), f32(2.5, 3))
    assert np.isinf(found.bound)


def test_a_running_sum_has_the_bound_of_its_head() -> None:
    x = f32(1.5, 2.5, 3.5, 4.5)
    found = bounds(lambda x: np.cumsum(x), x)
    assert found.value.tolist() == [1.5, 4, 7.5, 12]
    expected = [
        end * F32_UNIT * total for end, total in zip((0, 2, 3, 4), found.value, strict=True)
    ]
    np.testing.assert_allclose(found.bound, expected, rtol=1e-9)
    assert not bounds(lambda x: np.maximum.accumulate(x), x).bound.any()
    assert not bounds(lambda x: np.cumsum(x), np.array([1, 2, 3], np.int32)).bound.any()
    columns = bounds(lambda x: np.cumsum(x, axis=0), x.reshape(2, 2))
    assert columns.value.tolist() == [[1.5, 2.5], [5, 7]]
    assert not columns.bound[0].any()
    assert columns.bound[1].all()


def test_sorted_values_move_as_far_as_the_least_certain_of_their_row() -> None:
    x = f32(*np.log([1.0, 3.0, 2.0, 9.0, 8.0, 8.5])).reshape(2, 3)
    each, found = bounds(lambda x: np.exp(x), x), bounds(lambda x: np.sort(np.exp(x), axis=1), x)
    np.testing.assert_array_equal(found.value, np.sort(each.value, axis=1))
    np.testing.assert_array_equal(found.bound, np.broadcast_to(each.bound.max(1)[:, None], (2, 3)))
    assert not bounds(lambda x: np.sort(x, axis=1), x).bound.any()


def test_places_of_sorted_values_are_certain_where_no_two_may_change_places() -> None:
    x = f32(2, 1, 3)
    found = bounds(lambda x: np.argsort(np.exp(x)), x)
    assert found.value.tolist() == [1, 0, 2]
    assert not found.bound.any()
    tied = bounds(lambda x: np.argsort(np.exp(x)), f32(2, 1, 2))
    assert np.isinf(tied.bound).all()
    assert not bounds(lambda x: np.argsort(x), f32(2, 1, 2)).bound.any()


def test_argmax_of_nan_is_certain() -> None:
    found = bounds(lambda x: np.argmax(np.exp(x)), f32(1, np.nan, 3))
    assert (found.value, found.bound) == (1, 0)
    assert bounds(lambda x: np.argmin(np.exp(x)), f32(3, 1, 2)).value == 1
    unsure = bounds(lambda x: np.argmax(np.exp(x) * LARGEST_OVER_E80), f32(80, 1))
    assert np.isinf(unsure.bound)


def test_integer_positions_are_exact_unless_an_integer_is_free() -> None:
    assert bounds(lambda x: np.argmax(x), np.array([1, 5, 5], np.int32)).value == 1
    free = bounds(lambda x: np.argmax(np.exp(np.log(x)).astype(np.int32)), f32(3, 1.5))
    assert np.isinf(free.bound)


def test_written_elements_have_the_bounds_of_what_was_written() -> None:
    def function(x: Any, at: Any) -> Any:
        y = x.copy()
        y[at] = np.exp(x[:2])
        return y

    x, at = f32(1, 2, 3, 4), np.array([3, 0])
    found = bounds(function, x, at)
    each = bounds(lambda x: np.exp(x), x[:2])
    np.testing.assert_array_equal(found.value, [each.value[1], 2, 3, each.value[0]])
    np.testing.assert_array_equal(found.bound, [each.bound[1], 0, 0, each.bound[0]])


def test_added_elements_are_sums_of_what_was_added_to_each() -> None:
    def function(x: Any, at: Any) -> Any:
        y = x.copy()
        np.add.at(y, at, x[:3])
        return y

    found = bounds(function, f32(1.5, 2.5, 3.5, 4.5), np.array([3, 3, 0]))
    assert found.value.tolist() == [5, 2.5, 3.5, 8.5]
    expected = [2 * F32_UNIT * 5, 0, 0, 3 * F32_UNIT * 8.5]
    np.testing.assert_allclose(found.bound, expected, rtol=1e-9)


def test_a_place_that_rounding_decides_makes_everything_free() -> None:
    def function(x: Any) -> Any:
        y = x.copy()
        y[np.exp(np.log(x[:1])).astype(np.int32)] = 7
        return y

    assert np.isinf(bounds(function, f32(1, 2, 3)).bound).all()
    assert not bounds(function, f32(1.5, 2, 3)).bound.any()


def test_a_product_of_uncertain_factors_is_as_far_off_as_all_together() -> None:
    x = f32(0.5, 1.25, -0.75)
    factors, found = bounds(lambda x: np.exp(x), x), bounds(lambda x: np.prod(np.exp(x)), x)
    most = np.prod(factors.value + factors.bound) * (1 + F32_UNIT) ** 2
    assert found.bound == pytest.approx(most - found.value, rel=1e-3)


def test_a_product_that_underflows_on_its_way_is_inside() -> None:
    x = f32(1e-20, 3e-20, 1e25)
    found = bounds(lambda x: np.prod(x), x)
    for order in ((0, 1, 2), (0, 2, 1), (2, 1, 0)):
        value = np.multiply.reduce(x[list(order)])
        assert abs(float(value) - found.value) <= found.bound


def test_only_rows_with_a_free_element_are_free() -> None:
    x = f32(80, 1, 2, 1, 1, 2).reshape(2, 3)
    for combine in (np.sum, np.prod, np.max, np.argmax):
        found = bounds(lambda x, c=combine: c(np.exp(x) * LARGEST_OVER_E80, axis=1), x)
        assert np.isinf(found.bound).tolist()[0]
        free = bounds(lambda x, c=combine: c(np.exp(x), axis=1), x)
        assert not np.isinf(free.bound).any()
    certain = bounds(lambda x: np.argmax(np.exp(x), axis=1), x)
    assert certain.value.tolist() == [0, 2]
    assert not certain.bound.any()


def test_a_factor_that_may_be_zero_makes_infinity_free() -> None:
    x = f32(1, 2)
    at_one = bounds(lambda x: np.prod((np.exp(np.log(x)) - 1) * np.float32(1)), f32(1, 2))
    assert at_one.bound < 1e-6

    def function(x: Any, y: Any) -> Any:
        return np.prod(np.where(y > 0, np.exp(np.log(x)) - 1, y))

    assert np.isinf(bounds(function, x, f32(1, -np.inf)).bound)
    near = bounds(function, f32(1 + 2.0**-23, 2), f32(1, -np.inf))
    assert (near.value, near.bound) == (-np.inf, np.inf)  # the factor may be negative
    assert bounds(function, f32(3, 2), f32(1, -np.inf)).value == -np.inf
    assert bounds(function, f32(3, 2), f32(1, -np.inf)).bound == 0


def test_a_long_running_sum_is_a_tree_of_trees() -> None:
    x = np.linspace(0.5, 1.5, 100, dtype=np.float32)
    found = bounds(lambda x: np.cumsum(x), x)
    total = x.astype(np.float64).sum()
    assert found.bound[-1] == pytest.approx((2 * 24 + 7) * F32_UNIT * total, rel=1e-9)
    assert found.bound[9] == pytest.approx(
        10 * F32_UNIT * x[:10].astype(np.float64).sum(), rel=1e-9
    )


def test_the_errors_of_a_loop_add_up() -> None:
    def function(x: Any, y: Any) -> Any:
        return tw.loop(3, lambda i, s: (np.exp(np.log(s)) + y * i,), x)[0]

    x, y = f32(2.0), f32(4.0)
    found = bounds(function, x, y)
    assert found.value == pytest.approx(2 + 4 * (0 + 1 + 2), rel=1e-6)
    assert found.bound > bounds(lambda x: np.exp(np.log(x)), x).bound
    assert found.bound < 1e-4
    assert bounds(lambda x: tw.loop(3, lambda i, s: (s + i,), x)[0], x).bound == 0


def test_a_loop_whose_end_is_certain_has_the_errors_of_its_rounds() -> None:
    def function(x: Any, y: Any) -> Any:
        def more(n: Any, s: Any) -> Any:
            return n < 3

        return tw.while_loop(more, lambda n, s: (n + 1, np.exp(np.log(s)) + y), 0, x)[1]

    found = bounds(function, f32(2.0), f32(4.0))
    assert found.value == pytest.approx(14, rel=1e-6)
    assert 0 < found.bound < 1e-4


def test_a_loop_whose_end_rounding_decides_is_free() -> None:
    def function(x: Any) -> Any:
        (end,) = tw.while_loop(lambda s: np.any(s > 1), lambda s: (np.exp(np.log(s) - 1),), x)
        return end

    assert not np.isinf(bounds(function, f32(2.0)).bound).any()
    assert np.isinf(bounds(function, f32(np.e)).bound).all()


def test_comparisons_on_a_gpu_do_not_tell_subnormals_apart() -> None:
    tiny = f32(-1e-45, 7e-45, 0)
    largest = (lambda x: np.maximum(x, x[::-1]), lambda x: np.max(x))
    for order in (lambda x: np.sort(x), *largest):
        assert np.all(bounds(order, tiny).bound == 0)
        assert np.all(bounds(order, tiny, target=GPU).bound >= 1e-44)
        assert np.all(bounds(order, f32(1, 2), target=GPU).bound == 0)


def test_a_function_of_small_numbers_may_flush_what_it_computes_with() -> None:
    x = f32(2.0**-126, 2.0**-100)
    assert bounds(lambda x: np.tanh(x), x).bound[0] < 2.0**-140
    found = bounds(lambda x: np.tanh(x), x, target=GPU).bound
    assert 2.0**-126 <= found[0] < 2.0**-125
    assert found[1] < 2.0**-119


def test_64_bit_integers_are_certain_on_a_gpu_as_long_as_32_bits_hold_them() -> None:
    x = np.array([1, 2**31 - 1, -(2**31)], np.int64)
    assert np.all(bounds(lambda x: x * 2, x).bound == 0)
    found = bounds(lambda x: x * 2, x, target=GPU).bound
    assert np.isinf(found).tolist() == [False, True, True]
    assert np.isinf(bounds(lambda x: np.sum(x[:2]), x, target=GPU).bound)
    assert bounds(lambda x: np.sum(x[1:]), x, target=GPU).bound == 0


def test_the_float64_reference_rounds_too() -> None:
    exact = np.array([3.0])
    assert bounds(lambda x: x - 1, exact).bound[0] == 0
    rounded = bounds(lambda x: np.log1p(x) - 1, exact).bound[0]
    assert rounded >= np.spacing(np.log1p(3.0) - 1) + 3 * np.spacing(np.log1p(3.0))


def test_nextafter_knows_the_dtype() -> None:
    x = np.array([14.0], np.float16)
    found = bounds(lambda x: np.nextafter(x, x * 0), x)
    assert found.value[0] == float(np.nextafter(x, x * 0)[0])
    assert found.bound[0] == 0


def test_what_reads_nothing_is_free() -> None:
    n = tw.dim("n")
    traced_slice = traced(lambda x: x[3:] * 2, np.zeros(2, np.float32))
    assert bound_graph(traced_slice.graph, [f32(1, 2)], IEEE)[0].value.shape == (0,)
    kernel = tw.kernel(x=tw.f32[n])(_third_doubled)
    kernel(f32(1, 2))
    graph = kernel.specializations[0].traced.graph
    (found,) = bound_graph(graph, [f32(1, 2)], IEEE, dict(zip(graph.symbols, [2], strict=True)))
    assert found.value.tolist() == [1, 2]
    assert np.all(found.bound == 0)


def _third_doubled(x: Any) -> Any:
    y = x.copy()
    y[3:] *= 2
    return y


def test_a_gpu_may_add_infinities_in_another_way() -> None:
    x = f32(np.inf, -np.inf, 1)
    assert bounds(lambda x: np.sum(x), x).bound == 0
    assert np.isinf(bounds(lambda x: np.sum(x), x, target=GPU).bound)
    assert bounds(lambda x: np.sum(x), f32(np.nan, 1), target=GPU).bound == 0


def test_a_gpu_may_take_nothing_divided_for_nothing() -> None:
    x = f32(0, 1)
    assert not bounds(lambda x: 0 / x, x).bound.any()
    assert np.isinf(bounds(lambda x: 0 / x, x, target=GPU).bound).tolist() == [True, False]


def test_the_bits_of_a_nan_are_not_promised() -> None:
    found = bounds(lambda x: x.view(np.int32), f32(np.nan, 1))
    assert np.isinf(found.bound).tolist() == [True, False]


def test_the_sign_of_a_flushed_number_decides_a_floor() -> None:
    x = f32(-1e-45, -1)
    found = bounds(lambda x: x // np.float32(np.inf), x, target=GPU)
    assert np.isinf(found.bound).tolist() == [True, False]
    assert not bounds(lambda x: x // np.float32(np.inf), x).bound.any()


def test_a_gpu_computes_float64_in_float32() -> None:
    x = np.array([1 / 3, 3.0])
    for function in (lambda x: x * 1.1, lambda x: x.sum(), lambda x: np.cumsum(x)):
        exactly = bounds(function, x)
        found = bounds(function, x, target=GPU)
        np.testing.assert_array_equal(found.value, exactly.value)
        assert (exactly.bound <= 1e-14).all()
        assert (found.bound >= 2.0**-25 * np.abs(found.value)).any()
        assert (found.bound <= 1e-6 * np.abs(found.value)).all()
    inputs = bounds(lambda x: x, x, target=GPU)
    assert inputs.bound[0] >= abs(float(np.float32(x[0])) - x[0]) > 0
    counted = bounds(lambda n: n * 0.1, np.array([2**24 + 1]), target=GPU)
    assert counted.bound[0] >= 0.1
