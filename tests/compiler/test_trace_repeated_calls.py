"""A function for every line, and ufuncs applied in order, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import LimitError, ShapeError, UnsupportedError

RNG = np.random.default_rng(14)
F = RNG.standard_normal((3, 4, 5)).astype(np.float32)
M = RNG.standard_normal((3, 4))
INTS = RNG.integers(1, 60, (3, 40))


@pytest.mark.parametrize("x", [F, F[0], F[0, 0]], ids=["3", "2", "1"])
def test_every_line(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.apply_along_axis(np.sum, 0, x),
            np.apply_along_axis(lambda v: v * 2, 0, x),
            np.apply_along_axis(lambda v: np.array([v.min(), v.max()]), -1, x),
            np.apply_along_axis(np.sort, 0, x),
            np.apply_along_axis(lambda v: v / np.linalg.norm(v), -1, x),
            np.apply_along_axis(lambda v: v[::-1].cumsum(), 0, x),
            np.apply_along_axis(lambda v, k: np.convolve(v, k, "same"), -1, x, [1, 2, 1]),
            np.apply_along_axis(lambda v: np.diag(v), -1, x),
            np.apply_along_axis(lambda v: v[0], -1, x),
        ),
        x,
        tolerance=4e-6,
    )


def test_one_call_for_many_lines() -> None:
    many = np.ones((5000, 3))
    graph = check(lambda x: np.apply_along_axis(lambda v: v - v.mean(), 1, x), many).graph
    assert sum(1 for _ in graph.nodes()) < 10


def test_too_many_calls() -> None:
    with pytest.raises(LimitError, match="5000 times"):
        traced(lambda x: np.apply_along_axis(np.sort, 1, x), np.ones((5000, 3)))


def test_over_axes() -> None:
    check(lambda x: np.apply_over_axes(np.sum, x, [0, 2]), F)


def test_loops_over_elements() -> None:
    def function(x):
        made = np.zeros_like(x)
        for place, value in np.ndenumerate(x):
            made[place] = value * 2 + place[0]
        for i, j in np.ndindex(*x.shape):
            made[i, j] -= 1
        return made, made * np.broadcast(x, x[0]).size

    check(function, M)


@pytest.mark.parametrize("x", [M, M.astype(np.float32)], ids=["f64", "f32"])
def test_reducing_in_order(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.logaddexp.reduce(x, axis=0),
            np.logaddexp.reduce(x, axis=1, keepdims=True),
            np.subtract.reduce(x, axis=1),
            np.divide.reduce(x, axis=0),
            np.hypot.reduce(x, axis=1),
            np.fmod.reduce(x + 300, axis=1),
            np.subtract.accumulate(x, axis=1),
            np.logaddexp.accumulate(x[0]),
        ),
        x,
        tolerance=1e-5 if x.dtype == np.float32 else 1e-13,
    )


def test_reducing_integers_in_order() -> None:
    check(
        lambda x: (
            np.gcd.reduce(x[:, :3], axis=1),
            np.gcd.reduce(x[0]),
            np.subtract.reduce(x, axis=1),
            np.subtract.reduce(x.astype(np.int8), axis=0),
        ),
        INTS,
    )


def test_infinite_logarithms_and_lengths() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, -inf], [1, -inf], [inf, 1], [nan, 1], [nan, inf], [1e300, -1e300], [0, 0]])
    check(lambda x: (np.logaddexp.reduce(x, axis=1), np.hypot.reduce(x, axis=1)), x)


def test_quotients_whose_divisors_have_no_product() -> None:
    check(lambda x: np.divide.reduce(x, axis=1), np.array([[1e300, 1e200, 1e200], [0, 0, 1]]))


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda x: np.less.reduce(x), UnsupportedError, "np.less.reduce is not supported"),
        (lambda x: np.hypot.reduce(x[:0]), ShapeError, "np.hypot of an empty axis"),
        (lambda x: np.subtract.reduce(x, initial=1), UnsupportedError, "initial or where"),
    ],
)
def test_errors(function, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, M)


def test_one_axis_after_the_other_with_and_without_its_place() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)

    def summed(a: Any, axis: Any) -> Any:
        return a.sum(axis, keepdims=True)

    check(lambda x: np.apply_over_axes(np.sum, x, [0, 2]), x)
    check(lambda x: np.apply_over_axes(summed, x, [0, -1]), x)
    check(lambda x: np.apply_over_axes(lambda a, axis: np.cumsum(a, axis), x, 1), x)
