"""The first and last positions that an axis has, and the ones beyond, for each kind of index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, run, traced
from tilewright.ir.errors import BoundsError
from tilewright.ir.signature import ArraySpec

X = np.arange(12.0).reshape(4, 3)
N = tw.dim("N")
READS: dict[str, Callable[[Any, Any], Any]] = {
    "int": lambda x, n: x[n],
    "scalar": lambda x, n: x[np.int8(n)],
    "array": lambda x, n: x[np.array([n, 0])],
    "two arrays": lambda x, n: x[np.array([0, n]), np.array([0, -3])],
    "take": lambda x, n: np.take(x, [0, n], axis=0),
    "along": lambda x, n: np.take_along_axis(x, np.array([[0, 0, n]]), 0),
    "unsigned or not": lambda x, n: x[np.array([n], np.int64)],
    "written": lambda x, n: changed(x, n),
    "written by an array": lambda x, n: changed(x, np.array([n])),
    "added": lambda x, n: added(x, np.array([n, 0])),
    "deleted": lambda x, n: np.delete(x, n, axis=0),
}


def changed(x: Any, place: Any) -> Any:
    y = x.copy()
    y[place] = -1
    return y


def added(x: Any, places: Any) -> Any:
    y = x.copy()
    np.add.at(y, places, 1)
    return y


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("place", [-4, -1, 0, 3])
def test_positions_inside(name: str, place: int) -> None:
    function = READS[name]
    check(lambda x: function(x, place), X)
    made = traced(lambda x: function(x, place), X)
    assert not made.graph.checks


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("place", [-5, 4])
def test_positions_outside(name: str, place: int) -> None:
    function = READS[name]
    with pytest.raises(IndexError):
        function(X, place)
    with pytest.raises(BoundsError, match=f"index {place} is out of bounds for axis 0 with size 4"):
        traced(lambda x: function(x, place), X)


AT_RUN_TIME: dict[str, Callable[[Any, Any], Any]] = {
    "gather": lambda x, p: x[p],
    "sum": lambda x, p: x[p].sum(axis=0),
    "take": lambda x, p: np.take(x, p, axis=0),
    "scatter": changed,
    "scatter add": added,
    "element": lambda x, p: x[p[0]],
    "index form": lambda x, p: tw.compute(p.shape, lambda i: x[p[i], 0]),
}


@pytest.mark.parametrize("name", AT_RUN_TIME)
@pytest.mark.parametrize("dtype", ["i1", "i8", "u1"])
@pytest.mark.parametrize("open_axis", [False, True])
def test_positions_that_are_data(name: str, dtype: str, open_axis: bool) -> None:
    function = AT_RUN_TIME[name]
    specs: dict[str, Any] = {"x": ArraySpec(tw.f64.dtype, (N, 3))} if open_axis else {}
    symbols = {N: 4} if open_axis else None
    signed = dtype != "u1"
    inside = np.array([3, -4 if signed else 0, 0]).astype(dtype)
    check(function, X, inside, symbols=symbols, **specs)
    made = traced(function, X, inside, **specs)
    for wrong in (4, 5, *((-5,) if signed else (255,))):
        places = inside.copy()
        places[0] = wrong
        with pytest.raises(BoundsError, match=f"index {wrong} is out of bounds"):
            run(made, function, (X, places), symbols)
