"""What is proven of sizes holds for every value; of linear sizes, whatever holds is proven."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tilewright.ir import build, ops
from tilewright.ir.analysis.size_proofs import (
    at_most,
    below,
    reaches,
    same_size,
    size_max,
    size_min,
)
from tilewright.ir.expr import Apply, Expr, Size, Var
from tilewright.ir.interpret.values import evaluate, reads_nothing

N, M = Var("N", least=1), Var("M", least=0)
I, ROWS = Var("i", N), Var("r", 5)  # noqa: E741
FREE = Var("free")


def linear(constant: int, *terms: tuple[Var, int]) -> Expr:
    total: Expr = build.index(constant)
    for variable, factor in terms:
        total = Apply(ops.ADD, (total, Apply(ops.MUL, (variable, build.index(factor)))))
    return total


SIZES = [
    (n, m, i, r) for n in (1, 2, 3, 50) for m in (0, 1, 40) for i in {0, n - 1} for r in (0, 4)
]
POINTS: dict[Var, np.ndarray] = dict(zip((N, M, I, ROWS), np.array(SIZES).T, strict=True))


def value(size: Expr) -> np.ndarray:
    """At all points: the ends of loops for a few values of the open dimensions."""
    found = evaluate((size,), POINTS, reads_nothing)[0]
    return np.broadcast_to(found, len(SIZES))


SMALL = (-2, -1, 0, 1, 2)


def holds(a: Expr, b: Expr) -> bool:
    return bool(np.all(value(a) <= value(b)))


@pytest.mark.parametrize("constant", [-9, -3, -2, -1, 0, 1, 2, 9])
def test_linear_sizes_are_compared_exactly(constant: int) -> None:
    zero = build.index(0)
    for n, m in itertools.product(SMALL, repeat=2):
        for variable in (M, I, ROWS):
            size = linear(constant, (N, n), (variable, m))
            assert at_most(size, zero) == holds(size, zero), size
            assert at_most(zero, size) == holds(zero, size), size
            assert below(size, zero) == holds(linear(constant + 1, (N, n), (variable, m)), zero)
            assert same_size(size, zero) == (n == m == constant == 0)


@pytest.mark.parametrize("constant", [-3, -1, 0, 1, 3, 4, 5, 9])
def test_what_an_index_reaches(constant: int) -> None:
    for n, factor in itertools.product((-1, 0, 1), SMALL):
        for variable in (I, ROWS):
            place = linear(constant, (variable, factor), (N, n))
            for bound in (build.index(4), N):
                inside = value(place) < value(bound)
                never = any(inside[POINTS[N] == size].all() for size in POINTS[N])
                assert reaches(place, bound) == (not never), (place, bound)
    assert not reaches(Apply(ops.FLOORDIV, (ROWS, build.index(1))), 0)
    assert not reaches(Apply(ops.MUL, (ROWS, I)), 0)


PROVEN: list[tuple[Size, Size]] = [
    (build.minimum(N, build.index(7)), 7),
    (build.minimum(build.index(7), N), 8),
    (N, build.mul(N, Var("K", least=1))),
    (build.mul(N, M), build.mul(build.mul(N, M), Var("K", least=1))),
    (build.floordiv(M, build.index(2)), build.floordiv(M, build.index(2))),
    (0, build.mod(M, build.index(4))),
    (build.mod(M, build.index(4)), 3),
    (build.mul(I, M), build.mul(N, M)),
    (build.index(3), build.index(3)),
]
OPEN: list[tuple[Size, Size]] = [
    (build.minimum(N, build.index(7)), 6),
    (7, build.minimum(N, build.index(7))),
    (build.mul(N, N), N),
    (build.mul(M, N), build.mul(M, M)),
    (build.mod(M, build.index(4)), 2),
    (1, build.mod(M, build.index(4))),
    (0, FREE),
    (build.mul(N, FREE), build.mul(build.mul(N, FREE), Var("K", least=1))),
    (N, build.mul(N, M)),
    (build.index(4), build.index(3)),
]


def test_what_is_proven_of_other_sizes() -> None:
    for a, b in PROVEN:
        assert at_most(a, b), (a, b)
    for a, b in OPEN:
        assert not at_most(a, b), (a, b)


def test_extremes_of_sizes() -> None:
    assert size_min(2, 3) == 2
    assert size_max(2, 3) == 3
    assert size_min(N, build.add(N, build.index(1))) is N
    assert size_max(build.add(N, build.index(-1)), N) is N
    assert size_min(build.add(N, build.index(1)), N) is N
    assert size_max(N, build.add(N, build.index(-1))) is N
    assert repr(size_min(N, 5)) == "min(N, 5:index)"
    assert repr(size_max(N, 5)) == "max(N, 5:index)"
    assert same_size(4, 4)
    assert not same_size(4, 5)
    assert same_size(build.mul(N, M), build.mul(M, N))
    assert not same_size(N, M)
