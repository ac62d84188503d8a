"""`np.clip` by the dtypes of arrays and bounds, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced

DTYPES = ["i1", "u1", "i4", "u8", "f2", "f4", "f8"]


def sample(dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.array([-3.5, 0, 2.25, np.nan, np.inf, -np.inf], kind)
    info = np.iinfo(kind)
    return np.array([info.min, info.min + 1, 0, 5, info.max - 1, info.max], kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 4), (None, 4), (1, None), (4, 1), (-1, 300), (0, 255), (-128, 127), (-129, 2**31), (0, 3)],
)
def test_ints(dtype: str, low: Any, high: Any) -> None:
    check(lambda x: (np.clip(x, low, high), x.clip(low, high)), sample(dtype))
    check(lambda x: np.clip(x, min=low, max=high), sample(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_and_floats(dtype: str) -> None:
    low, high = np.array([0, 1, 2, 3, 4, 5], dtype), np.array([1, 1, 1, 9, 9, 9], dtype)
    check(lambda x, a, b: (np.clip(x, a, b), np.clip(x, a, 7), np.clip(x, None, b)), low, low, high)
    check(lambda x: (np.clip(x, 0.5, 2.5), np.clip(x, np.float32(1), None)), sample(dtype))
    check(lambda x: np.clip(x, 1, 4, out=np.zeros(6, x.dtype)), sample(dtype))


@pytest.mark.parametrize(
    ("dtype", "low", "high", "compared"),
    [
        ("u1", 0, 255, 0),
        ("u1", -1, 300, 0),
        ("u1", 1, 255, 1),
        ("u1", 0, 254, 1),
        ("i1", -128, 127, 0),
        ("i1", -127, 127, 1),
        ("i1", -128, 126, 1),
        ("f4", 0, 255, 2),
    ],
)
def test_bounds_that_bind_nothing_cost_nothing(
    dtype: str, low: int, high: int, compared: int
) -> None:
    text = str(traced(lambda x: np.clip(x, low, high), sample(dtype)).graph)
    assert text.count("max(") + text.count("min(") == compared
