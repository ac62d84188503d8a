"""Numbers in steps and other shapes where sizes are open, and inside of index functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

N = tw.dim("n")
X = np.arange(11.0) ** 2

# Functions of an array of any length: NumPy takes them as they stand.
GRIDS: dict[str, Callable[[Any], Any]] = {
    "from 0": lambda x: np.arange(x.shape[0]),
    "in steps": lambda x: np.arange(0, x.shape[0], 3),
    "from 1 in steps": lambda x: np.arange(1, x.shape[0], 3),
    "from a negative": lambda x: np.arange(-5, x.shape[0], 4),
    "from the size": lambda x: np.arange(x.shape[0], 40, 6),
    "to a multiple": lambda x: np.arange(2, 2 * x.shape[0] + 2, 2),
    "narrow": lambda x: np.arange(1, x.shape[0], 2, dtype=np.int16),
    "as floats": lambda x: np.arange(1, x.shape[0], 2, dtype=np.float32),
    "nothing": lambda x: np.arange(50, x.shape[0], 7),
    "gathered by": lambda x: x[np.arange(1, x.shape[0], 3)],
    "an element": lambda x: tw.compute((2,), lambda i: np.arange(1, x.shape[0], 3)[i]),
    "an element that gathers": lambda x: tw.compute(
        (2,), lambda i: x[np.arange(1, x.shape[0], 3)[i]]
    ),
    "many": lambda x: tw.compute((3,), lambda i: np.arange(2, 20000, 3)[i] + x[i]),
    "many downwards": lambda x: tw.compute((3,), lambda i: np.arange(20000, 2, -3)[i] + x[i]),
}


@pytest.mark.parametrize("open_size", [False, True], ids=["known", "open"])
@pytest.mark.parametrize("name", GRIDS)
def test_numbers_in_steps(name: str, open_size: bool) -> None:
    function = GRIDS[name]
    kernel = tw.kernel(function).compile(tw.f64[N] if open_size else X)
    for length in (11, 12, 13) if open_size else (11,):
        x = np.arange(float(length)) ** 2
        got, want = kernel(x), function(x)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("open_size", [False, True], ids=["known", "open"])
def test_numbers_in_steps_by_the_index(open_size: bool) -> None:
    """Arrays within an index function have axes of their own: NumPy cannot run this."""

    def function(x: Any) -> Any:
        return tw.compute((4,), lambda i: np.sum(np.arange(1, x.shape[0], 3) * (i + 1)))

    kernel = tw.kernel(function).compile(tw.f64[N] if open_size else X)
    for length in (11, 14) if open_size else (11,):
        want = [np.sum(np.arange(1, length, 3) * (i + 1)) for i in range(4)]
        np.testing.assert_array_equal(kernel(np.zeros(length)), want)


# Other shapes of arrays that are made from the index.


def reshaped_by_index(shape: tuple[int, ...]) -> Callable[[Any, tuple[Any, ...]], Any]:
    def function(x: Any, sizes: tuple[Any, ...]) -> Any:
        return tw.compute((3, *sizes), lambda i, *at: (x * (i + 1)).reshape(shape)[at])

    return function


@pytest.mark.parametrize(
    ("shape", "other"),
    [
        ((2, 3, 4), (-1,)),
        ((2, 3, 4), (6, 4)),
        ((2, 3, 4), (4, 6)),
        ((2, 3, 4), (3, 2, 4)),
        ((4, 6), (2, 3, 4)),
        ((24,), (3, 8)),
        ((3, 5), (5, 3)),
    ],
)
def test_other_shapes(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    values = np.arange(float(np.prod(shape))).reshape(shape)
    sizes = values.reshape(other).shape
    function = reshaped_by_index(other)
    want = [(values * (i + 1)).reshape(other) for i in range(3)]
    np.testing.assert_array_equal(tw.kernel(lambda x: function(x, sizes))(values), want)


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 6), (5, 1, 3)])
def test_flat_where_sizes_are_open(shape: tuple[int, ...]) -> None:
    function = reshaped_by_index((-1,))
    spec = tw.f64[tuple(tw.dim(f"n{k}") for k in range(len(shape)))]
    kernel = tw.kernel(lambda x: function(x, (x.size,))).compile(spec)
    values = np.arange(float(np.prod(shape))).reshape(shape)
    want = [values.ravel() * (i + 1) for i in range(3)]
    np.testing.assert_array_equal(kernel(values), want)
