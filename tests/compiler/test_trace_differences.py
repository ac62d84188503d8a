"""Differences, gradients, phases and periodic interpolation under tracing, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import DTypeError, KernelError, ShapeError

RNG = np.random.default_rng(12)
F = RNG.standard_normal((4, 5)).astype(np.float32)
INTS = RNG.integers(-20, 20, (4, 5)).astype(np.int32)
ALL = pytest.mark.parametrize(
    "x",
    [F, F.astype(np.float64), INTS, np.abs(INTS).astype(np.uint8)],
    ids=["f32", "f64", "i", "u"],
)


@ALL
def test_gradients_at_numbers(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.gradient(x),
            np.gradient(x, 2.0, axis=1),
            np.gradient(x, 1, np.float64(2)),
            np.gradient(x, edge_order=2),
            np.gradient(x, 0.5, axis=0, edge_order=2),
            np.gradient(x, axis=(1, 0)),
        ),
        x,
        tolerance=4e-6,
    )


@ALL
def test_gradients_at_places(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.gradient(x[0], np.arange(5.0) ** 2),
            np.gradient(x[0], np.arange(5) * 2),
            np.gradient(x, np.arange(4.0) ** 2, np.arange(5.0)),
            np.gradient(x, np.arange(5.0) ** 2, axis=1, edge_order=2),
        ),
        x,
        tolerance=4e-6,
    )


def test_gradients_at_places_that_are_data() -> None:
    places = np.sort(RNG.standard_normal(5))
    check(
        lambda x, p: (np.gradient(x[0], p), np.gradient(x, p, axis=1, edge_order=2)),
        F.astype(np.float64),
        places,
        tolerance=1e-12,
    )


def test_ends_in_the_dtype_of_the_array() -> None:
    check(lambda x: (np.ediff1d(x, to_begin=0, to_end=[1, 2]), np.ediff1d(x)), INTS)
    check(lambda x: np.ediff1d(x, 1.5, np.float32(2)), F)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unwrapping(dtype: type) -> None:
    x: np.ndarray = (RNG.standard_normal((3, 12)) * 5).astype(dtype)
    check(
        lambda x: (
            np.unwrap(x),
            np.unwrap(x, axis=0),
            np.unwrap(x, period=3.0),
            np.unwrap(x, discont=4),
        ),
        x,
        tolerance=1e-5 if dtype is np.float32 else 1e-13,
    )


def test_periodic_interpolation() -> None:
    x, knots = RNG.standard_normal(6) * 3, np.array([3.0, 1.0, 2.0, 0.5])
    check(
        lambda x, xp, fp: (
            np.interp(x, xp, fp, period=4),
            np.interp(x, xp, fp, period=-2.5),
            np.interp(1.5, xp, fp, period=3),
        ),
        x,
        knots,
        RNG.standard_normal(4),
        tolerance=1e-12,
    )


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda x: np.gradient(x, np.arange(3)), ShapeError, "as long as the axis"),
        (lambda x: np.gradient(x, 1, 2, 3), DTypeError, "one spacing for all axes, or one per"),
        (lambda x: np.gradient(x[:1], axis=0), ShapeError, "at least 2 elements"),
        (lambda x: np.gradient(x > 0), DTypeError, "np.subtract is not defined on bool"),
        (lambda x: np.ediff1d(x.astype(int), to_end=0.5), DTypeError, "must be compatible"),
    ],
)
def test_errors(function, kind: type[KernelError], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, F)
