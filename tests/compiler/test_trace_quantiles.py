"""Order statistics under tracing, against NumPy: methods, dtypes, NaN, quantiles that are data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import ShapeError, UnsupportedError

RNG = np.random.default_rng(11)
F = RNG.standard_normal((5, 7)).astype(np.float32)
INTS = RNG.integers(-40, 40, (5, 7)).astype(np.int16)
NANS = F.copy()
NANS[1, 2] = NANS[0, 0] = np.nan
NANS[3] = np.nan
WRONG: Any = "none"
METHODS = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "hazen", "weibull"),
    *("interpolated_inverted_cdf", "linear", "median_unbiased", "normal_unbiased"),
    *("lower", "higher", "midpoint", "nearest"),
]


@pytest.mark.parametrize("values", [F, INTS, F.astype(np.float64)], ids=["f32", "i16", "f64"])
@pytest.mark.parametrize("method", METHODS)
def test_methods(method, values: np.ndarray) -> None:
    check(
        lambda x, m: (
            np.quantile(x, 0.3, method=m),
            np.quantile(x, [0, 0.25, 0.5, 1], axis=0, method=m),
            np.percentile(x, np.array([10, 99]), axis=1, method=m, keepdims=True),
        ),
        values,
        method,
    )


def test_only_python_numbers_keep_float32() -> None:
    def function(x):
        return (
            np.percentile(x, 50),
            np.percentile(x, [50]),
            np.percentile(x, np.float64(50)),
            np.quantile(x, np.array([0.5], np.float32)),
        )

    found = [info.dtype for info in check(function, F).outputs]
    assert found == [np.float32, np.float64, np.float64, np.float32]


def test_leaving_nan_out() -> None:
    check(
        lambda x: (
            np.nanmedian(x),
            np.nanmedian(x, axis=1),
            np.nanmedian(x, axis=0, keepdims=True),
            np.nanpercentile(x, 30),
            np.nanquantile(x, [0.2, 0.8], axis=1),
            np.nanpercentile(x, [25, 75], axis=(0, 1), keepdims=True),
        ),
        NANS,
    )


def test_nan_is_the_quantile_of_its_row() -> None:
    check(lambda x: (np.median(x, 1), np.percentile(x, 20, 1), np.quantile(x, [0.5])), NANS)


def test_integers_have_no_nan() -> None:
    check(lambda x: (np.nanmedian(x), np.nanquantile(x, 0.3, axis=0)), INTS)


@pytest.mark.parametrize("q", [30.0, np.array([5.0, 95.0]), np.float64(12)], ids=["n", "v", "s"])
def test_quantiles_that_are_data(q: float | np.ndarray) -> None:
    check(lambda x, q: (np.percentile(x, q), np.percentile(x, q, axis=1, keepdims=True)), F, q)


def test_out() -> None:
    def function(x):
        quartile, middle = np.zeros(7), np.zeros(7)
        np.percentile(x, 25, axis=0, out=quartile)
        np.median(x, axis=0, out=middle)
        return quartile, middle

    check(function, F)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda x: np.percentile(x, 150), ShapeError, "must lie between 0 and 100"),
        (lambda x: np.nanmedian(x[:0]), ShapeError, "np.nanmedian of an empty array"),
        (lambda x: np.quantile(x, 0.5, method=WRONG), ShapeError, "has no method 'none'"),
        (lambda x: np.quantile(x, x[0, 0], method="lower"), UnsupportedError, "of data"),
    ],
)
def test_errors(function, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, F)


def test_bins_that_fall() -> None:
    x, falling = RNG.standard_normal(20), np.array([1.0, 0.0, -1.0])
    check(lambda x: (np.digitize(x, [1, 0, -1]), np.digitize(x, [1, 0, -1], right=True)), x)
    check(lambda x: (np.digitize(x, [-1, 0, 1]), np.digitize(x, [-1, 0, 1], True)), x)
    check(lambda x, bins: (np.digitize(x, bins), np.digitize(x, bins, True)), x, falling)
    check(lambda x, bins: np.digitize(x, bins), x, falling[::-1].copy())
