"""Functions of NumPy over all combinations of ranks, axes and modes, compared with NumPy itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check

RNG = np.random.default_rng(29)


def array(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Small integers, so that sums of products are exact."""
    return RNG.integers(-4, 5, shape).astype(dtype)


Case = tuple[str, Callable[..., Any], tuple[Any, ...]]


def products() -> Iterator[Case]:
    shapes = [(3,), (2, 3), (4, 2, 3)]
    for left, right in itertools.product(shapes, [(3,), (3, 5), (2, 3, 5)]):
        yield f"dot {left} {right}", lambda a, b: np.dot(a, b), (array(*left), array(*right))
    for left, right in itertools.product(shapes, [(3,), (5, 3), (2, 5, 3)]):
        yield f"inner {left} {right}", lambda a, b: np.inner(a, b), (array(*left), array(*right))
    for left, right in [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((5, 2, 3), (5, 3, 1)),
    ]:
        yield f"matmul {left} {right}", lambda a, b: a @ b, (array(*left), array(*right))
    yield "outer", lambda a, b: np.outer(a, b), (array(2, 3), array(4))
    yield "vdot", lambda a, b: np.vdot(a, b), (array(2, 3), array(3, 2))
    yield "kron", lambda a, b: np.kron(a, b), (array(2, 3), array(3, 2))
    yield "kron of ranks", lambda a, b: np.kron(a, b), (array(2), array(3, 2))
    for axes in (0, 1, 2, ([1], [0]), ([0, 1], [1, 0]), ([-1], [-2]), (0, 1)):
        squares = array(3, 3), array(3, 3)
        yield f"tensordot {axes}", lambda a, b, x=axes: np.tensordot(a, b, x), squares
    yield "trace", lambda a: np.trace(a, 1), (array(4, 5),)
    yield "trace below", lambda a: np.trace(a, -2, 1, 0), (array(4, 5, 2),)
    for power in range(1, 6):
        yield f"power {power}", lambda a, n=power: np.linalg.matrix_power(a, n), (array(3, 3),)
    for n, m, mode in itertools.product((1, 4, 6), (1, 3, 6), ("full", "same", "valid")):
        pair = array(n), array(m)
        yield f"convolve {n} {m} {mode}", lambda a, b, m=mode: np.convolve(a, b, m), pair
        yield f"correlate {n} {m} {mode}", lambda a, b, m=mode: np.correlate(a, b, m), pair
    yield (
        "multi_dot",
        lambda a, b, c: np.linalg.multi_dot([a, b, c]),
        (
            array(2, 3),
            array(3, 4),
            array(4, 2),
        ),
    )


def sums() -> Iterator[Case]:
    operands: dict[str, list[tuple[int, ...]]] = {
        "ij->ji": [(2, 3)],
        "ii->i": [(3, 3)],
        "ii": [(3, 3)],
        "ij": [(2, 3)],
        "ba": [(2, 3)],
        "ij,jk": [(2, 3), (3, 4)],
        "ij,kj->ik": [(2, 3), (4, 3)],
        "bij,bjk->bik": [(5, 2, 3), (5, 3, 4)],
        "...ij,...jk": [(5, 2, 3), (3, 4)],
        "...i->...": [(2, 3, 4)],
        "i...->...i": [(2, 3, 4)],
        "i,j,k->kji": [(2,), (3,), (4,)],
        "ij,ij->": [(2, 3), (2, 3)],
        "ij,i->j": [(2, 3), (2,)],
        "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)],
        "iij->j": [(3, 3, 2)],
    }
    for text, shapes in operands.items():
        arrays = tuple(array(*shape) for shape in shapes)
        if len(arrays) == 1:
            yield f"einsum {text}", lambda a, t=text: np.einsum(t, a), arrays
        elif len(arrays) == 2:
            yield f"einsum {text}", lambda a, b, t=text: np.einsum(t, a, b), arrays
        else:
            yield f"einsum {text}", lambda a, b, c, t=text: np.einsum(t, a, b, c), arrays


