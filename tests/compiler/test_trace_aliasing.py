"""What shares elements with what: writes show in NumPy's views of an array, not in its copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check

X = np.random.default_rng(4).normal(size=(4, 6))

MADE_FROM: dict[str, Callable[[Any], Any]] = {
    "itself": lambda a: a,
    "slice": lambda a: a[::2, ::-1],
    "row": lambda a: a[1],
    "rows by iteration": lambda a: list(a)[1],
    "new axis": lambda a: a[:, None],
    "transpose": lambda a: a.T,
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "reshape": lambda a: a.reshape(2, -1),
    "reshape of rows": lambda a: a[1:3].reshape(-1),
    "reshape of a column": lambda a: a[:, 1:2].reshape(-1),
    "reshape of every other row": lambda a: a[::2].reshape(-1),
    "reshape of a part": lambda a: a[:, :3].reshape(-1),
    "reshape of a transpose": lambda a: a.T.reshape(-1),
    "reshape of a reversal": lambda a: a[::-1].reshape(-1),
    "reshape within rows": lambda a: a[:, ::2].reshape(4, 3, 1),
    "reshape by columns": lambda a: a.reshape(-1, order="F"),
    "ravel": lambda a: a.ravel(),
    "ravel of a transpose": lambda a: a.T.ravel(),
    "ravel of every other": lambda a: a[0, ::2].ravel(),
    "flatten": lambda a: a.flatten(),
    "diagonal by steps": lambda a: a.reshape(-1)[::7],
    "view": lambda a: a.view(),
    "asarray": lambda a: np.asarray(a),
    "array": lambda a: np.array(a),
    "contiguous": lambda a: np.ascontiguousarray(a),
    "made contiguous": lambda a: np.ascontiguousarray(a.T),
    "split": lambda a: np.split(a, 2)[1],
    "flip": lambda a: np.flip(a, 0),
    "gather": lambda a: a[[0, 1]],
    "mask": lambda a: a[np.array([True, False, True, False])],
    "astype": lambda a: a.astype(np.float64),
    "astype, no copy": lambda a: a.astype(np.float64, copy=False),
    "without NaN": lambda a: np.nan_to_num(a),
    "without NaN, in place": lambda a: np.nan_to_num(a, copy=False),
    "out": lambda a: np.abs(a, out=a),
    "roll": lambda a: np.roll(a, 1),
    "squeeze": lambda a: np.squeeze(a[:1]),
}


@pytest.mark.parametrize("name", MADE_FROM)
def test_writes_are_seen_where_numpy_shares_memory(name: str) -> None:
    make = MADE_FROM[name]

    def function(x):
        a = x.copy()
        made = make(a)
        made += 100
        after_first = a + 0
        a[0] = -1
        return after_first, a, made + 0

    check(function, X)


def test_an_element_is_read_when_it_is_indexed() -> None:
    def swapped(x):
        y = x.copy()
        first, whole = y[0, 0], y[0, 0, ...]
        y[0, 0] = y[1, 1]
        y[1, 1] = first
        return y, whole * 2

    check(swapped, X)


def test_bits_as_another_dtype() -> None:
    check(lambda x: (x.view(np.int64) >> 52, (x.view(np.int64) + 1).view(np.float64)), X)
