"""Reads and writes through masks that are data, by the shapes of masks, values and other items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import KernelError, ShapeError, TraceError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 4, 4))
P, Q = RNG.integers(0, 4, (2, 4))

GATHERED: dict[str, Callable[..., Any]] = {
    "rows": lambda x, p, q: x[p[p > 1]].sum(0),
    "part of rows": lambda x, p, q: x[p[p > 1], 1:3].sum(0),
    "parts backwards": lambda x, p, q: x[p[p > 1], ::-1, :2].sum(0),
    "pairs": lambda x, p, q: x[p[p > 1], q[p > 1]].sum(0),
    "part of pairs": lambda x, p, q: x[p[p > 1], q[p > 1], ::2].sum(0),
    "positions": lambda x, p, q: x[0][np.nonzero(x[0] > 0)].prod(),
    "positions, swapped": lambda x, p, q: x[0][np.nonzero(x[0] > 0)[::-1]].sum(),
    "positions, twice": lambda x, p, q: x[0][(np.nonzero(x[0] > 0)[1],) * 2].sum(),
    "rows, twice": lambda x, p, q: x[0][(np.nonzero(x[0] > 0)[0],) * 2].sum(),
    "last axes swapped": lambda x, p, q: x[tuple(np.nonzero(x > 0)[n] for n in (0, 2, 1))].sum(),
    "positions of a plane": lambda x, p, q: x[np.nonzero(x[0] > 0)].sum(0),
    "triples": lambda x, p, q: x[p[p > 1], q[p > 1], q[p > 1]].sum(),
}


@pytest.mark.parametrize("name", GATHERED)
def test_elements_at_chosen_places(name: str) -> None:
    check(GATHERED[name], X, P, Q)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, p, q: x[p[p > 1], q[q > 1]],
        lambda x, p, q: x[p[p > 1], q],
        lambda x, p, q: x[:, p[p > 1]],
        lambda x, p, q: x[p[p > 1], 1],
        lambda x, p, q: x[p[p > 1], None],
        lambda x, p, q: x[p[p > 1], q[p > 1] > 0],
        lambda x, p, q: x[q[p > 1] > 0],
        lambda x, p, q: np.bincount(p, x[0, 0][p > 1], minlength=4),
        lambda x, p, q: np.bincount((x[0] > 0).astype(int)[p > 1], minlength=4),
        lambda x, p, q: x[x[p[p > 1]].sum(0).argmax(), p[p > 1]],
    ],
)
def test_other_items_beside_chosen_places(function: Callable[..., Any]) -> None:
    with pytest.raises(KernelError):
        traced(lambda x, p, q: function(x, p, q).sum(), X, P, Q)


Place = Callable[[Any], Any]
PLACES: dict[str, Place] = {
    "row": lambda m: m[:, 0, 0],
    "row, all": lambda m: (m[:, 0, 0], slice(None)),
    "row, part": lambda m: (m[:, 0, 0], slice(1, 3)),
    "row, int": lambda m: (m[:, 0, 0], 1),
    "row, all, int": lambda m: (m[:, 0, 0], slice(None), 1),
    "all, column": lambda m: (slice(None), m[0, 0]),
    "int, column": lambda m: (2, m[0, 0]),
    "last": lambda m: (..., m[0, 0]),
    "plane": lambda m: m[0],
    "plane, int": lambda m: (m[0], -1),
    "all, plane": lambda m: (slice(None), m[0]),
    "int, plane": lambda m: (1, m[0]),
    "new axis, plane": lambda m: (None, m[0]),
    "everywhere": lambda m: m,
    "backwards": lambda m: (slice(None, None, -1), m[0]),
}
VALUES: dict[str, Callable[[], Any]] = {
    "number": lambda: 3,
    "scalar": lambda: np.array(2.5),
    "one": lambda: np.ones(1),
    "line": lambda: np.arange(4.0),
    "two": lambda: np.arange(2.0),
    "column": lambda: np.arange(4.0)[:, None],
    "one line": lambda: np.arange(4.0)[None],
    "plane": lambda: np.arange(16.0).reshape(4, 4),
    "one plane": lambda: np.arange(16.0).reshape(1, 4, 4),
    "planes": lambda: np.arange(32.0).reshape(2, 4, 4),
}
MASK = X > 0
MASK[:, 0, 0] = [True, False, True, True]
MASK[0, 0] = [True, True, False, True]


def written(place: Place, value: Any) -> Callable[..., Any]:
    def function(x: Any, m: Any) -> Any:
        y = x.copy()
        y[place(m)] = value
        return y

    return function


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_values_written_through_masks(place: str, value: str) -> None:
    """As NumPy, or an error: where it depends on the number of True elements, always."""
    function = written(PLACES[place], VALUES[value]())
    try:
        function(X, MASK)
    except (ValueError, TypeError):
        with pytest.raises((ShapeError, TraceError)):
            traced(function, X, MASK)
        return
    said = ""
    try:
        check(function, X, MASK)
    except TraceError as error:
        said = str(error)
    assert not said or "whose number depends on data" in said
    assert not said or np.ndim(VALUES[value]()) > 0


@pytest.mark.parametrize("place", [p for p in PLACES if p != "row, all, int"])
def test_chosen_elements_changed_in_place(place: str) -> None:
    def function(x: Any, m: Any) -> Any:
        y, z = x.copy(), x.copy()
        y[PLACES[place](m)] *= -2
        z[PLACES[place](m)] = np.exp(z[PLACES[place](m)]) + 1
        return y, z

    check(function, X, MASK)


@pytest.mark.parametrize("place", ["row", "row, part", "row, int", "all, column", "everywhere"])
def test_numbers_of_any_kind_are_written(place: str) -> None:
    for value in (np.float32(2), np.ones((1, 1))[0, 0], np.array([7.0])):
        check(written(PLACES[place], value), X, MASK)


def test_masks_that_do_not_fit() -> None:
    for function in (
        lambda x, m: x[m[:3, 0, 0]].sum(),
        lambda x, m: x[:, m[0, :3]].sum(),
        lambda x, m: written(lambda m: m[:, :2, 0], 1.0)(x, m),
    ):
        with pytest.raises(IndexError):
            function(X, MASK)
        with pytest.raises(ShapeError, match="does not fit axes"):
            traced(function, X, MASK)