def rearrangements() -> Iterator[Case]:
    cube = array(2, 3, 4)
    for order in itertools.permutations(range(3)):
        yield f"transpose {order}", lambda a, o=order: np.transpose(a, o), (cube,)
    for one, other in itertools.product((0, 1, -1), repeat=2):
        yield f"swapaxes {one} {other}", lambda a, p=one, q=other: a.swapaxes(p, q), (cube,)
        yield f"moveaxis {one} {other}", lambda a, p=one, q=other: np.moveaxis(a, p, q), (cube,)
        yield f"rollaxis {one} {other}", lambda a, p=one, q=other: np.rollaxis(a, p, q), (cube,)
    for axis in (None, 0, 1, -1, (0, 2), (1, 0)):
        yield f"flip {axis}", lambda a, x=axis: np.flip(a, x), (cube,)
    for shift, axis in [(1, None), (-2, 0), (5, 1), ((1, 2), (0, 2)), (0, 2), ((1, 1), (1, 1))]:
        yield f"roll {shift} {axis}", lambda a, s=shift, x=axis: np.roll(a, s, x), (cube,)
    for turns, axes in itertools.product((0, 1, 2, 3, -1, 5), ((0, 1), (1, 0), (2, 0))):
        yield f"rot90 {turns} {axes}", lambda a, k=turns, x=axes: np.rot90(a, k, x), (cube,)
    for axis in (0, 1, -1, (0, 3), (1, 2)):
        yield f"expand_dims {axis}", lambda a, x=axis: np.expand_dims(a, x), (cube,)


def copies() -> Iterator[Case]:
    cube = array(2, 3, 4)
    for repeats, axis in [(2, None), (2, 1), ([1, 0, 2], 1), (0, 0), ([2], -1)]:
        yield f"repeat {repeats} {axis}", lambda a, r=repeats, x=axis: np.repeat(a, r, x), (cube,)
    for reps in (2, (2, 1), (1, 2, 3), (2, 1, 1, 2), (0, 1)):
        yield f"tile {reps}", lambda a, r=reps: np.tile(a, r), (cube,)
    for k in (-3, -1, 0, 1, 2, 5):
        for name, function in (("tril", np.tril), ("triu", np.triu), ("diagonal", np.diagonal)):
            yield f"{name} {k}", lambda a, f=function, k=k: f(a, k), (array(4, 5),)
        yield f"diag {k}", lambda a, k=k: np.diag(a, k), (array(3),)
    for parts, axis in [(2, 0), ([1], 1), ([1, 3], 2), ([0, 9], 2), (3, 1)]:
        yield (
            f"array_split {parts} {axis}",
            lambda a, p=parts, x=axis: np.array_split(a, p, x),
            (cube,),
        )
    for axis in (0, 1, 2, -1):
        yield f"stack {axis}", lambda a, b, x=axis: np.stack([a, b], x), (array(3, 4), array(3, 4))
        if axis < 2:
            yield (
                f"concatenate {axis}",
                lambda a, b, x=axis: np.concatenate([a, b[:, :4] if x in (0,) else b[:3]], x),
                (
                    array(3, 4),
                    array(5, 6),
                ),
            )
    for width, mode in itertools.product(
        ((2, 1), ((0, 3), (1, 0))), ("edge", "reflect", "symmetric", "wrap", "constant")
    ):
        yield f"pad {width} {mode}", lambda a, w=width, m=mode: np.pad(a, w, m), (array(3, 4),)


