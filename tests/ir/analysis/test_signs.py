"""The signs that a float can have: every sign that a value has, and hardly any other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tilewright.ir import build, ops
from tilewright.ir.analysis.signs import ANY, NEVER_NEGATIVE, Signs, signs
from tilewright.ir.dtypes import F32, I32, U8
from tilewright.ir.expr import Apply, Const, Expr, Var
from tilewright.ir.interpret.values import evaluate, reads_nothing

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
    # A divisor that may be -0.0 turns the sign of the infinity.
    (op(ops.DIV, SIZE, op(ops.MAX, Y, build.const(0.0, F32))), ANY),
    (op(ops.DIV, SIZE, op(ops.SQRT, Y)), ANY),
    (op(ops.DIV, SIZE, build.const(0.0, F32)), ANY),
    (op(ops.DIV, SIZE, build.const(0.5, F32)), NEVER_NEGATIVE),
]


@pytest.mark.parametrize(("expr", "expected"), CASES, ids=lambda p: repr(p))
def test_signs(expr: Expr, expected: Signs) -> None:
    assert signs(expr) == expected


VALUES = np.array([-math.inf, -2, -0.5, -0.0, 0.0, 0.5, 2, math.inf, math.nan], np.float32)
LEFT, RIGHT = (v.ravel() for v in np.meshgrid(VALUES, VALUES))


def of_every_sign(x: Expr) -> list[Expr]:
    """Expressions of `x` and literals: of any sign, of one, of none but zero."""
    size, zero = op(ops.ABS, x), build.const(0.0, F32)
    found = [x, size, op(ops.NEG, size), op(ops.NEG, x), op(ops.MAX, x, zero), op(ops.MIN, x, zero)]
    return [*found, *(build.const(v, F32) for v in (1e-30, -1e-30, 0.0, -0.0))]


def reached(expr: Expr) -> Signs:
    with np.errstate(all="ignore"):
        (found,) = evaluate((expr,), {X: LEFT, Y: RIGHT}, reads_nothing)
    return Signs(bool(np.any(found < 0)), bool(np.any(found > 0)))


@pytest.mark.parametrize("name", ["neg", "tanh", "erf", "abs", "sqrt", "exp", "cosh", "sin", "log"])
def test_signs_of_functions_of_any_sign(name: str) -> None:
    for x in of_every_sign(X):
        expr = op(ops.OPS[name], x)
        found, wanted = signs(expr), reached(expr)
        assert _holds(found, wanted), expr
        if name in ("neg", "tanh", "erf"):
            assert found == wanted, expr


BINARY = (ops.ADD, ops.SUB, ops.MUL, ops.DIV, ops.MIN, ops.MAX, ops.FMIN, ops.FMAX, ops.POW)
TIGHT = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX)


@pytest.mark.parametrize("name", BINARY, ids=lambda o: o.name)
def test_signs_of_operands_of_any_sign(name: ops.Op) -> None:
    for x, y in itertools.product(of_every_sign(X), of_every_sign(Y)):
        expr = op(name, x, y)
        found, wanted = signs(expr), reached(expr)
        assert _holds(found, wanted), expr
        if name in TIGHT and not _cancels(x, y):
            assert found == wanted, expr


def _holds(found: Signs, values: Signs) -> bool:
    return all(may or not does for may, does in zip(found, values, strict=True))


def _cancels(x: Expr, y: Expr) -> bool:
    """Whether literals decide more than their signs."""
    return any(isinstance(o, Const) and o.value for o in (x, y))


def test_signs_of_both_branches() -> None:
    for x, y in itertools.product(of_every_sign(X), of_every_sign(Y)):
        one, other = signs(x), signs(y)
        wanted = Signs(one.negative or other.negative, one.positive or other.positive)
        assert signs(op(ops.SELECT, op(ops.LT, X, Y), x, y)) == wanted
