"""What a kernel reads from outside, and what leaves a part of it: captured values and bodies."""

from __future__ import annotations

import linecache
import math
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced
from tilewright.compiler import tracer
from tilewright.compiler.gpu_results import deliver
from tilewright.ir.errors import (
    DTypeError,
    KernelError,
    LimitError,
    ShapeError,
    TraceError,
    UnsupportedError,
)

RNG = np.random.default_rng(15)
X = RNG.normal(size=(4, 6))
Pair = namedtuple("Pair", ["left", "right"])
PAIR = Pair(2.0, np.arange(6.0))
GREATEST = max
FLOAT = np.float32
MATRIX = np.array([[2.0, 1.0], [1.0, 3.0]])
FORMS: Any = partial(np.sum, axis=0)
MANY = list(range(10_001))
READ_ONLY = np.broadcast_to(np.float64(3), 6)


class Scale:
    factor = 3.0

    def apply(self, x: Any) -> Any:
        return x * self.factor

    @classmethod
    def of(cls, x: Any) -> Any:
        return x + cls.factor


BOUND = Scale().apply
CAPTURED: dict[str, Callable[[Any], Any]] = {
    "named tuple": lambda x: x * PAIR.left + PAIR.right + Pair(1, x).right,
    "built-in": lambda x: GREATEST(x[0, 0], x[0, 1]),
    "type": lambda x: (x.astype(FLOAT), FLOAT(2) * x[0, 0], x * (np.float32 == FLOAT)),
    "bound method": lambda x: (BOUND(x), Scale.of(x), Scale().apply(x)),
    "partial": lambda x: FORMS(x),
    "long list": lambda x: x * MANY[3] + len(MANY),
    "known decompositions": lambda x: (
        x * np.linalg.slogdet(MATRIX).logabsdet + np.linalg.inv(MATRIX)[0, 0]
    ),
    "known results": lambda x: x * np.divmod(7, 2)[0] + np.add(np.arange(6), 1, out=np.zeros(6)),
    "mathematics of known values": lambda x: x * math.gcd(12, 8) + math.hypot(*PAIR.right[3:5]),
    "read-only": lambda x: x + READ_ONLY,
    "built-in body": lambda x: tw.loop(3, max, 1),
    "types in tuples": lambda x: x * isinstance(x, (np.ndarray, list)) + isinstance(2, (int, str)),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_values(name: str) -> None:
    check(lambda x: CAPTURED[name](x), X)


def test_a_kernel_of_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any) -> Any:
        for _ in range(20):
            x = x + 1
        return x

    count = 20
    monkeypatch.setattr(tracer, "NODE_LIMIT", count)
    check(function, X)
    monkeypatch.setattr(tracer, "NODE_LIMIT", count - 1)
    with pytest.raises(LimitError, match="the kernel has more than 19 operations"):
        traced(function, X)


LEAKED: list[Any] = []


def leaks(x: Any) -> Any:
    LEAKED.append(x + 1)
    return x


def leaks_from_loop(x: Any) -> Any:
    held: list[Any] = []

    def body(i: Any, s: Any) -> Any:
        held.append(s + 1)
        return s * 2

    tw.loop(2, body, x)
    return held[0]


def test_values_that_leave_where_they_belong() -> None:
    with pytest.raises(TraceError, match="the kernel changes 'LEAKED', which lives outside of it"):
        traced(leaks, X)
    with pytest.raises(TraceError, match="from inside of a loop body is used outside of it"):
        traced(leaks_from_loop, X)


TABLE: dict[str, Any] = {}


def stores(x: Any) -> Any:
    def inner() -> None:
        TABLE["x"] = x

    inner()
    return x


def grows(x: Any) -> Any:
    if len(LEAKED) < 100:  # reads are not what is meant
        LEAKED.extend([1, 2])
    return x


@pytest.mark.parametrize(
    ("function", "line", "place"),
    [(leaks, 1, "LEAKED.append"), (stores, 2, 'TABLE["x"]'), (grows, 2, "LEAKED.extend")],
)
def test_changes_are_shown_where_they_are_made(function: Any, line: int, place: str) -> None:
    with pytest.raises(TraceError) as caught:
        traced(function, X)
    loc = caught.value.loc
    assert loc is not None
    assert loc.line == function.__code__.co_firstlineno + line
    source = linecache.getline(__file__, loc.line)
    assert source[loc.column :].startswith(place)


