"""Arrays that leave the caches: their kernels are cut into bands, parts and tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw

SAMPLES = 1_500_001


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


def window(x: Any, taps: int) -> Any:
    """Sums over neighbours along the first axis."""
    size = x.shape[0] - taps + 1
    return tw.compute((size, *x.shape[1:]), lambda i, *j: tw.sum(lambda k: x[(i + k, *j)], (taps,)))


def filter_of_a_filter(x: Any) -> Any:
    return window(window(x, 7) / np.float32(7), 7)


def envelope(x: Any) -> Any:
    peaks = np.maximum(np.maximum(np.abs(x)[:-2], np.abs(x)[1:-1]), np.abs(x)[2:])
    sums = window(peaks, 3)
    return sums * sums[::-1]


def differences(x: Any) -> Any:
    roots = np.sqrt(np.abs(np.diff(x)))
    return np.sin(np.diff(roots, n=2)) * roots[1:-1]


def averages_of_neighbours(x: Any) -> Any:
    for _ in range(4):
        x = (np.concatenate([x[1:], x[:1]]) + x) * np.float32(0.5)
    return x


def standard_rows(x: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(1e-5))


def standard_columns(x: Any) -> Any:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def moving_average(x: Any) -> Any:
    sums = np.cumsum(x)
    return (sums[100:] - sums[:-100]) / np.float32(100)


def both_ways(x: Any) -> Any:
    return window(window(window(x, 5).T, 5).T, 5) / np.float32(125)


CASES = [
    (filter_of_a_filter, (SAMPLES,)),
    (filter_of_a_filter, (SAMPLES, 1)),
    (filter_of_a_filter, (1201, 1001)),
    (envelope, (SAMPLES,)),
    (differences, (SAMPLES,)),
    (averages_of_neighbours, (SAMPLES,)),
    (moving_average, (SAMPLES,)),
    (standard_rows, (SAMPLES,)),
    (standard_rows, (3, 500_003)),
    (standard_columns, (500_003, 3)),
    (both_ways, (1200, 1000)),
]


@pytest.mark.parametrize(
    ("function", "shape"), CASES, ids=lambda v: v.__name__ if callable(v) else str(v)
)
def test_results_are_right(function: Any, shape: tuple[int, ...]) -> None:
    tw.testing.check(function, (numbers(*shape),), targets=("cpu", "wasm"))
