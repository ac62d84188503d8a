"""Division of int64 by a literal through its reciprocal gives every quotient and remainder."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64, U64, DType
from tilewright.ir.expr import Apply, Var, post_order
from tilewright.ir.legal.reciprocals import multiply_by_reciprocal
from tilewright.ir.traverse import rewrite_to_fixpoint

LARGEST = (1 << 63) - 1
DIVISORS = [1, 2, 3, 5, 6, 7, 10, 641, 1 << 31, (1 << 32) - 1, (1 << 32) + 1, 10**18, 3 << 60]
DIVISORS += [1 << 62, LARGEST - 1, LARGEST, *np.random.default_rng(0).integers(3, LARGEST, 9)]


def numerators(divisor: int) -> np.ndarray:
    """Extremes, random numbers of every size, and multiples of `divisor` less and more 1."""
    rng = np.random.default_rng(1)
    drawn = rng.integers(-LARGEST - 1, LARGEST, 4000, endpoint=True)
    drawn >>= rng.integers(0, 64, 4000)
    near = drawn - drawn % divisor
    small = np.arange(-40, 41)
    ends = np.concatenate([np.arange(40) - LARGEST - 1, LARGEST - np.arange(40)])
    with np.errstate(over="ignore"):
        return np.concatenate([small, ends, drawn, near - 1, near, near + 1])


@pytest.mark.parametrize("divisor", [int(d) for d in DIVISORS])
@pytest.mark.parametrize("op", [ops.FLOORDIV, ops.MOD], ids=lambda op: op.name)
def test_every_quotient(op: ops.Op, divisor: int) -> None:
    x = Var("x", dtype=I64)
    division = Apply(op, (x, build.const(divisor, I64)))
    found = rewrite_to_fixpoint(division, (multiply_by_reciprocal,), {})
    slow = (ops.FLOORDIV, ops.MOD, ops.QUO, ops.REM)
    assert not any(isinstance(n, Apply) and n.op in slow for n in post_order((found,)))
    values = numerators(divisor)
    expected = values // divisor if op is ops.FLOORDIV else values % divisor
    np.testing.assert_array_equal(evaluate(found, {x: values}), expected)


@pytest.mark.parametrize(("dtype", "divisor"), [(I64, 0), (I64, -7), (I32, 7), (U64, 7)], ids=str)
def test_other_divisions_are_left_alone(dtype: DType, divisor: int) -> None:
    x = Var("x", dtype=dtype)
    assert multiply_by_reciprocal(Apply(ops.MOD, (x, build.const(divisor, dtype)))) is None
