"""`np.linalg` by elimination, against LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced
from tests.ir.lower.traced_programs import program_of
from tilewright.compiler.trace.blocked_solvers import _width
from tilewright.ir import build
from tilewright.ir.program import Nest, Repeat
from tilewright.ir.traverse import substitute

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 20, 21, 41, 60])
def test_square_systems(size: int) -> None:
    a = RNG.normal(size=(size, size))
    b = RNG.normal(size=(size, 2))
    check(lambda a, b: np.linalg.solve(a, b), a, b, tolerance=1e-11)
    check(lambda a, b: np.linalg.solve(a, b[:, 0]), a, b, tolerance=1e-11)
    check(lambda a: (np.linalg.inv(a), np.linalg.det(a)), a, tolerance=1e-11)
    check(lambda a: tuple(np.linalg.slogdet(a)), a, tolerance=1e-11)
    check(lambda a: np.linalg.cholesky(a @ a.T + np.eye(len(a))), a, tolerance=1e-11)
    check(lambda a: np.linalg.cholesky(a @ a.T + np.eye(len(a)), upper=True), a, tolerance=1e-11)


def test_batches_and_dtypes() -> None:
    a = RNG.normal(size=(2, 3, 4, 4)) + 3 * np.eye(4)
    b = RNG.normal(size=(3, 4, 1))
    check(lambda a, b: np.linalg.solve(a, b), a, b, tolerance=1e-12)
    check(lambda a: (np.linalg.inv(a), np.linalg.det(a)), a, tolerance=1e-12)
    check(lambda a: np.linalg.inv(a), a.astype(np.float32), tolerance=1e-4)
    check(lambda i: np.linalg.det(i), RNG.integers(-4, 5, (3, 3)), tolerance=1e-12)


def test_batches_of_matrices_that_go_one_by_one() -> None:
    a = RNG.normal(size=(2, 3, 13, 13)) + 5 * np.eye(13)
    b = RNG.normal(size=(3, 13, 2))
    check(lambda a, b: np.linalg.solve(a, b), a, b, tolerance=1e-12)
    check(lambda a: (np.linalg.inv(a), tuple(np.linalg.slogdet(a))), a, tolerance=1e-12)
    check(lambda a: np.linalg.cholesky(a @ a.mT), a, tolerance=1e-11)
    check(lambda a: np.linalg.solve(a, np.ones((13, 0))), a)
    check(lambda a: np.linalg.inv(a), a[:0])


def test_machine_code_of_blocks() -> None:
    for size in (16, 33, 101):
        a = RNG.normal(size=(size, size))
        b = RNG.normal(size=(size, 3))
        exact = np.linalg.solve(a, b)
        scale = np.linalg.cond(a) * np.abs(exact).max()
        found = tw.kernel(lambda a, b: np.linalg.solve(a, b))(a, b)
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-15 * size * scale)
        inverse = tw.kernel(lambda a: np.linalg.inv(a))(a)
        np.testing.assert_allclose(inverse @ a, np.eye(size), rtol=0, atol=1e-15 * size * scale)
        sign, magnitude = tw.kernel(lambda a: tuple(np.linalg.slogdet(a)))(a)
        np.testing.assert_allclose((sign, magnitude), np.linalg.slogdet(a), rtol=1e-11)
        lower = tw.kernel(lambda a: np.linalg.cholesky(a))(a @ a.T + np.eye(size))
        np.testing.assert_allclose(lower @ lower.T, a @ a.T + np.eye(size), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("function", "cut"),
    [
        (lambda a: np.linalg.solve(a, a[:, :5]), "columns"),
        (lambda a: np.linalg.det(a), "columns"),
        (lambda a: np.linalg.cholesky(a), "both"),
    ],
)
def test_a_block_leaves_what_is_done_alone(function: Any, cut: str) -> None:
    """The product of a round covers the columns beyond its block, of a Cholesky factor rows too."""
    width = _width(96)
    program = program_of(function, [np.eye(96)])
    found: list[list[Any]] = []
    for repeat in (s for s in program.steps if isinstance(s, Repeat)):
        for nest in (s for s in repeat.steps if isinstance(s, Nest)):
            if nest.stages[-1].target.shape == (96, 96):
                at = [{repeat.counter: build.index(k)} for k in range(96 // width)]
                extents = [build.index(a.extent or 0) for a in nest.outer]
                found.append([[build.known(substitute(e, k)) for e in extents] for k in at])
    left = [96 - width * (k + 1) for k in range(96 // width)]
    assert found == [[[n if cut == "both" else 96, n] for n in left]]


def test_only_one_half_is_factored() -> None:
    a = RNG.normal(size=(30, 30))
    square = a @ a.T + np.eye(30)
    garbage = square + np.triu(np.full((30, 30), np.nan), 1)
    check(lambda s: np.linalg.cholesky(s), garbage, tolerance=1e-12)
    check(lambda s: np.linalg.cholesky(s, upper=True), garbage.T.copy(), tolerance=1e-12)


@pytest.mark.parametrize("size", [3, 8, 21, 30])
def test_singular_matrices(size: int) -> None:
    a = RNG.integers(-3, 4, (size, size)).astype(np.float64)
    a[:, 1] = a[:, 0]
    kernel = tw.kernel(lambda a: (np.linalg.det(a), np.linalg.inv(a)))
    determinant, inverse = kernel(np.zeros((size, size)))
    assert determinant == 0
    assert not np.isfinite(inverse).any()
    assert abs(kernel(a)[0]) <= 1e-9 * np.abs(a).max() ** size


def test_a_permutation_is_solved_exactly() -> None:
    for size in (21, 37):
        order = RNG.permutation(size)
        a = np.eye(size)[order] * 2.0
        check(lambda a: (np.linalg.inv(a), np.linalg.solve(a, a[0])), a)
        check(lambda a: np.linalg.det(a), a, tolerance=1e-13)


def test_rows_are_exchanged() -> None:
    a = np.array([[0.0, 1, 0], [0, 0, 2], [3, 0, 0]])
    check(lambda a: (np.linalg.inv(a), np.linalg.det(a)), a)
    check(lambda a: np.linalg.det(a), np.ones((3, 3)))


def test_what_is_refused() -> None:
    with pytest.raises(tw.ShapeError, match=r"takes square matrices, not shape \(2, 3\)"):
        traced(lambda a: np.linalg.inv(a), np.ones((2, 3)))
    with pytest.raises(tw.ShapeError, match="takes matrices"):
        traced(lambda a: np.linalg.det(a), np.ones(3))
    with pytest.raises(tw.ShapeError, match="cannot solve"):
        traced(lambda a, b: np.linalg.solve(a, b), np.ones((3, 3)), np.ones((2, 1)))


@pytest.mark.parametrize(
    ("sizes", "widths"),
    [
        (range(1, 21), range(1, 21)),
        (range(21, 500), range(12, 21)),
        (range(500, 999), range(28, 41)),
    ],
)
def test_blocks_are_as_wide_as_adds_fewest_columns(sizes: range, widths: range) -> None:
    for size in sizes:
        width = _width(size)
        added = {w: -size % w for w in widths}
        best = [w for w, more in added.items() if more == min(added.values())]
        assert width == (size if size <= 20 else max(best))
