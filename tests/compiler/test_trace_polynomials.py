"""Polynomials under tracing, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.trace_oracle import check

RNG = np.random.default_rng(15)
P = RNG.standard_normal(4)
Q = RNG.standard_normal(3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_arithmetic(dtype: type) -> None:
    check(
        lambda p, q: (
            np.polyadd(p, q),
            np.polysub(q, p),
            np.polymul(p, q),
            np.polymul(p, [0, 0, 1, 2]),
            np.polyder(p),
            np.polyder(p, 2),
            np.polyint(p),
            np.polyint(p, 2),
            np.polyint(p, k=3),
            np.poly(q),
            np.polyval(p, q),
            np.polyval(p, 2),
        ),
        (P * 5).astype(dtype),
        (Q * 5).astype(dtype),
        tolerance=1e-12 if dtype is not np.float32 else 4e-6,
    )


def test_fits() -> None:
    check(
        lambda y: (
            np.polyfit(np.arange(4), y, 1),
            np.polyfit([0, 1, 2, 5], y, 2),
            np.polyfit(np.arange(4.0), np.stack([y, y * 2], 1), 1),
        ),
        P,
        tolerance=1e-11,
    )


def test_fits_at_places_that_are_data() -> None:
    x = np.sort(RNG.standard_normal(10))
    y = RNG.standard_normal(10)
    check(lambda x, y: (np.polyfit(x, y, 1), np.polyfit(x, y, 2)), x, y, tolerance=1e-8)