def reductions() -> Iterator[Case]:
    cube = array(2, 3, 4)
    names = ("sum", "prod", "max", "min", "mean", "any", "all", "ptp", "count_nonzero")
    for name, axis, keep in itertools.product(names, (None, 0, -1, (0, 2)), (False, True)):
        function = getattr(np, name)
        yield (
            f"{name} {axis} {keep}",
            (lambda a, f=function, x=axis, k=keep: f(a, axis=x, keepdims=k)),
            (cube,),
        )
    for name, axis, spare in itertools.product(("var", "std"), (None, 1, (0, 1)), (0, 1)):
        function = getattr(np, name)
        yield (
            f"{name} {axis} {spare}",
            (lambda a, f=function, x=axis, d=spare: f(a, axis=x, ddof=d)),
            (cube,),
        )
    for name, axis in itertools.product(
        ("argmax", "argmin", "cumsum", "cumprod", "median"), (None, 0, 1, -1)
    ):
        function = getattr(np, name)
        yield f"{name} {axis}", lambda a, f=function, x=axis: f(a, axis=x), (cube,)
    for name, axis in itertools.product(("sort", "argsort"), (0, 1, -1, None)):
        function = getattr(np, name)
        distinct = RNG.permutation(24).astype(np.float32).reshape(2, 3, 4)
        yield f"{name} {axis}", lambda a, f=function, x=axis: f(a, axis=x), (distinct,)
    for side in ("left", "right"):
        ordered = np.sort(array(7))
        yield (
            f"searchsorted {side}",
            lambda a, v, s=side: np.searchsorted(a, v, s),
            (ordered, array(2, 3)),
        )


def places() -> Iterator[Case]:
    cube = array(5, 4, 3)
    rows, columns = np.array([0, -1, 2]), np.array([[1], [-2]])
    table: dict[str, Callable[[Any], Any]] = {
        "steps": lambda a: a[::2, ::-1, -2:],
        "backwards": lambda a: a[4:0:-2, -1:-5:-3],
        "beyond": lambda a: a[-9:9, 3:1, 7:],
        "ellipsis": lambda a: a[..., 1] + a[1, ..., 0, None][:1, :1].sum(),
        "new axes": lambda a: a[None, :, 1, None],
        "rows": lambda a: a[rows],
        "the least and the last row": lambda a: a[np.array([-5, 4])],
        "rows and a column": lambda a: a[rows, 1],
        "apart": lambda a: a[rows, :, 1],
        "apart, kept": lambda a: a[:, rows, None, 1],
        "broadcast": lambda a: a[rows, columns],
        "behind": lambda a: a[:, columns, 2],
        "all three": lambda a: a[rows, columns, 0],
        "take": lambda a: np.take(a, [0, 2], axis=1),
        "take, wrapped": lambda a: np.take(a, [5, -6], axis=0, mode="wrap"),
        "take, clipped": lambda a: np.take(a, [7, -3], axis=0, mode="clip"),
        "compress": lambda a: np.compress([True, False, True], a, axis=2),
        "along": lambda a: np.take_along_axis(a, np.array([[[0, 1, 2], [2, 1, 0]]]), 1),
    }
    for name, function in table.items():
        yield name, function, (cube,)


CASES = [*products(), *sums(), *rearrangements(), *copies(), *reductions(), *places()]


@pytest.mark.parametrize("case", CASES, ids=[name for name, _, _ in CASES])
def test_as_numpy(case: Case) -> None:
    _, function, arrays = case
    names = function.__code__.co_varnames[: len(arrays)]
    assert len(names) == len(arrays)
    check(function, *arrays, tolerance=1e-5)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_powers_of_large_numbers_stay_finite(axis: int | None) -> None:
    x = np.array([[1000, 0, -1000], [-1000, -999, -1001], [3, 900, 2]], np.float32)
    shifted = x.astype(np.float64) - x.max(axis=axis, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=axis, keepdims=True)
    soft = tw.kernel(lambda x: tw.softmax(x, axis=axis))(x)
    np.testing.assert_allclose(soft, powers / total, rtol=1e-5, atol=1e-30)
    logarithms = tw.kernel(lambda x: tw.log_softmax(x, axis=axis))(x)
    np.testing.assert_allclose(logarithms, shifted - np.log(total), rtol=1e-5, atol=1e-5)
    summed = tw.kernel(lambda x: tw.logsumexp(x, axis=axis, keepdims=True))(x)
    wanted = x.max(axis=axis, keepdims=True) + np.log(total)
    np.testing.assert_allclose(summed, wanted, rtol=1e-5)
