"""`np.linalg` by elimination, against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_square_systems(size: int) -> None:
    a = RNG.normal(size=(size, size))
    b = RNG.normal(size=(size, 2))
    check(lambda a, b: np.linalg.solve(a, b), a, b, tolerance=1e-11)
    check(lambda a, b: np.linalg.solve(a, b[:, 0]), a, b, tolerance=1e-11)
    check(lambda a: (np.linalg.inv(a), np.linalg.det(a)), a, tolerance=1e-11)
    check(lambda a: tuple(np.linalg.slogdet(a)), a, tolerance=1e-11)
    check(lambda a: np.linalg.cholesky(a @ a.T + np.eye(len(a))), a, tolerance=1e-11)
    check(lambda a: np.linalg.cholesky(a @ a.T + np.eye(len(a)), upper=True), a, tolerance=1e-11)


def test_batches_and_dtypes() -> None:
    a = RNG.normal(size=(2, 3, 4, 4)) + 3 * np.eye(4)
    b = RNG.normal(size=(3, 4, 1))
    check(lambda a, b: np.linalg.solve(a, b), a, b, tolerance=1e-12)
    check(lambda a: (np.linalg.inv(a), np.linalg.det(a)), a, tolerance=1e-12)
    check(lambda a: np.linalg.inv(a), a.astype(np.float32), tolerance=1e-4)
    check(lambda i: np.linalg.det(i), RNG.integers(-4, 5, (3, 3)), tolerance=1e-12)


def test_rows_are_exchanged() -> None:
    a = np.array([[0.0, 1, 0], [0, 0, 2], [3, 0, 0]])
    check(lambda a: (np.linalg.inv(a), np.linalg.det(a)), a)
    check(lambda a: np.linalg.det(a), np.ones((3, 3)))


def test_what_is_refused() -> None:
    with pytest.raises(tw.ShapeError, match=r"takes square matrices, not shape \(2, 3\)"):
        traced(lambda a: np.linalg.inv(a), np.ones((2, 3)))
    with pytest.raises(tw.ShapeError, match="takes matrices"):
        traced(lambda a: np.linalg.det(a), np.ones(3))
    with pytest.raises(tw.ShapeError, match="cannot solve"):
        traced(lambda a, b: np.linalg.solve(a, b), np.ones((3, 3)), np.ones((2, 1)))
