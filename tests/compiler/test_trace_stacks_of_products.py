"""Products of stacks of matrices and vectors, by the ranks of both, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import ShapeError

RNG = np.random.default_rng(4)
VECDOT: Any = np.vecdot


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (np.matvec, (3, 4), (4,)),
        (np.matvec, (5, 3, 4), (4,)),
        (np.matvec, (5, 3, 4), (5, 4)),
        (np.matvec, (2, 1, 3, 4), (5, 4)),
        (np.matvec, (3, 4), (5, 4)),
        (np.vecmat, (4,), (4, 3)),
        (np.vecmat, (5, 4), (4, 3)),
        (np.vecmat, (4,), (5, 4, 3)),
        (np.vecmat, (2, 1, 4), (5, 4, 3)),
        (np.vecdot, (5, 4), (4,)),
        (np.vecdot, (2, 1, 4), (5, 4)),
        (np.matmul, (2, 1, 3, 4), (5, 4, 2)),
        (np.matmul, (4,), (5, 4, 2)),
        (np.matmul, (2, 5, 3, 4), (4,)),
        (np.dot, (2, 3, 4), (5, 4, 6)),
        (np.dot, (4,), (5, 4, 6)),
        (np.dot, (2, 3, 4), (4,)),
        (np.inner, (2, 3, 4), (5, 4)),
        (np.inner, (4,), (2, 5, 4)),
        (np.outer, (2, 3), (4,)),
        (np.kron, (2, 3), (4,)),
        (np.kron, (3,), (2, 1, 4)),
    ],
)
def test_ranks(
    function: Callable[..., Any], first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    check(lambda a, b: function(a, b), normal(*first), normal(*second), tolerance=1e-13)


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (np.matmul, (3, 4), (3, 4)),
        (np.matmul, (2, 3, 4), (3, 4, 5)),
        (np.matmul, (4,), (5,)),
        (np.matmul, (), (4,)),
        (np.dot, (2, 3, 4), (5, 3, 6)),
        (np.vecdot, (3, 4), (3,)),
        (np.matvec, (3, 4), (3,)),
        (np.inner, (3, 4), (4, 3)),
    ],
)
def test_axes_that_do_not_match(
    function: Callable[..., Any], first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    a, b = normal(*first), normal(*second)
    with pytest.raises(ValueError, match=r".+"):
        function(a, b)
    with pytest.raises(ShapeError):
        traced(lambda a, b: function(a, b), a, b)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_vecdot_along_an_axis(axis: int) -> None:
    for function in (np.linalg.vecdot, VECDOT):
        check(lambda a, b, f=function: f(a, b, axis=axis), normal(3, 4), normal(3, 4))
