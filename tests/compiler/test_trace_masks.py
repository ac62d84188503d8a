"""Reading through masks that are data: what has a meaning without an array of unknown size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 5))
LINE = RNG.normal(size=12)
PLACES = RNG.integers(0, 12, 12)


def changed(x, change):
    y = x.copy()
    change(y)
    return y


def assigned(x):
    y, z = x.copy(), np.zeros_like(x)
    mask = x > 0
    y[mask] = np.exp(y[mask]) - 1
    z[mask], z[~mask] = (2 * x)[mask], x[~mask]
    return y, z


def assigned_by_equal_masks(x):
    y = x.copy()
    y[y < 0] += 1
    y[y > 0] = y[y > 0] ** 2
    return y


def rows_and_columns(x):
    y = x.copy()
    rows, columns = x[:, 0] > 0, x[0] > 0
    y[rows] = y[rows] - y[rows].mean(axis=0)
    y[rows, 1] = 3
    y[rows, 2:] += 1
    y[:, columns] *= -1
    y[~rows] = np.arange(5)
    return y, x[rows, 1].max(), x[rows][:, 1:3].sum(0), x[:, columns].mean(axis=1)


def reduced(x):
    chosen = x[x > 0]
    return (
        (chosen.sum(), chosen.prod(), chosen.mean(), chosen.std(), chosen.var(ddof=1)),
        (chosen.min(), chosen.max(), (chosen > 1).any(), np.all(chosen > 0), chosen.size),
        (len(chosen), chosen.shape[0], np.dot(chosen, chosen), chosen @ chosen),
        (np.count_nonzero(chosen > 1), np.sum(np.abs(chosen - 1)), (1 - chosen).astype(int).sum()),
    )


def along_axes(x):
    rows = x[x[:, 0] > 0]
    return rows.sum(0), rows.sum(axis=1).max(), rows.mean(axis=(0, 1)), rows.max(axis=-1).min()


def through_positions(x):
    y = x.copy()
    i, j = np.where(y > 0)
    y[i, j] = 7
    y[np.nonzero(y < -1)] = 0
    return y, i.mean(), j.max(), len(i), np.flatnonzero(x > 0).sum()


def gathered(x, places):
    chosen = places[places > 3]
    return x[chosen].sum(), (x[chosen] * chosen).max()


def taken_when_read(x):
    y = x.copy()
    mask = y > 0
    before = y[mask]
    y[mask] = 0
    mask[:] = False
    return before.sum(), y[x > 0].sum()


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "assigned": (assigned, (X,)),
    "assigned by equal masks": (assigned_by_equal_masks, (X,)),
    "rows and columns": (rows_and_columns, (X,)),
    "reduced": (reduced, (X,)),
    "along axes": (along_axes, (X,)),
    "through positions": (through_positions, (X,)),
    "gathered": (gathered, (LINE, PLACES)),
    "taken when read": (taken_when_read, (X,)),
    "known": (lambda x: x[np.tri(6, 5, dtype=bool)], (X,)),
    "nothing chosen": (lambda x: (x[x > 99].sum(), x[x > 99].size, x[x > 99].mean()), (X,)),
    "bins": (lambda i: np.bincount(i[i > 3], minlength=12), (PLACES,)),
    "weights": (lambda i, x: np.bincount(i[i > 3], x[i > 3], 12), (PLACES, LINE)),
}


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    function, args = CASES[name]
    check(function, *args)


@pytest.mark.parametrize(
    ("function", "use"),
    [
        (lambda x: x[x > 0], "returning it"),
        (lambda x: np.sort(x[x > 0]), "np.sort of it"),
        (lambda x: x[x > 0] + x[x < 1], "elements chosen by another mask"),
        (lambda x: x[x > 0].reshape(-1, 1), "its reshape"),
        (lambda x: sum(x[x > 0]), "a Python loop over it"),
        (lambda x: np.concatenate([x[x > 0], x[0]]), "np.concatenate of it"),
        (lambda x: x[x > 0] * x[0], "an array of as many axes"),
        (lambda x: changed(x, lambda y: y.__setitem__(y > 0, y[y < 1])), "through another mask"),
    ],
)
def test_what_needs_the_size(function: Callable[..., Any], use: str) -> None:
    with pytest.raises(tw.TraceError, match="the size of x\\[mask\\] depends on data") as caught:
        traced(function, X)
    assert use in caught.value.message
    assert caught.value.loc is not None
    assert "np.where(mask, x, 0)" in str(caught.value.help)


@pytest.mark.parametrize(
    ("function", "use"),
    [
        (lambda x: np.where(x > 0)[0][0], "indexing it"),
        (lambda x: np.nonzero(x > 0)[0], "returning it"),
        (lambda x: (x > 0).nonzero()[0], "returning it"),
    ],
)
def test_what_needs_the_number_of_positions(function: Callable[..., Any], use: str) -> None:
    with pytest.raises(tw.TraceError, match="how many positions") as caught:
        traced(function, X)
    assert f"so {use} cannot be compiled" in caught.value.message
    assert "np.where(condition, a, b)" in str(caught.value.help)


@pytest.mark.parametrize("x", [X, (X * 9).astype(np.int32)], ids=["f32", "i32"])
def test_chosen_elements_in_place_keep_their_dtype(x: np.ndarray) -> None:
    def function(x):
        z = x.copy()
        z[z > 1] *= 2
        z[z < 0] += np.int8(1)
        return z

    check(function, x)


def test_chosen_elements_do_not_take_another_kind() -> None:
    def function(x):
        z = x.astype(np.uint8)
        z[z > 1] *= 1.5
        return z

    with pytest.raises(tw.DTypeError, match="makes float64, which does not go into uint8"):
        traced(function, X)


def test_the_best_of_nothing_is_an_error_as_in_numpy() -> None:
    best = tw.kernel(lambda x: x[x > 0].max())
    assert best(np.array([-1.0, 2.0])) == 2
    with pytest.raises(tw.BoundsError):
        best(np.array([-1.0, -2.0]))


def test_masks_that_do_not_fit() -> None:
    with pytest.raises(tw.ShapeError, match=r"a mask of shape \(5,\) does not fit axes of shape"):
        traced(lambda x: x[x[0] > 0].sum(), X)
