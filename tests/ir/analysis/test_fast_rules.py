"""What the fast mode promises: its errors, and where it promises nothing."""

from __future__ import annotations

import math
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
from tilewright.ir.ops import Op

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


ABOVE = float(np.nextafter(88.0, 99.0))
BOUNDS: dict[Op, tuple[tuple[float, ...], tuple[float, ...]]] = {
    ops.EXP: ((-np.inf, -1e5, 0.0, 88.0), (np.nan, ABOVE, np.inf)),
    ops.EXP2: ((-np.inf, -1e5, 0.0, 127.0), (np.nan, 127.5, np.inf)),
    ops.SIGMOID: ((-np.inf, 0.0, 1e5, np.inf), (np.nan,)),
    ops.TANH: ((-np.inf, 0.0, 1e5, np.inf), (np.nan,)),
    ops.SIN: ((-1e30, 0.0, 1e5), (np.nan, np.inf, -np.inf)),
    ops.COS: ((-1e30, 0.0, 1e5), (np.nan, np.inf, -np.inf)),
    ops.LOG: ((2.0**-126, 0.5, 1e30), (np.nan, np.inf, 0.0, -1.0, 2.0**-127)),
    ops.LOG2: ((2.0**-126, 0.5, 1e30), (np.nan, np.inf, 0.0, -1.0, 2.0**-127)),
    ops.LOG10: ((2.0**-126, 0.5, 1e30), (np.nan, np.inf, 0.0, -1.0, 2.0**-127)),
    ops.RSQRT: ((2.0**-126, 0.5, 1e30), (np.nan, np.inf, 0.0, -1.0, 2.0**-127)),
}


@pytest.mark.parametrize("op", BOUNDS, ids=str)
def test_where_anything_is_promised(op: Op) -> None:
    inside, outside = map(np.array, BOUNDS[op])
    for x, is_promised in ((inside, True), (outside, False)):
        with np.errstate(all="ignore"):
            found = fast_error(op, F32, op.reference(x), [x])
        assert found is not None
        assert (np.isfinite(np.broadcast_to(found[1], x.shape)) == is_promised).all()
        assert (np.isfinite(np.broadcast_to(found[0], x.shape)) | ~np.isfinite(found[1])).all()


def test_extremes_are_as_ever_without_nan() -> None:
    for op in (ops.MIN, ops.MAX, ops.FMIN, ops.FMAX):
        x, y = np.array([1.0, np.nan, 1.0, np.inf]), np.array([2.0, 1.0, np.nan, -np.inf])
        found = fast_error(op, F64, x, [x, y])
        assert found is not None
        np.testing.assert_array_equal(found[1], [0.0, np.inf, np.inf, 0.0])


def test_angles_and_logarithms_at_their_limits() -> None:
    def absolute(op: Op, *x: float) -> list[float]:
        given = np.array(x)
        found = fast_error(op, F32, op.reference(given), [given])
        assert found is not None
        return list(found[1])

    assert absolute(ops.SIN, 0.0, -1e5, 1.1e5) == [2.0**-11, 2.0**-11 + 1e5 * 2.0**-23, 2.0]
    assert absolute(ops.LOG, 0.49, 0.5, 2.0, 2.1) == [0.0, 2.0**-21, 2.0**-21, 0.0]
    assert absolute(ops.LOG2, 2.0) == [2.0**-21 / math.log(2)]


def test_powers_and_quotients() -> None:
    def error(op: Op, x: float, y: float) -> tuple[float, float]:
        given = [np.asarray(x), np.asarray(y)]
        with np.errstate(all="ignore"):
            found = fast_error(op, F32, op.reference(*given), given)
        assert found is not None
        return float(found[0]), float(found[1])

    assert error(ops.POW, 2.0, 3.0) == (3 + 8 * 3 + 6 * 3, 2.0**-126)
    assert error(ops.POW, 2.0, -3.0) == (3 + 8 * 3 + 6 * 3, 2.0**-126)
    assert error(ops.POW, 2.0**-126, 0.5) == (3 + 8 * 63 + 3, 2.0**-126)
    assert error(ops.POW, 2.0**-127, 0.5) == (0.0, np.inf)
    assert error(ops.POW, -2.0, 3.0) == (0.0, 2.0**-126)
    assert error(ops.POW, 0.0, 3.0) == (0.0, 2.0**-126)
    for x, y in (
        (0.0, 0.0),
        (0.0, -1.0),
        (2.0, 126.0),
        (np.inf, 1.0),
        (np.nan, 1.0),
        (2.0, np.nan),
    ):
        assert error(ops.POW, x, y) == (0.0, np.inf)
    assert error(ops.DIV, 1.0, -2.0) == (2.5, 2.0**-126)
    assert error(ops.DIV, 1.0, 2.0) == (6.0, 2.0**-126)
    assert error(ops.DIV, 0.0, 2.0**-63) == (6.0, 0.0)
    for y in (0.0, 2.0**-64, np.inf, np.nan):
        assert error(ops.DIV, 1.0, y) == (6.0, np.inf)
