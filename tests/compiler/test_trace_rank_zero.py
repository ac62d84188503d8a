"""Where NumPy returns arrays of rank 0 and where scalars: the traced function says the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced

V = np.array([1.5, -2.0, 3.0], np.float32)
M = np.arange(6.0).reshape(2, 3)


def kind_of(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "array"
    return "scalar" if isinstance(value, np.generic) else "python"


def agree(function: Callable[..., Any], *args: Any) -> None:
    """Values as NumPy's, and every output an array or a scalar as NumPy has it."""
    found = check(function, *args)
    expected = function(*args)
    assert [info.kind for info in found.outputs] == [kind_of(e) for e in expected]


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "ellipsis": lambda x: (x.sum()[...], x[0, ...], x[0, ...] + 1),
    "where": lambda x: (np.where(x.sum() > 0, 1, 2), np.where(x[0] > 0, x[0], 0)),
    "select": lambda x: (np.select([x[0] > 0], [x[0]], 2), np.piecewise(x[0], [x[0] > 0], [1, 2])),
    "made": lambda x: (np.array(x[0]), np.asarray(x.sum()), np.full((), x[0]), np.zeros(())),
    "like": lambda x: (np.zeros_like(x[0]), np.full_like(x[0], 2), np.copy(x[0])),
    "shapes": lambda x: (x[:1].reshape(()), np.squeeze(x[:1]), x[:1].squeeze(0)),
    "contractions": lambda x: (np.tensordot(x, x, 1), np.dot(x, x), np.einsum("i,i", x, x)),
    "scalars": lambda x: (x[0], x.sum(), x.max(), np.median(x), np.quantile(x, 0.3), x[0].copy()),
    "more scalars": lambda x: (np.clip(x[0], 0, 1), np.interp(x[0], [0, 1], [2, 3]), x[0] ** 2),
    "copies": lambda x: (np.array(x[0]).copy(), np.array(x[0]).astype(int), x[0].astype(int)),
    "of arrays": lambda x: (np.array(x[0]) + 1, np.array(x[0])[()], np.array(x[0])[...]),
    "covariances": lambda x: (np.cov(x), np.linalg.norm(x), np.isin(x[0], [1.5])),
    "known": lambda x: (np.array(2.0), np.float32(2), np.where(True, 1, 2), x),
    "quantiles": lambda x: (np.quantile(x.astype(int), 0.5, method="lower"), np.nanmedian(x)),
    "cross products": lambda x: (np.cross(x[:2], x[1:]), np.vdot(x, x)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ARRAYS)
def test_kinds(name: str) -> None:
    agree(ARRAYS[name], V)


def test_an_array_of_rank_zero_is_changed_in_place() -> None:
    def function(x):
        total = np.zeros((), np.float32)
        same = total
        total += x.sum()  # float64, which goes into the float32 that is there
        return total, same + 1

    agree(function, M)


def test_a_scalar_is_not_changed_in_place() -> None:
    def function(x):
        total = x.sum()
        before = total
        total += 1
        return total, before

    agree(function, M)


def test_its_type_is_that_of_an_array() -> None:
    def function(x):
        box, number = np.array(x[0]), x[0]
        assert isinstance(box, np.ndarray)
        assert not isinstance(number, np.ndarray)
        assert type(box) is np.ndarray
        assert type(x) is np.ndarray
        assert type(number) is np.float32
        return box

    assert traced(function, V).outputs[0].kind == "array"


def test_types_of_numbers() -> None:
    def function(x, n, a):
        assert type(n) is int
        assert type(a) is float
        assert int is int
        assert str is str
        assert isinstance(type(x), type)
        return x * n + a

    check(function, V, 2, 0.5)


def test_bools_of_python() -> None:
    def function(x, a):
        return (
            np.allclose(x, x),
            np.array_equal(x, x + 1),
            np.array_equiv(x, x[:1]),
            bool(x[0]),
            any(v > 2 for v in x),
            all(v > 2 for v in x),
            a > 0.25,
            x[0] > 0,
        )

    agree(function, V, 0.5)


def test_states_of_loops() -> None:
    def function(x):
        best, total = tw.loop(
            3, lambda i, b, t: (np.where(x[i] > b, x[i], b), t + x[i]), x[0], x[0]
        )
        return best, total

    agree(function, V)