def _written(x: Any, view: Callable[[Any], Any], value: Any = 1.0) -> Any:
    y = x.copy()
    view(y)[...] = value
    return y


VIEWS: dict[str, Callable[[Any], Any]] = {
    "diagonal": lambda y: np.einsum("ii->i", y[:, :4]),
    "axes by letters": lambda y: np.einsum("ij->ji", y)[2],
    "diagonal of planes": lambda y: np.einsum("iji->ij", y[:, :4].reshape(2, 4, 2)),
    "part": lambda y: y[1:3, ::2],
    "turned": lambda y: y[::-1, 1:].T,
    "row": lambda y: y[2],
    "new axes": lambda y: y[:, None, 1:4, None],
    "reshaped": lambda y: y.reshape(2, 2, 6)[1],
    "nothing": lambda y: y[2:2],
}


@pytest.mark.parametrize("name", VIEWS)
def test_writing_through_views(name: str) -> None:
    check(lambda x: _written(x, VIEWS[name]), X)


@pytest.mark.parametrize(
    "view",
    [
        lambda y: np.broadcast_to(y[:1], (4, 6)),
        lambda y: np.lib.stride_tricks.sliding_window_view(y, 2, axis=1),
    ],
)
def test_views_that_show_elements_twice_are_read_only(view: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        _written(X, view)
    with pytest.raises(KernelError, match="read-only"):
        traced(lambda x: _written(x, view), X)


REFUSED: list[tuple[Callable[[Any], Any], type[KernelError], str]] = [
    (lambda x: np.isin(x, x[x > 0]), KernelError, "."),
    (lambda x: np.zeros((4, 6))[x > 0] + np.stack([x[x > 0]]), KernelError, "."),
    (lambda x: np.datetime64("2020") + x, KernelError, "."),
    (lambda x: np.result_type(x, np.complex64), KernelError, "."),
    (lambda x: np.concatenate([x, np.ones((1, 6), complex)]), KernelError, "complex128"),
    (lambda x: np.spacing(x), UnsupportedError, "np.spacing"),
    (lambda x: np.array([["a", "b"]]) == x, KernelError, "."),
    (lambda x: tw.compute(3, 5), DTypeError, "a function is needed here, not 5"),  # type: ignore[arg-type]
    (lambda x: tw.compute((3, 2), lambda i: i), DTypeError, "is called with 2 arguments"),
    (lambda x: np.zeros(3)[5], KernelError, "out of bounds"),
    (lambda x: x[np.array([0.5])], KernelError, "."),
    (lambda x: x["a"], KernelError, "."),
    (lambda x: x[0, 0, 0], KernelError, "too many|indices"),
    (lambda x: x[..., ...], KernelError, "ellipsis|Ellipsis"),
]


@pytest.mark.parametrize("case", REFUSED, ids=range(len(REFUSED)))
def test_refused(case: tuple[Callable[[Any], Any], type[KernelError], str]) -> None:
    function, kind, said = case
    with pytest.raises(kind, match=said):
        traced(lambda x: function(x), X)


def test_assigning_to_known_arrays() -> None:
    def function(x: Any) -> Any:
        table = np.zeros(6)
        table[1:3] = [4, 5]
        table[[0, 5]] = -1
        table[table > 4] = 9
        return x * table

    check(function, X)
    with pytest.raises(ShapeError, match="cannot assign shape"):
        traced(lambda x: _written(np.zeros(6), lambda y: y[1:3], [1.0, 2.0, 3.0]) + x, X)


def test_an_axis_without_elements_reads_what_fills_it() -> None:
    empty = X[:0]
    check(
        lambda x: tw.compute((2, 3), lambda i, j: tw.at(x, (i, j), boundary="constant", fill=2.5)),
        empty,
    )


def test_results_are_delivered_into_given_arrays() -> None:
    results = [np.arange(3.0), np.arange(4.0)]
    given = np.zeros(4)
    delivered = deliver(results, [None, given])
    assert delivered[0] is results[0]
    assert delivered[1] is given
    np.testing.assert_array_equal(given, results[1])
    assert deliver(results, None) == results
