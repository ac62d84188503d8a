"""What Python itself asks of traced values: truth, numbers, lengths, attributes, hashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import DTypeError, KernelError, ShapeError, TraceError

RNG = np.random.default_rng(12)
X = RNG.normal(size=(4, 6))
V = RNG.normal(size=6)
KNOWN = np.arange(6)
FLAGS = np.array([True, False])


def chosen_if(x: Any) -> Any:
    if x[0] > 0:
        y = x + 1
        return y
    return x


def chosen_if_else(x: Any) -> Any:
    if x[0] > 0:
        y = x + 1
    else:
        z = x
        y = z
    return y


def chosen_tuple(x: Any) -> Any:
    if x[0] > 0:
        a, b = x, x
    else:
        a, b = -x, x
    return a + b


def greatest(x: Any) -> Any:
    return max(x[0], x[1], key=lambda v: -v)


def sorted_by(x: Any) -> Any:
    return sorted([x[0], x[1]], key=lambda v: -v)


BRANCHES: list[tuple[Callable[..., Any], str]] = [
    (lambda x: x if x[0] > 0 else -x, "write np.where(x[0] > 0, x, -x)"),
    (
        lambda x: x if 0 < x[0] < 1 else -x,
        "write np.where(np.logical_and(0 < x[0], x[0] < 1), x, -x)",
    ),
    (
        lambda x: x if x[0] > 0 and not x[1] > 0 else -x,
        "write np.where(np.logical_and(x[0] > 0, np.logical_not(x[1] > 0)), x, -x)",
    ),
    (
        lambda x: x if x[0] > 0 or x[1] > 0 or x[2] > 0 else -x,
        "write np.where(np.logical_or(np.logical_or(x[0] > 0, x[1] > 0), x[2] > 0), x, -x)",
    ),
    (lambda x: x * (x[0] > 0 and x[1] > 0), "write np.logical_and(x[0] > 0, x[1] > 0)"),
    (lambda x: x * (not x[0] > 0), "write np.logical_not(x[0] > 0)"),
]


@pytest.mark.parametrize("case", BRANCHES, ids=range(len(BRANCHES)))
def test_what_to_write_for_a_branch(case: tuple[Callable[..., Any], str]) -> None:
    function, help = case
    with pytest.raises(TraceError, match="known at run time only") as caught:
        traced(function, V)
    assert caught.value.help == help


@pytest.mark.parametrize("function", [chosen_if, chosen_if_else, chosen_tuple])
def test_longer_branches_have_general_help(function: Callable[..., Any]) -> None:
    with pytest.raises(TraceError, match="known at run time only") as caught:
        traced(function, V)
    assert "np.where" in str(caught.value.help)
    assert "x[0] > 0" not in str(caught.value.help)


@pytest.mark.parametrize("function", [greatest, sorted_by])
def test_orders_by_a_key_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(KernelError):
        traced(function, V)


def test_code_without_a_file_has_general_help() -> None:
    function = eval("lambda x: x if x[0] > 0 else -x")
    with pytest.raises(TraceError, match="known at run time only") as caught:
        traced(function, V)
    assert "np.where" in str(caught.value.help)


ASKED: dict[str, Callable[[Any], Any]] = {
    "truth of known": lambda x: (x if KNOWN[1:2] else -x, x if FLAGS[0] else -x),
    "not known": lambda x: x if not FLAGS[1] else -x,
    "length": lambda x: (x * len(x), x * len(KNOWN), x * len(x[0])),
    "iteration": lambda x: (list(x[0]), [row.sum() for row in x], [*KNOWN]),
    "known number": lambda x: (x * float(KNOWN[2]), x * int(KNOWN[3]), x * bool(KNOWN[0])),
    "known keys": lambda x: {1: x, 2: -x}[KNOWN[1]],
    "known members": lambda x: (x if 3 in KNOWN else -x, x if 9 in KNOWN else -x),
    "text": lambda x: x * len(f"{KNOWN[2]}{KNOWN[1]:03d}"),
    "as arrays": lambda x: x * np.asarray(KNOWN).sum() + np.array(KNOWN, float)[1],
    "copies": lambda x: (x.copy() * 2, np.copy(x)),
    "absolute and rounded": lambda x: (
        abs(x),
        round(x[0, 0]),
        round(x[0, 0], 1),
        round(x[0, 1], 0),
    ),
    "getattr": lambda x: (getattr(x, "sum")(), hasattr(x, "__no_such__"), getattr(x, "nope", 3)),  # noqa: B009
    "reversed": lambda x: list(reversed(list(x[0]))),
    "enumerated": lambda x: [v * n for n, v in enumerate(x[0])],
    "zipped": lambda x: [a * b for a, b in zip(x[0], KNOWN, strict=True)],
    "unpacked": lambda x: (lambda a, b, *rest: (a, b, rest[1]))(*x[0]),
    "slices with steps": lambda x: (x[slice(None, None, 2)], x[..., slice(5, 0, -2)]),
    "outer products": lambda x: (np.add.outer(x[0], [1.0, 2.0]), np.multiply.outer([1, 2], x[0])),
}


@pytest.mark.parametrize("name", ASKED)
def test_as_python(name: str) -> None:
    check(lambda x: ASKED[name](x), X)


REFUSED: list[tuple[Callable[[Any, Any], Any], type[KernelError], str]] = [
    (lambda x, n: n[0], DTypeError, "a Python number cannot be indexed"),
    (lambda x, n: len(n), KernelError, "."),
    (lambda x, n: list(x[0, 0]), DTypeError, "iteration over an array of rank 0"),
    (lambda x, n: len(x[0, 0]), DTypeError, r"len\(\) of an array of rank 0"),
    (lambda x, n: {x: 1}, DTypeError, "an array cannot be a key of a dict"),
    (lambda x, n: {1: x}[x[0, 0]], TraceError, "a key of a dict or a member of a set"),
    (lambda x, n: f"{x[0, 0]}", TraceError, "text"),
    (lambda x, n: [1, 2][x[0, 0] > 0], KernelError, "."),
    (lambda x, n: x * None, KernelError, "."),
    (lambda x, n: x + "a", KernelError, "."),
    (lambda x, n: x + {1: 2}, KernelError, "."),
    (lambda x, n: {1, 2} - x, KernelError, "."),
    (lambda x, n: np.array([1.0, x[0]]), ShapeError, "a list mixes numbers and arrays"),
    (lambda x, n: np.array([x[0], x[0, :3]]), ShapeError, "make one array of"),
]


@pytest.mark.parametrize("case", REFUSED, ids=range(len(REFUSED)))
def test_refused(case: tuple[Callable[[Any, Any], Any], type[KernelError], str]) -> None:
    function, kind, said = case
    with pytest.raises(kind, match=said):
        traced(lambda x, n: function(x, n), X, 3)


CHOSEN: dict[str, Callable[[Any], Any]] = {
    "on either side": lambda x: ((x[x > 0] + 1).sum(), (x[0, 0] - x[x > 0]).sum()),
    "of ufuncs": lambda x: (np.add(x[x > 0], 1).sum(), np.exp(x[x > 0]).sum()),
    "copied": lambda x: (x[x > 0].copy().sum(), np.copy(x[x > 0]).sum(), x[x > 0].ravel().mean()),
    "sizes": lambda x: (np.size(x[x > 0]), x[x > 0].size, len(x[x > 0])),
    "cast": lambda x: x[x > 0].astype(np.float32).astype(np.int32).sum(),
    "extremes of ints": lambda x: (
        (x * 9).astype(int)[x > 0].max(), (x * 9).astype(np.int8)[x > 0].min(),
        (x * 9 + 40).astype(np.uint8)[x > 0].max(), (x * 9 + 40).astype(np.uint8)[x > 0].min(),
    ),
    "extremes of bools": lambda x: ((x > 1)[x > 0].max(), (x > 1)[x > 0].min()),
    "extremes of floats": lambda x: (x[x < 0].max(), x[x > 0].min(), np.max(x[x > 9], initial=2.0)),
    "two masks that are equal": lambda x: (x[x > 0] * x[x > 0]).sum() + (x[x > 0] - x[x > 0]).sum(),
    "with scalars of a row": lambda x: (x[x[:, 0] > 0] * x[0]).sum(axis=0),
    "of parts": lambda x: x[x[:, 0] > 0][:, 1:3].sum(axis=0),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_chosen_elements(name: str) -> None:
    check(lambda x: CHOSEN[name](x), X, tolerance=1e-12)
