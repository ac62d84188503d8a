"""The signs that a float can have."""

from __future__ import annotations

import math

import pytest

from tilewright.ir import build, ops
from tilewright.ir.analysis.signs import ANY, NEVER_NEGATIVE, Signs, signs
from tilewright.ir.dtypes import F32, I32, U8
from tilewright.ir.expr import Apply, Expr, Var

X, Y, WHOLE, SMALL = (
    Var("x", dtype=F32),
    Var("y", dtype=F32),
    Var("i", dtype=I32),
    Var("u", dtype=U8),
)
NEVER_POSITIVE = Signs(True, False)


def op(name: ops.Op, *operands: Expr) -> Expr:
    return Apply(name, operands)


SIZE = op(ops.ABS, X)
CASES = [
    (X, ANY),
    (SIZE, NEVER_NEGATIVE),
    (op(ops.NEG, SIZE), NEVER_POSITIVE),
    (op(ops.MUL, X, X), NEVER_NEGATIVE),
    (op(ops.MUL, X, Y), ANY),
    (op(ops.MUL, op(ops.NEG, SIZE), op(ops.NEG, SIZE)), NEVER_NEGATIVE),
    (op(ops.DIV, op(ops.NEG, SIZE), op(ops.EXP, Y)), NEVER_POSITIVE),
    (op(ops.ADD, SIZE, op(ops.EXP, X)), NEVER_NEGATIVE),
    (op(ops.SUB, SIZE, op(ops.EXP, X)), ANY),
    (op(ops.SUB, op(ops.NEG, SIZE), op(ops.EXP, X)), NEVER_POSITIVE),
    (op(ops.MAX, X, build.const(0.0, F32)), NEVER_NEGATIVE),
    (op(ops.MIN, X, build.const(0.0, F32)), NEVER_POSITIVE),
    (op(ops.FMIN, X, build.const(-1.0, F32)), ANY),
    (op(ops.TANH, op(ops.NEG, SIZE)), NEVER_POSITIVE),
    (build.cast(SMALL, F32), NEVER_NEGATIVE),
    (build.cast(op(ops.MUL, WHOLE, WHOLE), F32), ANY),  # it wraps around
    (build.const(math.nan, F32), Signs(False, False)),
]


@pytest.mark.parametrize(("expr", "expected"), CASES, ids=lambda p: repr(p))
def test_signs(expr: Expr, expected: Signs) -> None:
    assert signs(expr) == expected
