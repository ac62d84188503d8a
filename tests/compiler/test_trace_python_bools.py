"""Bools of Python's that are data: among numbers they count as 0 and 1, beside arrays as bools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check

X = np.array([0.0, 1.5, -2.0, 7.0])

AMONG_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "product": lambda a, b: a * b,
    "quotient": lambda a, b: b / (a + 2),
    "floor": lambda a, b: (b // (a + 1), b % (a + 1)),
    "power": lambda a, b: (a**2, a**0, (b + 1) ** 0.5),
    "shift": lambda a, b: (a << 3, (a + 5) >> 1),
    "negative": lambda a, b: (-a, +b),
    "invert": lambda a, b: (~a, ~(a + b)),
    "absolute": lambda a, b: abs(a),
    "and": lambda a, b: (a & b, a & True, b & 1, False & a),
    "or": lambda a, b: (a | b, a | False, b | 6, a | 0),
    "exclusive or": lambda a, b: (a ^ b, a ^ True, a ^ 3),
    "comparison": lambda a, b: (a == b, a < b, a >= 1, b != 0, a == True),  # noqa: E712
    "scaled": lambda a, b: (a * 3, 2.5 * b, a + 0.5, True + b),
    "built-in sum": lambda a, b: sum([a, b, True]),
    "conversions": lambda a, b: (int(a), float(b), bool(a), int(a + b)),
    "of bools": lambda a, b: (a + b) * (a + b + 1),
}
BOOLS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "of ints": lambda n, x: (n > 3, n > 4),
    "of floats": lambda n, x: (n * 0.5 > 1, n < 2.5),
    "of arrays": lambda n, x: (bool(x[1] > 0), bool(x[2] > 0)),
    "of questions": lambda n, x: (np.allclose(x, x), np.array_equal(x, -x)),
    "of built-ins": lambda n, x: (any([x[0] > 0, x[1] > 0]), all([x[1] > 0, x[2] > 0])),
}


@pytest.mark.parametrize("bools", BOOLS)
@pytest.mark.parametrize("use", AMONG_NUMBERS)
def test_bools_among_numbers(use: str, bools: str) -> None:
    check(lambda n, x: AMONG_NUMBERS[use](*BOOLS[bools](n, x)), 4, X)


@pytest.mark.parametrize("dtype", ["bool", "i1", "u2", "i8", "f2", "f4"])
def test_bools_beside_arrays(dtype: str) -> None:
    def function(x: Any, n: Any) -> Any:
        yes, no = n > 3, n > 9
        return x + yes, x * no, x == yes, np.where(no, x, x[::-1]), x + (yes + yes), np.add(yes, no)

    check(function, np.array([0, 1, 1, 0]).astype(dtype), 5)


def test_bools_are_places() -> None:
    check(lambda x, n: (x[int(n > 3)], x[(n > 3) + (n > 2)], x[(n > 3) - 1]), X, 5)


def test_what_kernels_return() -> None:
    found = tw.kernel(lambda n: ((n > 3) + (n > 2), (n > 3) & (n > 9), -(n > 3), (n > 3) / 2))(5)
    assert found == (2, False, -1, 0.5)
    assert [type(v) for v in found] == [int, bool, int, float]


INDICES: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda i, j: (i > j) + (i > 1),
    "product": lambda i, j: (i > j) * (j > 0),
    "scaled": lambda i, j: (i > j) * 3 + (j > i),
    "and": lambda i, j: (i > j) & (i < 2) | (j == 1),
    "invert": lambda i, j: ~(i > j),
    "itself": lambda i, j: i + 1 > j * 2,
}


@pytest.mark.parametrize("name", INDICES)
def test_comparisons_of_index_variables_are_numpys(name: str) -> None:
    """As undecorated, where an index variable stands for an array."""
    check(lambda x: tw.compute((3, 4), lambda i, j: INDICES[name](i, j)), X)


def test_comparisons_of_steps_are_pythons() -> None:
    def function(x: Any) -> Any:
        return tw.loop(5, lambda i, s: s + ((i > 1) + (i > 2)) * x, x)

    check(function, X)
