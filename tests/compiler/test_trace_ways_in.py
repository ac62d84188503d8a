"""Calls of many kinds in one place each: what leads into parts of tracing that are seldom taken."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, run, traced
from tilewright.ir.errors import (
    BoundsError,
    DTypeError,
    KernelError,
    ShapeError,
    TraceError,
    UnsupportedError,
)

RNG = np.random.default_rng(9)
X = RNG.normal(size=(4, 6))
V = RNG.normal(size=6)
S = RNG.normal(size=(4, 4))
INTS = RNG.integers(-9, 9, (4, 6))
PLACES = np.array([2, 0, 1, 2])
UNSIGNED = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
ADD: Any = np.add
NUMPY: Any = np
KNOWN = np.arange(6.0)
BIG_ENDIAN = np.arange(6.0, dtype=">f8")


def summed_into(x: Any) -> Any:
    out = np.zeros((4, 6))
    np.einsum("ij->ij", x, out=out)
    return out


def multiplied_in_place(s: Any) -> Any:
    t = s.copy()
    t @= s
    return t


def copied_where(x: Any) -> Any:
    y = np.zeros((4, 6))
    np.copyto(y, x, where=x > 0)
    z = np.zeros((4, 6))
    np.copyto(z, 3)
    return y, z


def partitioned(x: Any) -> Any:
    y = x.copy()
    y.sort(axis=0)
    return y, np.partition(x, 2, axis=1)[:, 2]


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "matrix on the right": (lambda s: (np.eye(4) @ s, [[1.0, 0, 0, 2]] @ s), (S,)),
    "product in place": (multiplied_in_place, (S,)),
    "known truths": (lambda x: x if np.arange(3)[1] else -x, (X,)),
    "known ints": (lambda x: x[operator.index(np.arange(3)[2])], (X,)),
    "ints of known arrays": (lambda x: (x * int(KNOWN[3]), [1, 2, 3][np.arange(3)[1]] * x), (X,)),
    "known items": (lambda x: x * np.arange(3)[1:2].item() + KNOWN[2].item(), (X,)),
    "items": (lambda x: (x[1:2, 2:3].item(), x[0, 0].item(), x[:1, 0].sum().item()), (X,)),
    "known lists": (lambda x: x * np.arange(6).tolist(), (X,)),
    "known views": (lambda x: x + np.arange(6, dtype=np.int64).view(np.uint64), (X,)),
    "other byte order": (lambda x: (x + BIG_ENDIAN, np.zeros(6, ">f4") + x), (X,)),
    "real parts": (lambda x: (np.real(x), np.imag(x), np.isreal(x), np.iscomplex(x)), (X,)),
    "angles": (lambda x: (np.angle(x), np.angle(x, deg=True), np.conj(x)), (X,)),
    "no NaN in ints": (lambda i: (np.nan_to_num(i), np.nansum(i), np.nanmax(i, axis=0)), (INTS,)),
    "equal up to shapes": (
        lambda x, v: (np.array_equiv(x, v), np.array_equiv(x, x[:1] * 0 + x), np.array_equal(x, v)),
        (X, V),
    ),
    "shapes that do not fit": (lambda x: np.array_equiv(x, x[:, :4]), (X,)),
    "along the flat": (lambda x: np.take_along_axis(x, np.array([3, 20, 0]), None), (X,)),
    "resized": (lambda x: (np.resize(x, (3, 3)), np.resize(x[:0], (2, 2)), np.resize(x, 30)), (X,)),
    "edges of bins": (lambda x: (np.histogram_bin_edges(x, 4), np.histogram(x, 3)[0]), (X,)),
    "one column of samples": (lambda v: np.histogramdd(v, 3)[0], (V,)),
    "bins between data": (lambda x, v: np.histogram(x, 4, (v.min(), v.max()))[0], (X, V)),
    "low ranks stacked": (lambda v: (np.dstack([v, v]), np.atleast_3d(v), np.vstack([v, v])), (V,)),
    "scaled": (lambda x: (np.dot(x, 3), np.dot(2.0, x), np.inner(x, 2.0), np.inner(3.0, x)), (X,)),
    "sums into": (summed_into, (X,)),
    "sums by lists": (
        lambda x, s: (np.einsum(x, [1, 0], s, [1, 2], [0, 2]), np.einsum(x, [0, 0 + 1])),
        (X, S),
    ),
    "norms of ints": (
        lambda i: (np.linalg.norm(i), np.linalg.vector_norm(i), np.linalg.norm(i, axis=1)),
        (INTS,),
    ),
    "padded with data": (
        lambda x: (np.pad(x, 1, constant_values=x[0, 0]), np.pad(x, np.array([[1, 0], [2, 1]]))),
        (X,),
    ),
    "questions": (
        lambda x: (
            (
                np.iterable(x),
                np.iterable(x[0, 0]),
                np.can_cast(x, "f4"),
                np.can_cast("i4", x.dtype),
            ),
            (np.iscomplexobj(x), np.isrealobj(x), np.isscalar(x[0, 0]), np.isscalar(x)),
        ),
        (X,),
    ),
    "rolled by data": (lambda x, p: (np.roll(x, p[0], 1), np.roll(x, p[1:3], (0, 1))), (X, PLACES)),
    "nothing rolled": (lambda x: (np.roll(x[:0], 1, 0), np.roll(x[:, :0], (1, 2), (0, 1))), (X,)),
    "a given mean": (
        lambda x: (
            np.var(x, axis=1, mean=x.mean(1, keepdims=True)),
            np.std(x, mean=x.mean(keepdims=True)),
        ),
        (X,),
    ),
    "masked counts": (lambda x: np.sum(x, where=True, initial=2.0), (X,)),
    "sorted": (partitioned, (X,)),
    "searched in order": (lambda v: np.searchsorted(v, v[:3], sorter=np.argsort(v)), (V,)),
    "one variable": (lambda v: (np.cov(v), np.corrcoef(v)), (V,)),
    "averages of ints": (lambda i: np.average(i, axis=1, weights=np.arange(1, 7)), (INTS,)),
    "axes of one": (lambda x: (np.fmod.reduce(x, (1,)), np.fmod.reduce(x[0], None)), (X,)),
    "extremes of sequences": (
        lambda x: (max(x[0]), min(x[1]), max(x[0, 0], x[0, 1], -9.0), min(x[0, 0], 0.5)),
        (X,),
    ),
    "types": (
        lambda x: (
            x * (type(x) is np.ndarray)
            + (type(x[0, 0]) is np.float64)
            + isinstance(1, int | float),
            x.astype(type(x[0, 0])) if type(x).__name__ == "ndarray" else -x,
        ),
        (X,),
    ),
    "dtypes": (lambda x: x.astype({np.float64: np.float32}[x.dtype.type]), (X,)),
    "known any": (lambda x: (x if any([False, True]) else -x, x if all([1, 0]) else -x), (X,)),
    "powers with a modulus": (lambda x: x * pow(7, 2, 5), (X,)),
    "mathematics": (
        lambda x, n: (
            math.hypot(x[0, 0], 2),
            math.sqrt(n),
            math.gcd(12, 18) * x,
            math.floor(n / 2),
        ),
        (X, 5),
    ),
    "mixed signs": (
        lambda u, i: (u > i, u <= i, i > u, i == u, u != i, i >= u),
        (UNSIGNED, np.array([-1, 1, 2**62, -(2**63)])),
    ),
    "powers of scalars": (lambda x: (x[0, 0] ** 2, x[0, 0] ** -1, x**0, 2**x, x ** x[0]), (X,)),
    "powers of numbers": (lambda n: (n**3, n**-2, n**0, 2.5**n, n**0.5), (3,)),
    "divided numbers": (lambda n, m: (divmod(n, m), divmod(n * 1.5, m), divmod(7, n)), (17, -5)),
    "whole numbers": (lambda n: (int(n), int(n + 0.5), round(n / 4), n.__index__()), (11,)),
    "depth": (lambda v: (np.array(v, ndmin=3), np.array([v, v], ndmin=3)), (V,)),
    "filled": (lambda x: (np.full((2, 6), x[0]), np.full(3, [1, 2, 3]), np.full_like(x, 2)), (X,)),
    "copied": (copied_where, (X,)),
    "shape of an array": (
        lambda x: (x.reshape(np.array([6, 4])), np.zeros(np.array([2, 2]))),
        (X,),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    function, args = CASES[name]
    check(function, *args, tolerance=1e-12)


def test_reshaped_at_each_point() -> None:
    """Inside of an index function a row is an array of its own."""

    def function(x: Any) -> Any:
        return tw.compute(4, lambda i: (x[i] * (i + 1)).reshape(2, 3).sum(axis=0)[1])

    found = run(traced(function, X), function, (X,))
    rows = X * np.arange(1, 5)[:, None]
    np.testing.assert_allclose(found, rows[:, 1] + rows[:, 4])


def _assigned(x: Any, value: Any) -> Any:
    y = x.copy()
    y[0] = value
    return y


def _object() -> Any:
    return np.array([None, 1], dtype=object)


REFUSED: list[tuple[Callable[..., Any], type[KernelError], str]] = [
    (lambda x: np.array([x[0, 0], x[0]]), ShapeError, "."),
    (lambda x: np.concatenate([]) + x, ShapeError, "."),
    (lambda x: tw.at(x, (0,)), ShapeError, "1 indices for an array of 2 axes"),
    (lambda x: tw.at(x, (0, 0, 0)), ShapeError, "3 indices for an array of 2 axes"),
    (lambda x: x[:, :0][:, 0], BoundsError, "which has no elements|out of bounds"),
    (lambda x: x + _object(), DTypeError, "."),
    (lambda x: x.astype("M8[s]"), DTypeError, "is not supported"),
    (lambda x: x.astype(complex), UnsupportedError, "dtype complex128 is not supported"),
    (lambda x: x + 1j, UnsupportedError, "complex numbers are not supported"),
    (lambda x: x + np.array([1j]), KernelError, "complex128"),
    (lambda x: np.array([[1.0, 2.0], [1.0]]) + x[0, 0], ShapeError, "."),
    (lambda x: x & 1, DTypeError, "np.bitwise_and is not defined on float64, int"),
    (lambda x: x << 1.0, DTypeError, "np.left_shift is not defined on float64, float"),
    (lambda x: -(x > 0), DTypeError, "for the opposite of a bool use ~x"),
    (lambda x: (x > 0) - (x < 1), DTypeError, "for where two bools differ use a \\^ b"),
    (lambda x: np.zeros(x[0].astype(int)), TraceError, "a shape must be known"),
    (lambda x: np.arange(x[0, 0]), KernelError, "."),
    (lambda x: range(x[0, 0].astype(int)), TraceError, "the range of a Python loop must be known"),
    (lambda x: [1, 2][x[0, 0].astype(int)], TraceError, "an int that Python asks for"),
    (lambda x: np.insert(x, [0, 1, 2], [1.0, 2.0], axis=0), ShapeError, "."),
    (lambda x: NUMPY.partition(x, 1.5), DTypeError, "kth must be integers, not float64"),
    (lambda x: np.add(x, x, signature="dd->d"), UnsupportedError, "with these arguments: got an"),
    (lambda x: NUMPY.sum(x, 0, None, None, False, 0, True, 3), DTypeError, "too many positional"),
    (lambda x: NUMPY.round(x, 2, decimal=1), DTypeError, "unexpected keyword argument 'decimal'"),
    (lambda x: np.linalg.eig(x[:, :4]), UnsupportedError, "is not supported"),
    (lambda x: np.frompyfunc(abs, 1, 1)(x), UnsupportedError, "."),
    (lambda x: ADD.reduce(x, foo=1), DTypeError, "np.add.reduce: .* keyword argument"),
    (lambda x: ADD.outer(x, x, foo=1), DTypeError, "np.add.outer: .* keyword argument 'foo'"),
    (lambda x: ADD.accumulate(x, 0, None, None, 5), DTypeError, "np.add.accumulate: .* positional"),
    (lambda x: ADD.reduce(x > 0, dtype=complex), UnsupportedError, "complex128 is not supported"),
    (lambda x: _assigned(x, np.ones((2, 6))), ShapeError, "cannot assign"),
    (lambda x: _assigned(x, x), ShapeError, "cannot assign"),
    (lambda x: float(x[0]), TraceError, "takes an array of one element, not one of shape"),
    (lambda x: x[0, 0].imaginary, KernelError, "no attribute 'imaginary'"),
    (lambda x: np.random.rand(4) + x[:, 0], TraceError, "the same numbers at every call"),
    (lambda x: np.save("file", x), KernelError, "."),
]


@pytest.mark.parametrize("case", REFUSED, ids=range(len(REFUSED)))
def test_refused(case: tuple[Callable[..., Any], type[KernelError], str]) -> None:
    function, kind, said = case
    with pytest.raises(kind, match=said) as caught:
        traced(function, X)
    assert caught.value.loc is not None


def test_options_that_are_supported_are_shown() -> None:
    with pytest.raises(UnsupportedError) as caught:
        traced(lambda x: ADD(x, x, signature="dd->d"), X)
    assert caught.value.help == (
        "supported: np.add(inputs, out=None, where=True, dtype=None, casting='same_kind', "
        "order='K', subok=True)"
    )
