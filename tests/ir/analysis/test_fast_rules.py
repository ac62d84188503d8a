"""What the fast mode promises: its errors, and where it promises nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import traced
from tilewright.ir import ops
from tilewright.ir.analysis.error_bounds import bound_graph
from tilewright.ir.analysis.error_rules import Bounded, target_class
from tilewright.ir.analysis.fast_rules import fast_error
from tilewright.ir.dtypes import F16, F32, F64

ULP = 2.0**-23
TARGETS = ("cpu", "wgsl")


def bounds(function: Callable[..., Any], *args: Any, target: str = "cpu") -> Bounded:
    graph = traced(function, *args).graph
    (found,) = bound_graph(graph, args, target_class(target, "fast"))
    return found


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("target", TARGETS)
def test_errors_of_functions(target: str) -> None:
    for function, x, allowed in (
        (np.exp, 1.5, 23 * 4 * ULP),
        (np.exp2, 1.5, 6 * 2 * ULP),
        (np.sin, 100.0, 2.0**-11 + 100 * ULP),
        (np.tanh, 0.25, 2.0**-19),
        (np.log, 0.75, 2.0**-21 + 2 * ULP / 4),
        (np.log, 4.0, 6 * ULP),
    ):
        found = bounds(lambda x, f=function: f(x), f32(x), target=target)
        assert found.value[0] == pytest.approx(function(np.float64(x)), rel=1e-12)
        assert found.bound[0] == pytest.approx(allowed, rel=1e-3)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_promised_of_nan_and_beyond_the_domain(target: str) -> None:
    nan = f32(np.nan, 1.0)
    for combine in (np.maximum, np.fmin):
        assert np.isinf(bounds(lambda x, f=combine: f(x, x[::-1]), nan, target=target).bound).all()
    assert np.isinf(bounds(lambda x: x.max(), nan, target=target).bound)
    assert np.isinf(bounds(lambda x: np.maximum.accumulate(x), nan, target=target).bound).any()
    for function, x in ((np.exp, 89.0), (np.exp, np.nan), (np.log, 0.0), (np.log, -1.0)):
        assert np.isinf(bounds(lambda x, f=function: f(x), f32(x), target=target).bound)
    assert np.isinf(bounds(lambda x: np.sin(x), f32(np.inf), target=target).bound)
    assert np.isinf(bounds(lambda x: 1 / np.sqrt(x), f32(0), target=target).bound)


@pytest.mark.parametrize("target", TARGETS)
def test_masks_of_minus_infinity_are_promised(target: str) -> None:
    found = bounds(lambda x: np.exp(x - x.max()), f32(-np.inf, 0, 1), target=target)
    assert found.bound[0] <= 2.0**-124
    found = bounds(lambda x: x.max(), f32(-np.inf, 2, 1), target=target)
    assert (found.value, found.bound) == (2, 0)


def test_what_is_not_replaced_is_as_accurate_as_ever() -> None:
    x = f32(0.3, 1.7)
    for function in (np.arctan, np.log1p, np.expm1, np.cbrt, np.sqrt, np.floor):
        graph = traced(lambda x, f=function: f(x), x).graph
        modes = [bound_graph(graph, (x,), target_class("cpu", m))[0] for m in ("fast", "accurate")]
        np.testing.assert_array_equal(modes[0].bound, modes[1].bound)
    assert fast_error(ops.EXP, F64, np.ones(1), [np.zeros(1)]) is None
    assert fast_error(ops.EXP, F16, np.ones(1), [np.zeros(1)]) is not None
    assert fast_error(ops.ATAN, F32, np.ones(1), [np.zeros(1)]) is None
