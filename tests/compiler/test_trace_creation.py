"""Element-wise functions, and those that make arrays, against NumPy: one line per case."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.function_cases import INTS, NANS, Cases, M, S, U, V, W

CASES = Cases()
case = CASES.add

# Elementwise.
case(
    "where",
    lambda x: (
        np.where(x > 0, x, 0),
        np.where(x > 0, 1.0, x),
        np.where(x > 0, 1, 2),
        np.where(x, 1.5, 2),
    ),
    M,
)
case("where broadcast", lambda x, y: np.where(x[:, :1] > 0, y, 0.0), M, S[0])
case("select", lambda x: np.select([x < -1, x < 0, x < 1], [x * 2, -1, x], default=9), M)
case(
    "clip", lambda x: (np.clip(x, -1, 1), x.clip(0), np.clip(x, None, 0.5), np.clip(x, min=-0.5)), M
)
case("clip ints", lambda x: (np.clip(x, 10, 200), np.clip(x, -5, 300)), U)
case("clip arrays", lambda x, low: np.clip(x, low, low + 1), M, M[:, :1])
case(
    "round",
    lambda x: (np.round(x), np.round(x, 2), x.round(1), np.round(x * 100, -1), np.rint(x)),
    M,
)
case("round half even", lambda x: (np.round(x), round(x[0])), np.array([0.5, 1.5, 2.5, -0.5]))
case(
    "nan_to_num", lambda x: (np.nan_to_num(x), np.nan_to_num(x, nan=-1, posinf=5, neginf=-5)), NANS
)
case(
    "nan in comparisons",
    lambda x: (x == x, x != x, x < 1, np.sign(x), np.maximum(x, 0), np.fmax(x, 0)),
    NANS,
)
case("sinc", lambda x: np.sinc(x), np.array([0.0, 0.5, 1.0, -2.5]))
case(
    "isclose",
    lambda x, y: (np.isclose(x, y), np.allclose(x, x), np.array_equal(x, y)),
    M,
    M * np.float32(1.000001),
)
case("isposinf", lambda x: (np.isposinf(x), np.isneginf(-x)), NANS)
case("heaviside", lambda x: np.heaviside(x, 0.5), NANS)
case(
    "weak scalars", lambda x: (x * 2, x + 1.5, 2 - x, x / 3, x // 2, x % 2, -x, +x, abs(x), x**2), U
)
case("weak bool", lambda x: (x * True, x + True), U)
case(
    "numpy scalars", lambda x: (x * np.float64(2), np.float32(3) * x, x + np.int8(1), np.pi * x), M
)
case(
    "mixed chains",
    lambda x: ((x - x.mean()) / x.std(), np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    M,
)

# Creation.
case(
    "zeros like",
    lambda x: (
        np.zeros_like(x),
        np.ones_like(x, dtype=int),
        np.full_like(x, 7.9, dtype=np.int16),
        np.empty_like(x).shape,
    ),
    M,
)
del CASES["zeros like"]
case(
    "likes",
    lambda x: (np.zeros_like(x), np.ones_like(x, dtype=int), np.full_like(x, 7.9, dtype=np.int16)),
    M,
)
case(
    "creation",
    lambda x: (
        np.zeros(3) + x[0, 0],
        np.ones((2, 2), np.int8),
        np.full((2,), 3),
        np.full(2, 2.5, np.float32),
        np.eye(3),
        np.eye(2, 4, 1),
        np.identity(2),
    ),
    M,
)
case(
    "large creation",
    lambda x: (np.zeros((100, 100)), np.ones(5000, "f4"), np.arange(10000)[::7], np.eye(80)),
    M,
)
case("full traced", lambda x: (np.full((2, 3), x[0, 1]), np.full_like(x, x[0, 0])), M)
case(
    "arange",
    lambda x: (
        np.arange(5) * x[0],
        np.arange(1, 10, 3),
        np.arange(0, 1, 0.25),
        np.arange(5, dtype=np.float32),
    ),
    M,
)
case(
    "linspace",
    lambda x: (
        np.linspace(0, 1, 5) * x[0],
        np.linspace(x[0, 0], x[0, 1], 7),
        np.linspace(0, 5, 3, endpoint=False),
    ),
    M,
)
case("logspace", lambda x: np.logspace(0, 2, 4) + x[0, 0], M)
case("indices", lambda x: (np.indices((2, 3)), np.indices((3,), sparse=True)[0] + x[0, 0]), M)
case(
    "meshgrid",
    lambda a, b: (*np.meshgrid(a, b), *np.meshgrid(a, b, indexing="ij", sparse=True)),
    V,
    W,
)
case("mgrid", lambda x: (np.mgrid[0:4, 0:5][0] * x, np.ogrid[0:4, 0:5][1] + x), M)
case(
    "array of traced",
    lambda x: (
        np.array([x[0, 0], x[1, 1], 2.0]),
        np.array([[x[0, 0], 1], [2, x[1, 0]]]),
        np.asarray([x[0], x[1]]),
    ),
    M,
)
case("array of numbers", lambda x: np.array([1, 2, 3]) * x[:3, 0], M)
case("tri", lambda x: (np.tri(4, 5) * x, np.tri(3, 3, 1, dtype=np.int8)), M)
case("fromfunction", lambda x: np.fromfunction(lambda i, j: i * 2 + j, (4, 5)) + x, M)
case("vander", lambda x: np.vander(x, 3), V)
case(
    "astype",
    lambda x: (
        x.astype(np.int32),
        x.astype("u1"),
        x.astype(bool),
        x.astype(np.float64),
        x.astype(float),
    ),
    M[M > 0].reshape(-1)[:4],
)
case("float to int", lambda x: x.astype(np.int32), np.array([1.9, -1.9, 0.0, 1e9]))
case("scalar types", lambda x: (np.float32(x), np.int64(x), np.float64(x[0, 0])), INTS)
case(
    "shape questions",
    lambda x: (
        x * x.shape[0],
        x * x.ndim,
        x * len(x),
        x + x.size,
        x * np.shape(x)[1],
        x * x.itemsize,
    ),
    M,
)
case(
    "dtype questions",
    lambda x: (
        x.astype(np.float64) if x.dtype == np.float32 and np.issubdtype(x.dtype, np.floating) else x
    ),
    M,
)
case("finfo", lambda x: x + np.finfo(x.dtype).eps, M)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    CASES.check(name)
