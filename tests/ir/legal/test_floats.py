"""Float operations made of others have NumPy's values, and no more instructions than needed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.analysis.magnitudes import is_number
from tilewright.ir.dtypes import F32, U8
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.legal.floats import (
    expand_division_by_zero,
    expand_extremes,
    expand_nextafter,
)

X = Var("x", dtype=F32)
VALUES = np.array([0.0, -0.0, 1e-45, -1e-45, 1, -2.5, 3e38, np.inf, -np.inf, np.nan], np.float32)


def by(divisor: Expr) -> Expr:
    return Apply(ops.DIV, (X, divisor))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_division_by_a_literal_zero(zero: float) -> None:
    expr = expand_division_by_zero(by(build.const(zero, F32)))
    assert expr is not None
    assert not any(isinstance(n, Apply) and n.op is ops.DIV for n in post_order([expr]))
    with np.errstate(all="ignore"):
        want = VALUES / np.float32(zero)
    np.testing.assert_array_equal(evaluate(expr, {X: VALUES}), want)


def test_other_divisions_stay() -> None:
    assert expand_division_by_zero(by(build.const(2.0, F32))) is None
    assert expand_division_by_zero(by(Var("y", dtype=F32))) is None


def test_nextafter_of_special_values() -> None:
    y = Var("y", dtype=F32)
    expr = expand_nextafter(Apply(ops.NEXTAFTER, (X, y)))
    assert expr is not None
    first, second = (a.ravel() for a in np.meshgrid(VALUES, VALUES))
    with np.errstate(all="ignore"):
        wanted = np.nextafter(first, second)
    same_bits(evaluate(expr, {X: first, y: second}), wanted)


EXTREMES = {ops.MIN: np.minimum, ops.MAX: np.maximum, ops.FMIN: np.fmin, ops.FMAX: np.fmax}
PIXEL = build.cast(Var("p", dtype=U8), F32)


def same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    """Zeros of different signs are different; one NaN is as good as another."""
    np.testing.assert_array_equal(found, wanted)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(wanted)[numbers])


def selects(expr: Expr) -> int:
    return sum(isinstance(n, Apply) and n.op is ops.SELECT for n in post_order([expr]))


@pytest.mark.parametrize("literal", [0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("op", EXTREMES, ids=lambda op: op.name)
def test_extremes_beside_a_literal(op: ops.Op, literal: float) -> None:
    """The general form says what is right: it does not look at the literal."""
    y = Var("y", dtype=F32)
    given = np.full_like(VALUES, literal)
    constant = build.const(literal, F32)
    for operands, general in (((X, constant), (X, y)), ((constant, X), (y, X))):
        found, known = (expand_extremes(Apply(op, o)) for o in (operands, general))
        assert found is not None
        assert known is not None
        same_bits(evaluate(found, {X: VALUES}), evaluate(known, {X: VALUES, y: given}))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(
                evaluate(known, {X: VALUES, y: given}), EXTREMES[op](VALUES, given)
            )


@pytest.mark.parametrize("op", EXTREMES, ids=lambda op: op.name)
def test_a_clip_is_one_comparison_for_each_side(op: ops.Op) -> None:
    found = expand_extremes(Apply(op, (X, build.const(1.5, F32))))
    assert found is not None
    assert selects(found) == 1


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (PIXEL, True),
        (Apply(ops.MUL, (PIXEL, build.const(0.25, F32))), True),
        (Apply(ops.DIV, (PIXEL, PIXEL)), False),
        (Apply(ops.MUL, (PIXEL, build.const(np.inf, F32))), False),
        (Apply(ops.MUL, (build.const(3e38, F32), build.const(0.0, F32))), False),
        (X, False),
    ],
)
def test_values_made_of_integers_are_numbers(value: Expr, number: bool) -> None:
    assert is_number(value) == number
    found = expand_extremes(Apply(ops.MAX, (value, Var("z", dtype=F32))))
    assert found is not None
    assert selects(found) == (1 if number else 2)
