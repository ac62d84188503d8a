"""What takes an int that is known while tracing: axes, lengths, shifts; and axes of scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, TraceError

X = np.arange(12.0).reshape(3, 4)
S = np.float32(3)
TAKE_INTS: dict[str, Callable[[Any, Any], Any]] = {
    "axis": lambda x, n: np.sum(x, axis=n),
    "size": lambda x, n: np.zeros(n) + x[0, 0],
    "range": lambda x, n: x * len(range(n)),
    "diagonal": lambda x, n: np.diag(x, n),
    "new axis": lambda x, n: np.expand_dims(x, n),
    "split": lambda x, n: np.split(x[:2], n + 1),
}


@pytest.mark.parametrize("name", TAKE_INTS)
@pytest.mark.parametrize("kind", [int, np.int8, np.uint16, np.int64, np.array])
def test_ints_of_every_kind(name: str, kind: Callable[[int], Any]) -> None:
    function, number = TAKE_INTS[name], kind(1)
    check(lambda x: function(x, number), X)


@pytest.mark.parametrize("name", ["axis", "range", "diagonal", "new axis"])  # others take lists
@pytest.mark.parametrize("wrong", [np.array([1]), np.array([[1]]), np.array([1, 0]), np.array(1.0)])
def test_arrays_are_no_ints(name: str, wrong: np.ndarray) -> None:
    function = TAKE_INTS[name]
    with pytest.raises(TypeError):
        function(X, wrong)
    with pytest.raises(DTypeError, match="must be an integer, not"):
        traced(lambda x: function(x, wrong), X)


def test_data_is_no_int() -> None:
    for function in TAKE_INTS.values():
        with pytest.raises(TraceError, match="but it depends on data"):
            traced(lambda x, f=function: f(x, x[0, 1].astype(np.int64)), X)


@pytest.mark.parametrize("shift", [[1], [1, 2], [-1, 5], 2, []])
@pytest.mark.parametrize("axis", [None, 0, (1, 1)])
def test_roll_by_an_array_of_shifts(shift: Any, axis: Any) -> None:
    shifts = np.array(shift, np.int8)
    if axis == (1, 1) and shift == []:
        with pytest.raises(ShapeError, match="0 shifts along 2 axes"):
            traced(lambda x: np.roll(x, shifts, axis), X)
        return
    check(lambda x: np.roll(x, shifts, axis), X)
    check(lambda x, s: np.roll(x, s, axis), X, shifts)


RUNNING = [
    *(np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.cumulative_sum, np.cumulative_prod)
]


@pytest.mark.parametrize("function", RUNNING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_a_scalar_runs_along_one_axis(function: Callable[..., Any], axis: int | None) -> None:
    check(lambda x: function(x, axis=axis), S)
    check(lambda x: function(x.sum(), axis=axis), X)


@pytest.mark.parametrize("function", RUNNING, ids=lambda f: f.__name__)
def test_a_scalar_has_no_second_axis(function: Callable[..., Any]) -> None:
    with pytest.raises(BoundsError, match="axis 1 is out of bounds"):
        traced(lambda x: function(x, axis=1), S)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("dtype", ["i1", "f4"])
def test_an_initial_value_is_in_front(axis: int, dtype: str) -> None:
    def function(x: Any) -> Any:
        return (
            np.cumulative_sum(x, axis=axis, include_initial=True),
            np.cumulative_prod(x, axis=axis, include_initial=True, dtype=np.float64),
            np.cumulative_sum(x[0], include_initial=True),
            np.cumulative_prod(x[0, 1], include_initial=True),
        )

    check(function, (X - 4).astype(dtype))


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("dtype", [None, np.uint8, np.float32])
def test_parts_are_reduced_in_the_given_dtype(axis: int, dtype: Any) -> None:
    x = np.arange(200, 240, dtype=np.uint8).reshape(5, 8)

    def function(x: Any) -> Any:
        return (
            np.add.reduceat(x, [0, 3, 1, 4], axis=axis, dtype=dtype),
            np.multiply.reduceat(x, [0, 2], axis, dtype),
            np.maximum.reduceat(x, [4, 0], axis=axis),
        )

    check(function, x)
