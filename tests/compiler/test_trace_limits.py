"""Both sides of the limits that tracing knows: what is still taken, and what is not any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, run, traced
from tilewright.compiler.argument_trees import described, is_tree
from tilewright.compiler.trace import methods, numpy_repeated_calls, python_builtins
from tilewright.compiler.trace.numpy_creation import KNOWN_LIMIT
from tilewright.compiler.trace.operands import MAX_ELEMENTS, MAX_RANK
from tilewright.ir.errors import BoundsError, KernelError, LimitError, ShapeError, TraceError
from tilewright.ir.graph import Loop

X = np.arange(6.0)
M = np.arange(12.0).reshape(3, 4)


def nested(depth: int) -> Any:
    value: Any = X
    for _ in range(depth):
        value = {"a": value}
    return value


def test_containers_within_containers() -> None:
    assert len(list(described(nested(33), "p"))) == 34
    with pytest.raises(LimitError, match="nested more than 32 levels deep"):
        list(described(nested(34), "p"))


def test_lists_that_are_too_deep_are_taken_apart_to_say_so() -> None:
    value: Any = 1
    for depth in range(1, 36):
        value = [value]
        assert is_tree(value) is (depth > 33)


def test_ranks_and_sizes() -> None:
    check(lambda x: x.reshape((1,) * (MAX_RANK - 1) + (6,)), X)
    check(lambda x: np.zeros((1,) * MAX_RANK) + x[0], X)
    with pytest.raises(LimitError, match="33 dimensions are more than the limit of 32"):
        traced(lambda x: np.zeros((1,) * (MAX_RANK + 1)) + x[0], X)
    check(lambda x: np.expand_dims(x, tuple(range(63))), X)
    with pytest.raises(LimitError, match="65 dimensions are more than the limit of 64"):
        traced(lambda x: np.expand_dims(x, tuple(range(32)))[(None,) * 32], X)
    sizes = 7, 7, 73, 127, 337, 92737, 649657  # the factors of the largest int64
    assert np.prod(sizes, dtype=np.int64) == MAX_ELEMENTS
    traced(lambda x: np.broadcast_to(x[0], sizes).sum(), X)
    with pytest.raises(LimitError, match="more elements than fit in 64 bits"):
        traced(lambda x: np.broadcast_to(x[0], (2, 1 << 62)).sum(), X)


@pytest.mark.parametrize("make", [np.zeros, np.ones, np.arange])
def test_arrays_that_are_known_while_tracing(make: Callable[[int], Any]) -> None:
    def chosen(x: Any, size: int) -> Any:
        return x if make(size)[0] == make(size)[-1] else -x

    traced(lambda x: chosen(x, KNOWN_LIMIT), X)
    with pytest.raises(TraceError, match="known at run time only"):
        traced(lambda x: chosen(x, KNOWN_LIMIT + 1), X)


def test_python_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_builtins, "UNROLL_LIMIT", 5)
    check(lambda x: sum(x[i] for i in range(5)), X)
    with pytest.raises(LimitError, match="a Python loop of 6 steps is unrolled; the limit is 5"):
        traced(lambda x: sum(x[i] for i in range(6)), X)


def test_lists_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "LIST_LIMIT", 6)
    check(lambda x: x.tolist(), X)
    with pytest.raises(LimitError, match=r"tolist\(\) of more than 6 elements"):
        traced(lambda x: np.append(x, 1).tolist(), X)


def test_calls_along_an_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of functions that need whole arrays."""
    monkeypatch.setattr(numpy_repeated_calls, "_MOST_CALLS", 3)
    check(lambda m: np.apply_along_axis(lambda r: np.sort(r), 1, m), M)
    with pytest.raises(LimitError, match="4 times, which is unrolled; the limit is 3"):
        traced(lambda m: np.apply_along_axis(lambda r: np.sort(r), 0, m), M)


@pytest.mark.parametrize("ufunc", [np.fmod, np.gcd])
def test_reductions_in_order(ufunc: np.ufunc) -> None:
    """Few steps are written out, more of them are a loop."""
    dtype = np.int32 if ufunc is np.gcd else np.float64
    last = 2 if ufunc is np.gcd else 32
    for size, loop in ((1, False), (last, False), (last + 1, True)):
        x = (np.arange(size) % 7 + 2).astype(dtype)
        graph = check(lambda x: ufunc.reduce(x), x).graph
        assert any(isinstance(n, Loop) for n in graph.nodes()) is loop


