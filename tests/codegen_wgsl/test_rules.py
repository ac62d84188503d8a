"""Rules of WGSL one at a time, where another would hide what one of them does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tilewright.codegen_wgsl.rules import Rules, never_nan, shift_instead_of_divide
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F32, I32, INDEX, U32
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.traverse import rewrite_to_fixpoint

X = Var("x", dtype=F32)
POSITION = Var("i", 1000)


@pytest.mark.parametrize("op", [ops.QUO, ops.REM], ids=str)
def test_positions_are_shifted_and_masked(op: ops.Op) -> None:
    at = np.arange(1000)
    for divisor in (1, 2, 4, 8, 64, 512, 1 << 20):
        made = shift_instead_of_divide(Apply(op, (POSITION, build.index(divisor))))
        assert made is not None
        assert {n.op for n in post_order([made]) if isinstance(n, Apply)} <= {ops.AND, ops.SHR_RAW}
        np.testing.assert_array_equal(evaluate(made, {POSITION: at}), op.reference(at, divisor))


def test_other_divisions_stay() -> None:
    number = Var("n", dtype=I32)
    for op in (ops.QUO, ops.REM):
        for divisor in (0, 3, 6, 96):
            assert shift_instead_of_divide(Apply(op, (POSITION, build.index(divisor)))) is None
        assert shift_instead_of_divide(Apply(op, (number, build.const(8, I32)))) is None
        assert shift_instead_of_divide(Apply(op, (POSITION, Var("size")))) is None
    assert shift_instead_of_divide(Apply(ops.MUL, (POSITION, build.index(8)))) is None


def questions(expr: Expr) -> int:
    """How often an expression asks for NaN."""
    infinity = 0x7F800000
    return sum(
        isinstance(n, Apply) and n.op is ops.GT and getattr(n.operands[1], "value", 0) == infinity
        for n in post_order([expr])
    )


@pytest.mark.parametrize("op", [ops.MIN, ops.MAX, ops.FMIN, ops.FMAX], ids=str)
def test_what_is_never_nan_is_not_asked(op: ops.Op) -> None:
    whole = build.cast(Var("n", dtype=I32), F32)
    literal, nan = build.const(2.0, F32), build.const(math.nan, F32)
    for operands, asked in (
        ((X, Var("y", dtype=F32)), 2),
        ((X, literal), 1),
        ((literal, X), 1),
        ((X, whole), 1),
        ((whole, literal), 0),
        ((X, nan), 2),
    ):
        made = rewrite_to_fixpoint(Apply(op, operands), Rules().all(), {})
        assert questions(made) == asked


def test_values_that_are_never_nan() -> None:
    assert never_nan(build.const(math.inf, F32))
    assert not never_nan(build.const(math.nan, F32))
    for dtype in (BOOL, I32, U32, INDEX):
        assert never_nan(Apply(ops.CAST, (Var("n", dtype=dtype),), F32))
    assert not never_nan(X)
    assert not never_nan(Apply(ops.NEG, (X,)))
    assert not never_nan(Apply(ops.BITCAST, (Var("n", dtype=I32),), F32))
