"""Integer division in floats gives every quotient and remainder."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.elementary_oracle import evaluate
from tilewright.ir import build, ops
from tilewright.ir.dtypes import I8, I16, I32, I64, INDEX, U8, U16, U32, DType
from tilewright.ir.expr import Apply, Var, post_order
from tilewright.ir.legal.integers import divide_in_floats, expand_integer_division
from tilewright.ir.traverse import rewrite_to_fixpoint

DIVISIONS = [ops.FLOORDIV, ops.MOD, ops.FMOD]


def operands(dtype: DType) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of 8 bits; of more, extremes, random ones, and whole multiples less and more 1."""
    info, rng = np.iinfo(dtype.numpy), np.random.default_rng(3)
    if dtype.bits == 8:
        some = np.arange(info.min, info.max + 1)
    else:
        some = np.concatenate([np.arange(-7, 8) % 2**dtype.bits, [info.max // 2, info.max // 3]])
        some = np.concatenate([some, info.max - np.arange(4), info.min + np.arange(4)])
    a, b = (grid.ravel().astype(dtype.numpy) for grid in np.meshgrid(some, some))
    half = 1 << dtype.bits // 2 - 1
    factor, divisor = rng.integers(1, half, (2, 20_000))
    near = [(factor * divisor + k).astype(dtype.numpy) for k in (-1, 0, 1)]
    drawn = rng.integers(info.min, info.max, (2, 20_000), dtype.numpy, endpoint=True)
    small = drawn[1] >> rng.integers(0, dtype.bits, 20_000).astype(dtype.numpy)
    divisors = [divisor.astype(dtype.numpy)] * 3
    return np.concatenate([a, *near, drawn[0]]), np.concatenate([b, *divisors, small])


@pytest.mark.parametrize("dtype", [I8, U8, I16, U16, I32, U32], ids=str)
@pytest.mark.parametrize("op", DIVISIONS, ids=lambda op: op.name)
def test_division_in_floats(op: ops.Op, dtype: DType) -> None:
    x, y = Var("x", dtype=dtype), Var("y", dtype=dtype)
    rules = (expand_integer_division, divide_in_floats)
    expr = rewrite_to_fixpoint(Apply(op, (x, y)), rules, {})
    used = {node.op for node in post_order([expr]) if isinstance(node, Apply)}
    assert not used & {ops.QUO, ops.REM}
    a, b = operands(dtype)
    np.testing.assert_array_equal(evaluate(expr, {x: a, y: b}), op.reference(a, b))


def test_wide_integers_are_divided_as_such() -> None:
    x, y = Var("x", dtype=I64), Var("y", dtype=I64)
    assert divide_in_floats(Apply(ops.QUO, (x, y))) is None


@pytest.mark.parametrize("op", [ops.FLOORDIV, ops.MOD], ids=lambda op: op.name)
def test_indices_are_divided_by_an_open_size_that_may_be_zero(op: ops.Op) -> None:
    """Of which processors trap, even if the quotient is never used."""
    x, size = Var("x", dtype=INDEX), Var("N", least=0)
    expr = rewrite_to_fixpoint(Apply(op, (x, size)), (expand_integer_division,), {})
    a, b = (g.ravel() for g in np.meshgrid(np.arange(-9, 10), np.arange(5)))
    divisors = []
    for node in post_order([expr]):
        if isinstance(node, Apply) and node.op in (ops.QUO, ops.REM):
            divisors.append(evaluate(node.operands[1], {x: a, size: b}))
    assert divisors
    assert all((d > 0).all() for d in divisors)
    np.testing.assert_array_equal(evaluate(expr, {x: a, size: b}), op.reference(a, b))


def test_a_size_that_is_never_zero_needs_no_guard() -> None:
    x, size = Var("x", 100), Var("N", least=1)
    expr = rewrite_to_fixpoint(Apply(ops.MOD, (x, size)), (expand_integer_division,), {})
    assert isinstance(expr, Apply)
    assert expr.op is ops.REM


@pytest.mark.parametrize("op", [ops.FLOORDIV, ops.MOD], ids=lambda op: op.name)
@pytest.mark.parametrize(
    ("low", "count"),
    [
        *((0, 100), (-1, 100), (-7, 7), (-8, 20), (-100, 50), (-700_000_000, 1_400_000_000)),
        (-300_000_000, 2_100_000_000),  # seven times enough more would not be an index any more
        (-2_000_000_000, 2**31 - 1),
    ],
)
def test_indices_on_the_way_to_a_quotient_have_32_bits(op: ops.Op, low: int, count: int) -> None:
    """As indices have on some targets; and what is divided is never negative."""
    x = Var("x", count)
    a = build.add(x, build.index(low))
    expr = rewrite_to_fixpoint(Apply(op, (a, build.index(7))), (expand_integer_division,), {})
    near = {0, 1, 7, 8, -low - 1, -low, -low + 1, -low + 7, count // 2, count - 2, count - 1}
    places = np.array(sorted(n for n in near if 0 <= n < count))
    for node in post_order([expr]):
        if not isinstance(node, Apply) or node.dtype is not INDEX:
            continue
        found = evaluate(node, {x: places})
        assert found.min() >= I32.min
        assert found.max() <= I32.max
        if node.op in (ops.QUO, ops.REM):
            dividends = evaluate(node.operands[0], {x: places})
            assert (dividends >= 0).all()
    np.testing.assert_array_equal(evaluate(expr, {x: places}), op.reference(places + low, 7))
