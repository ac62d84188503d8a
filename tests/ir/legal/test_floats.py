"""A quotient by a literal zero is made of bits, and has NumPy's value."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.legal.floats import expand_division_by_zero

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