@pytest.mark.parametrize(("size", "loop"), [(1, False), (4, False), (5, True)])
def test_elimination(size: int, loop: bool) -> None:
    a = np.random.default_rng(1).normal(size=(size, size)) + 3 * np.eye(size)
    graph = check(lambda a: np.linalg.inv(a), a, tolerance=1e-12).graph
    assert any(isinstance(n, Loop) for n in graph.nodes()) is loop


@pytest.mark.parametrize("shape", [(24, 24), (25, 25), (2, 11, 11), (2, 12, 12)])
def test_elimination_by_blocks(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(1).normal(size=shape) + 9 * np.eye(shape[-1])
    text = str(check(lambda a: np.linalg.inv(a), a, tolerance=1e-12).graph)
    blocked = shape[-1] >= (25 if len(shape) == 2 else 12)
    assert ("i64[2, 13]" in text or "i64[1, 12]" in text) is blocked  # the rows of the pivots


@pytest.mark.parametrize("place", [-6, 0, 5, 6, [0, 6], [-6, 6, 6]])
def test_inserting_inside(place: Any) -> None:
    check(lambda x: np.insert(x, place, 9.0), X)


@pytest.mark.parametrize("place", [-7, 7, [0, 7]])
def test_inserting_outside(place: Any) -> None:
    with pytest.raises(IndexError):
        np.insert(X, place, 9.0)
    with pytest.raises(BoundsError):
        traced(lambda x: np.insert(x, place, 9.0), X)


@pytest.mark.parametrize("order", [1, 2])
def test_the_fewest_elements_of_a_gradient(order: Any) -> None:
    check(lambda x: np.gradient(x[: order + 1], 2.0, edge_order=order), X**2)
    check(lambda x: np.gradient(x[: order + 1], x[: order + 1], edge_order=order), X)
    with pytest.raises(ShapeError, match=f"at least {order + 1} elements"):
        traced(lambda x: np.gradient(x[:order], edge_order=order), X)


SMALLEST: dict[str, Callable[[Any], Any]] = {
    "linspace of one": lambda x: (np.linspace(x[1], x[3], 1), np.linspace(x[1], x[3], 2)),
    "linspace, step": lambda x: [np.linspace(x[1], x[3], n, retstep=True) for n in (0, 1, 2)],
    "linspace, open end": lambda x: [np.linspace(x[1], x[3], n, endpoint=False) for n in (1, 2)],
    "one bin": lambda x: np.histogram(x, 1),
    "one bin, range": lambda x: np.histogram(x, 1, (0, 3))[0],
    "one count": lambda x: np.bincount(x.astype(int) * 0, minlength=1),
    "edges that are equal": lambda x: np.histogram(x, [0, 2, 2, 5])[0],
    "one part": lambda x: (np.split(x, 1), np.array_split(x, 1), np.array_split(x, 5)),
    "more parts than elements": lambda x: np.array_split(x[:2], 4),
    "power 0": lambda x: np.linalg.matrix_power(x[:4].reshape(2, 2), 0),
    "powers": lambda x: [np.linalg.matrix_power(x[1:5].reshape(2, 2), n) for n in (1, 2, 3, -1)],
    "equal lengths": lambda x: [np.convolve(x, x[::-1], m) for m in ("full", "same", "valid")],
    "lengths by one": lambda x: [np.correlate(x[:4], x[:5], m) for m in ("full", "same", "valid")],
    "crosses": lambda x: (np.cross(x[:3], x[3:]), np.cross(x[1:3], x[3:5]), np.cross(x[:2], x[:3])),
    "one bin edge": lambda x: np.digitize(x, np.array([2.0])),
    "two equal bin edges": lambda x: (np.digitize(x, [2.0, 2.0]), np.digitize(x, x[2] + x[:2] * 0)),
    "ends of quantiles": lambda x: np.quantile(x, [0, 1]),
    "a half": lambda x: np.quantile(x, 0.5, method="hazen"),
    "bounds that are met": lambda x: np.isclose(x, x + 0.5, rtol=0, atol=0.5),
    "no differences": lambda x: (np.diff(x, n=0), np.diff(x, n=5), np.diff(x, n=6)),
    "signed zeros": lambda x: np.heaviside(x - 2, 0.5),
    "polynomials": lambda x: (
        np.polyadd(x, x[:5]),
        np.polyder(x, 0),
        np.polyint(x, 0),
        np.polyder(x),
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_that_there_is(name: str) -> None:
    check(SMALLEST[name], X)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.histogram(x, 0),
        lambda x: np.split(x, 0),
        lambda x: np.array_split(x, 0),
        lambda x: np.histogram(x, [0, 2, 1]),
        lambda x: np.quantile(x, 1.01),
        lambda x: np.quantile(x, -0.01),
        lambda x: np.diagonal(x),
        lambda x: np.polyder(x, -1),
        lambda x: np.matrix_transpose(x),
        lambda x: np.linalg.inv(x),
        lambda x: np.cross(x[:1], x[:3]),
        lambda x: np.arange(x.shape[0], 0, 0),
    ],
)
def test_what_is_too_small(function: Callable[[Any], Any]) -> None:
    with pytest.raises((ValueError, IndexError, ZeroDivisionError)):
        function(X)
    with pytest.raises((KernelError, ZeroDivisionError)):
        traced(function, X)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2"])
def test_powers_of_every_bit_of_the_exponent(dtype: str) -> None:
    info = np.iinfo(dtype)
    exponents = np.array([0, 1, 2, 63, 64, 127, info.max // 2 + 1, info.max], dtype)
    check(lambda b, e: b**e, np.array([3], dtype), exponents)
    check(lambda b, e: b**e, np.array([[3], [5], [1], [2]], dtype), exponents)


def test_large_integers_keep_every_digit() -> None:
    x = np.array([2**53 + 1, -(2**62) - 1, 2**63 - 1])
    check(lambda x: (np.round(x), np.round(x, 0), np.round(x, 3)), x)


@pytest.mark.parametrize("make", [np.empty, np.zeros, np.ones, np.empty_like])
@pytest.mark.parametrize("size", [3, KNOWN_LIMIT + 1])
def test_new_arrays_hold_what_they_say(make: Callable[..., Any], size: int) -> None:
    """Nothing of a kernel depends on what memory held before: empty arrays are zeros."""

    def function(x: Any) -> Any:
        like = np.zeros(size) + x[0] if make is np.empty_like else size
        return make(like, dtype=np.float32) * x[1:2].astype(np.float32)

    found = run(traced(function, X), function, (X,))
    assert found.dtype == np.float32
    assert found.shape == (size,)
    assert (found == (1 if make is np.ones else 0)).all()


@pytest.mark.parametrize("make", [np.empty, np.zeros, np.ones])
def test_new_arrays_of_open_size(make: Callable[..., Any]) -> None:
    n = tw.dim("N")

    def function(x: Any) -> Any:
        y = make(x.shape)
        y[...] = x * 2
        return y

    check(function, X, symbols={n: 6}, x=tw.f64[n])


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((-1, 4), "cannot reshape (6,) into rows of 4 elements"),
        ((0, -1), "cannot reshape (6,) into rows of 0 elements"),
        ((4, 2), "cannot reshape (6,) into (4, 2)"),
        ((-1, -1), "can only specify one unknown dimension (-1)"),
        ((-2, -3), "negative dimensions are not allowed: (-2, -3)"),
    ],
)
def test_shapes_that_do_not_fit(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        X.reshape(shape)
    with pytest.raises(ShapeError) as caught:
        traced(lambda x: x.reshape(shape), X)
    assert caught.value.message == said


def test_shapes_that_fit() -> None:
    shapes = [(-1, 3), (2, -1), (6, -1), (-1,), -1, (1, -1, 1), (2, 3), (3, -1, 2)]
    check(lambda x: [x.reshape(s) for s in shapes], X)
    check(lambda x: [x[:0].reshape(s) for s in ((0, 3), (-1, 3), (5, 0), -1)], X)
