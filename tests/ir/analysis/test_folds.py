"""Folds over the heads of rows give what folding each head gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tilewright.ir.analysis.error_bounds import _combine_exactly, _Evaluation
from tilewright.ir.analysis.error_rules import GPU, IEEE, Bounded, TargetClass
from tilewright.ir.analysis.folds import HEADS, WHOLE
from tilewright.ir.dtypes import BOOL, F32, F64, I32, DType

FAST = TargetClass("gpu", False, 1, True)
ODD = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, 3e38)


def rows_of(dtype: DType, seed: int) -> Bounded:
    rng = np.random.default_rng(seed)
    if not dtype.is_float:
        value = rng.integers(-99, 99, (4, 9)).astype(dtype.numpy)
        return Bounded(value, np.where(rng.random((4, 9)) < 0.1, np.inf, 0.0))
    value = rng.standard_normal((4, 9)) * 10.0 ** rng.integers(-20, 20, (4, 9))
    value[rng.random((4, 9)) < 0.1] = rng.choice(ODD)
    bound = np.abs(value) * rng.choice([0, 1e-7, 2, np.inf], (4, 9), p=[0.4, 0.5, 0.05, 0.05])
    fusible = rng.random((4, 9)) < 0.03
    return Bounded(value, np.where(np.isnan(bound), 0, bound), fusible=fusible)


def head(rows: Bounded, end: int) -> Bounded:
    fusible = np.broadcast_to(rows.fusible, rows.value.shape)
    return Bounded(rows.value[:, :end], rows.bound[:, :end], fusible=fusible[:, :end])


def assert_same(got: Bounded, at: int, wanted: Bounded) -> None:
    np.testing.assert_allclose(got.value[:, at], wanted.value, 1e-14)
    np.testing.assert_allclose(got.bound[:, at], wanted.bound, 1e-12)


@pytest.mark.parametrize("target", [IEEE, GPU, FAST])
@pytest.mark.parametrize("combiner", ["add", "mul"])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_sums_and_products(combiner: str, dtype: DType, target: TargetClass) -> None:
    evaluation = _Evaluation(target, {})
    height = np.array([0, *range(2, 10)])
    for seed in range(50):
        rows = rows_of(dtype, seed)
        with np.errstate(all="ignore"):
            got = evaluation._tree(combiner, rows, height, dtype, HEADS)
            for at in range(9):
                one = evaluation._tree(combiner, head(rows, at + 1), height[at], dtype, WHOLE)
                assert_same(got, at, one)


@pytest.mark.parametrize("target", [IEEE, GPU, FAST])
@pytest.mark.parametrize(
    ("combiner", "dtype"),
    [("max", F32), ("min", F64), ("fmax", F32), ("max", I32), ("add", I32), ("or", BOOL)],
)
def test_what_does_not_round(combiner: str, dtype: DType, target: TargetClass) -> None:
    for seed in range(50):
        rows = rows_of(dtype, seed)
        with np.errstate(all="ignore"):
            got = _combine_exactly(combiner, rows, dtype, target, HEADS)
            for at in range(9):
                one = _combine_exactly(combiner, head(rows, at + 1), dtype, target, WHOLE)
                assert_same(got, at, one)


def test_running_sums_are_those_of_twice_the_precision() -> None:
    """One after the other is off by 1e-12 here; the bounds of float64 are smaller."""
    x = np.random.default_rng(1).random(20_000) + 0.1
    got = HEADS.total(x)
    for end in (1, 2, 1000, 20_000):
        assert got[end - 1] == math.fsum(x[:end])
    with np.errstate(invalid="ignore"):
        odd = HEADS.total(np.array([1.0, np.inf, -np.inf, 1.0]))
    assert np.isnan(odd).tolist() == [False, False, True, True]
