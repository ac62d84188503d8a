"""What operands pass on covers all that they may be, and little more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tilewright.ir import ops
from tilewright.ir.analysis.error_propagation import EXTREMES, passed_on
from tilewright.ir.ops import Op

STEPS = np.array([-1.0, -0.83, -0.5, -0.1, 0.0, 0.2, 0.61, 0.97, 1.0])
VALUES = np.array([-7.3, -2.0, -1.0, -0.9, -0.5, -1e-3, 0.0, 2e-3, 0.4, 0.75, 1.0, 1.6, 3.0, 9.5])
BOUNDS = np.array([0.0, 1e-6, 1e-3, 0.2])
UNARY = (
    *(ops.NEG, ops.ABS, ops.SIN, ops.COS, ops.TAN, ops.COSH, ops.FLOOR, ops.CEIL, ops.TRUNC),
    *(ops.RINT, ops.SIGN, ops.SQRT, ops.EXP, ops.EXP2, ops.EXPM1, ops.LOG, ops.LOG2, ops.LOG10),
    *(ops.LOG1P, ops.ASIN, ops.ACOS, ops.ATAN, ops.SINH, ops.TANH, ops.ASINH, ops.ACOSH),
    *(ops.ATANH, ops.ERF, ops.ERFC, ops.CBRT, ops.RSQRT, ops.SIGMOID),
)
BINARY = (
    *(ops.ADD, ops.SUB, ops.MUL, ops.DIV, ops.MOD, ops.FMOD, ops.FLOORDIV, *EXTREMES),
    *(ops.COPYSIGN, ops.HYPOT, ops.ATAN2, ops.POW),
)
# Their bounds take no account of where they are flat.
TIGHT = [o for o in (*UNARY, *BINARY) if o not in (ops.SIN, ops.COS, ops.HYPOT, ops.ATAN2)]


def moved(op: Op, values: list[Any], bounds: list[Any]) -> tuple[Any, Any, Any]:
    """The result, what is passed on, and how far operands within their bounds move the result."""
    with np.errstate(all="ignore"):
        value = np.asarray(op.reference(*values), np.float64)
        passed = passed_on(op, value, values, bounds)
        furthest = np.zeros(value.shape)
        steps = np.array(np.meshgrid(*[STEPS] * len(values))).reshape(len(values), -1).T
        for step in steps:
            operands = [v + s * b for v, s, b in zip(values, step, bounds, strict=True)]
            other = np.asarray(op.reference(*operands), np.float64)
            same = (other == value) | (np.isnan(other) & np.isnan(value))
            distance = np.where(same, 0.0, np.abs(other - value))
            furthest = np.fmax(furthest, np.where(np.isnan(distance), np.inf, distance))
    return value, np.broadcast_to(passed, value.shape), furthest


def grid(count: int) -> tuple[list[Any], list[Any]]:
    axes = np.meshgrid(*[VALUES] * count, *[BOUNDS] * count, indexing="ij")
    flat = [a.reshape(-1) for a in axes]
    return flat[:count], flat[count:]


@pytest.mark.parametrize("op", [*UNARY, *BINARY], ids=str)
def test_no_operand_within_its_bound_moves_the_result_further(op: Op) -> None:
    _, passed, furthest = moved(op, *grid(op.arity))
    assert np.all(furthest <= passed * (1 + 1e-9) + 1e-12)


@pytest.mark.parametrize("op", TIGHT, ids=str)
def test_not_much_more_is_allowed_than_is_reached(op: Op) -> None:
    value, passed, furthest = moved(op, *grid(op.arity))
    sure = np.isfinite(value) & np.isfinite(furthest) & np.isfinite(passed)
    assert np.all(passed[sure] <= furthest[sure] * 1.3 + 1e-12)
    assert np.mean(sure) > 0.1


@pytest.mark.parametrize("op", EXTREMES, ids=str)
def test_extremes_with_nan(op: Op) -> None:
    """NaN, where it wins, is certain; where it loses, the other operand moves the result."""
    values = [np.array([np.nan, 1.0, np.nan]), np.array([2.0, np.nan, np.nan])]
    bounds = [np.full(3, 0.5), np.full(3, 0.25)]
    _, passed, _ = moved(op, values, bounds)
    ignored = op in (ops.FMIN, ops.FMAX)
    np.testing.assert_allclose(passed, [0.25, 0.5, 0.0] if ignored else [0.0, 0.0, 0.0])
