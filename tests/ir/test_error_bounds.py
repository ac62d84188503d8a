"""Error bounds: what is exact stays exact, what rounding decides is free, errors add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import traced
from tilewright.ir.error_bounds import bound_graph
from tilewright.ir.error_rules import GPU, IEEE, PROMISES, Bounded, TargetClass
from tilewright.ir.ops import OPS

F32_UNIT = 2.0**-24


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
    edge = np.float32(float(np.finfo(np.float32).max) / np.exp(80.0))
    assert np.isinf(bounds(lambda x: np.exp(x) * edge, f32(80)).bound[0])


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
