"""Counting, views by strides, `np.r_` and `np.c_`, and other functions of known result shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import tilewright as tw
from tests.compiler.trace_oracle import check, traced

RNG = np.random.default_rng(6)
X = RNG.normal(size=40)
Y = RNG.normal(size=40)
INDEX = RNG.integers(0, 7, 40)
IMAGE = RNG.integers(0, 256, (9, 8)).astype(np.uint8)
GRID = RNG.normal(size=(8, 6))
EDGES = [-2.0, -1.0, 0.0, 0.5, 2.0]

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "bincount": (lambda i: np.bincount(i, minlength=7), (INDEX,)),
    "bincount longer": (lambda i: np.bincount(i, minlength=9), (INDEX,)),
    "bincount weights": (lambda i, x: np.bincount(i, weights=x, minlength=7), (INDEX, X)),
    "bincount bytes": (lambda m: np.bincount(m.ravel(), minlength=256), (IMAGE,)),
    "histogram": (lambda x: np.histogram(x), (X,)),
    "histogram f32": (lambda x: np.histogram(x, 7), (X.astype(np.float32),)),
    "histogram range": (lambda m: np.histogram(m, 256, (0, 256)), (IMAGE,)),
    "histogram edges": (lambda x: np.histogram(x, bins=EDGES), (X,)),
    "histogram density": (lambda x: np.histogram(x, 8, (-3, 3), density=True), (X,)),
    "histogram weights": (lambda x, y: np.histogram(x, 5, weights=y), (X, Y)),
    "histogram flat": (lambda x: np.histogram(x * 0 + 1, 4), (X,)),
    "histogram 2d": (lambda x, y: np.histogram2d(x, y, 4, [[-2, 2], [-1, 1]]), (X, Y)),
    "histogram 2d bins": (lambda x, y: np.histogram2d(x, y, (4, 3)), (X, Y)),
    "windows": (lambda g: as_strided(g, (6, 4, 3, 3), g.strides + g.strides), (GRID,)),
    "frames": (lambda x: as_strided(x, (9, 8), (x.strides[0] * 4, x.strides[0])), (X,)),
    "tiles": (lambda g: as_strided(g, (4, 3, 2, 2), (96, 16, 48, 8)).max((2, 3)), (GRID,)),
    "repeated": (lambda x: as_strided(x, (3, 40), (0, 8)), (X,)),
    "reduceat": (lambda x: np.add.reduceat(x, [0, 10, 5, 39]), (X,)),
    "reduceat dtype": (lambda i: np.add.reduceat(i, [0, 5, 20], dtype=np.float32), (INDEX,)),
    "reduceat bytes": (lambda m: np.add.reduceat(m[0], [0, 3]), (IMAGE,)),
    "reduceat axis": (lambda g: np.maximum.reduceat(g, np.arange(0, 6, 2), axis=1), (GRID,)),
    "r_": (lambda x, y: np.r_[x[1:], x[0], 0:3, y], (X, Y)),
    "c_": (lambda x, y: np.c_[np.ones(40), x, y], (X, Y)),
    "c_ rows": (lambda g: np.c_[g, g[:, :1]], (GRID,)),
    "flat": (lambda g: (g.flat[3], g.flat[np.argmax(g)]), (GRID,)),
    "choose": (lambda i, x, y: np.choose(i % 3, [x, y, 0.0]), (INDEX, X, Y)),
    "bits": (lambda m: np.unpackbits(m, axis=1), (IMAGE,)),
    "little bits": (lambda m: np.unpackbits(m, bitorder="little"), (IMAGE,)),
    "cov": (lambda x, y: (np.cov(x, y), np.corrcoef(x, y)), (X, Y)),
    "range": (lambda g: g[range(3), range(2, 5)], (GRID,)),
    "hasattr": (lambda x: x if hasattr(np, "no_such_name") else x * 2, (X,)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    function, args = CASES[name]
    check(function, *args, tolerance=3e-6 if "f32" in name else 1e-12)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda i: np.bincount(i), tw.UnsupportedError, "the size of np.bincount(x)"),
        (lambda i: np.histogram(i, bins="auto"), tw.UnsupportedError, "'auto' chooses"),
        (lambda i: as_strided(i, (9, 8), (40, 8)), tw.BoundsError, "reads position 47 of axis 0"),
        (lambda i: as_strided(i, (2, 2), (3, 8)), tw.UnsupportedError, "a stride of 3 bytes"),
        (lambda i: np.add.reduceat(i, [0, 40]), tw.BoundsError, "must be in 0 … 39"),
        (lambda i: np.r_["0,2", i, i], tw.UnsupportedError, "directives in a string"),
        (lambda i: np.vectorize(lambda v: v)(i), tw.UnsupportedError, "np.vectorize is not"),
    ],
)
def test_what_is_refused(function: Callable[..., Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        traced(function, INDEX)
    assert message in str(caught.value)


@pytest.mark.parametrize("bad", [-1, 7])
def test_values_outside_of_the_table(bad: int) -> None:
    count = tw.kernel(lambda i: np.bincount(i, minlength=7))
    choose = tw.kernel(lambda i, x: np.choose(i, [x] * 7))
    index = np.array([1, bad, 3])
    for kernel, args in ((count, ()), (choose, (X[:3],))):
        with pytest.raises(tw.BoundsError, match=f"index {bad} is out of bounds"):
            kernel(index, *args)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_edges_of_several_dimensions(dtype: type) -> None:
    x, y = (RNG_OF_EDGES.standard_normal((2, 50)) * 2).astype(dtype)
    check(
        lambda x, y: (
            np.histogram2d(x, y, bins=(5, 4), range=((-2, 2), (-2, 2))),
            np.histogram2d(x, y, bins=4),
            np.histogram2d(x, y, bins=[[0, 1, 2], [0, 2, 4]]),
            np.histogram2d(x, y, 3, density=True),
            np.histogram2d(x, y, bins=[2, 3], range=[None, [0, 4]]),  # type: ignore[list-item]
        ),
        x,
        y,
    )
    check(
        lambda s: (
            np.histogramdd(s, bins=3),
            np.histogramdd(s, bins=(2, 3), range=[(-2, 2)] * 2, density=True),
            np.histogramdd((s[:, 0], s[:, 1]), bins=2),
        ),
        np.stack([x, y], 1),
    )


RNG_OF_EDGES = np.random.default_rng(16)
