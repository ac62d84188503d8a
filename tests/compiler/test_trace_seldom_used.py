"""Corners of NumPy's functions that few kernels reach: rare arguments, values and conversions."""

from __future__ import annotations

import math
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
    LimitError,
    ShapeError,
    TraceError,
    UnsupportedError,
)

numpy: Any = np  # for calls that NumPy's annotations do not allow

RNG = np.random.default_rng(11)
F = RNG.standard_normal((3, 4)).astype(np.float32)
C = RNG.standard_normal((3, 4, 5)).astype(np.float32)
I = RNG.integers(-9, 9, (3, 4)).astype(np.int32)  # noqa: E741
V = RNG.standard_normal(4).astype(np.float32)
D = RNG.standard_normal((3, 4))
NANS = np.array([1, np.nan, 3, np.nan, np.inf], np.float32)
U8 = np.array([1, 200, 255, 0], np.uint8)

CASES: dict[str, tuple[Any, ...]] = {
    "matvec": (lambda a, b: np.matvec(a, b), F, V),
    "matvec of stacks": (lambda a, b: np.matvec(a[None], b[None]), F, V),
    "vecmat": (lambda a, b: np.vecmat(a, b), V, F.T.copy()),
    "vecdot": (lambda a, b: np.vecdot(a, b), F, V),
    "smallest norm": (lambda a: np.linalg.norm(a, -np.inf), V),
    "count norm": (lambda a: np.linalg.norm(a, 0), np.array([0, 1, 0, 2], np.float32)),
    "norm of order 3": (lambda a: np.linalg.norm(a, 3), V),
    "vector_norm of all": (lambda a: np.linalg.vector_norm(a), F),
    "vector_norm by rows": (lambda a: np.linalg.vector_norm(a, axis=1, ord=1), F),
    "vector_norm kept": (lambda a: np.linalg.vector_norm(a, axis=0, keepdims=True), F),
    "matrix_norm": (lambda a: np.linalg.matrix_norm(a), F),
    "matrix_norm kept": (lambda a: np.linalg.matrix_norm(a, keepdims=True), F),
    "norm of columns": (lambda a: np.linalg.norm(a, 1), F),
    "norm of rows": (lambda a: np.linalg.norm(a, -np.inf), F),
    "matrix_norm of columns": (lambda a: np.linalg.matrix_norm(a[None], ord=1), F),
    "matrix_norm of rows": (lambda a: np.linalg.matrix_norm(a, ord=np.inf, keepdims=True), F),
    "norm over two axes": (lambda a: np.linalg.norm(a[None], -1, axis=(2, 1)), F),
    "moveaxis to places out of order": (lambda a: np.moveaxis(a, [0, 1], [2, 0]), C),
    "moveaxis of one": (lambda a: np.moveaxis(a, -1, 0), C),
    "rows by a mask, then columns": (lambda a, m: np.sum(a[m[:, 0] > 0][:, 1:]), C, F),
    "what a mask of two axes chooses": (lambda a, m: np.sum(a[m > 0], axis=0), C, F),
    "positions of a mask and a slice": (lambda a, m: _at_positions(a, m), C, F),
    "assigned from the back": (lambda a, b: _assigned_columns(a, b), F, V),
    "choose wrapped": (lambda i, a, b: np.choose(i, (a, b), mode="wrap"), I, F, 2 * F),
    "choose clipped": (lambda i, a, b, c: np.choose(i, (a, b, c), mode="clip"), I, F, 2 * F, 3 * F),
    "round up to tens": (lambda a: np.round(a, -1), 100 * F),
    "round to hundredths": (lambda a: np.round(a, 2), D),
    "large integers rounded to tens": (
        lambda i: np.round(i, -1),
        np.array([2**40 + 7, -(2**35) - 15]),
    ),
    "round of integers": (lambda i: np.round(i), I),
    "isclose to an int": (lambda a, i: np.isclose(a, i), F, I),
    "isclose, NaN equal": (lambda a: np.isclose(a, a + np.float32(1e-9), equal_nan=True), NANS),
    "isclose, NaN unequal": (lambda a: np.isclose(a, a), NANS),
    "array_equal, NaN equal": (lambda a: np.array_equal(a, a * 1, equal_nan=True), NANS),
    "array_equal, NaN unequal": (lambda a: np.array_equal(a, a * 1), NANS),
    "array_equal of shapes": (lambda a, b: np.array_equal(a, b), F, V),
    "diff with ends": (lambda a: np.diff(a, prepend=0, append=a[:, :2]), F),
    "second diff": (lambda a: np.diff(a, n=2, axis=0, append=1), F),
    "gradient to second order at its ends": (lambda a: np.gradient(a, 2.0, 0.5, edge_order=2), D),
    "gradient over uneven steps": (lambda a: np.gradient(a, np.array([0.0, 1, 3, 4]), axis=1), D),
    "gradient over uneven steps to second order": (
        lambda a: np.gradient(a, np.array([0.0, 1, 3, 4]), axis=1, edge_order=2),
        D,
    ),
    "diff of bools": (lambda a: np.diff(a > 0), V),
    "ediff1d with ends": (lambda a: np.ediff1d(a, to_end=[7, 8], to_begin=5), V),
    "pad by a dict": (lambda a: numpy.pad(a, {0: (1, 2), -1: 3}), F),
    "pad by one pair": (lambda a: np.pad(a, ((1, 2),)), F),
    "pad by a pair": (lambda a: np.pad(a, (1, 2), constant_values=(3, 4)), F),
    "pad by an array": (lambda a: np.pad(a, np.array([[1, 2], [0, 1]]), mode="edge"), F),
    "reflect one element": (lambda a: np.pad(a[:1], 3, mode="reflect"), V),
    "reflect far": (lambda a: np.pad(a, 9, mode="reflect"), V),
    "wrap far": (lambda a: np.pad(a, 9, mode="wrap"), V),
    "quantile of integers": (lambda i: np.quantile(i, [0.25, 0.7], axis=1), I),
    "percentile kept": (lambda a: np.percentile(a, 40, axis=0, keepdims=True), F),
    "median of halves": (lambda a: np.median(a, axis=1), F.astype(np.float16)),
    "median of integers": (lambda i: np.median(i), I),
    "median of NaN": (lambda a: np.median(a), NANS),
    "quantile of NaN": (lambda a: np.quantile(a, 0.5), NANS),
    "integer linspace": (lambda a: a[:3] + np.linspace(-3, 9, 3, dtype=np.int32), I[0]),
    "linspace without its end": (lambda a: a + np.linspace(0, 2, 4, endpoint=False), V),
    "tril of a vector": (lambda a: np.tril(a), V),
    "triu of a vector": (lambda a: np.triu(a, 1), V),
    "insert a row": (lambda a, b: np.insert(a, 1, b, axis=0), F, V),
    "insert a column": (lambda a: np.insert(a, -1, 5, axis=1), F),
    "delete rows": (lambda a: np.delete(a, [0, -1], axis=0), F),
    "density of histogram2d": (
        lambda a, b: np.histogram2d(a, b, bins=[[-3, 0, 3], [-3, -1, 1, 3]], density=True)[0],
        *(D[0], D[1]),
    ),
    "out as a second operand": (lambda a: np.negative(a, np.empty_like(a)), F),
    "reduce, all by place": (lambda a: numpy.add.reduce(a, 1, None, None, True), F),
    "multiply.reduce with initial": (lambda a: np.multiply.reduce(a, 0, initial=2), F),
    "broadcast_shapes": (lambda a, b: np.zeros(np.broadcast_shapes(a.shape, b.shape)) + b, F, V),
    "size of an axis": (lambda a: a * np.size(a, 1) + np.size(a), F),
    "nbytes": (lambda a: a + a.nbytes + a.itemsize, F),
    "result_type": (lambda a, i: (a + i).astype(np.result_type(a, i, np.float16)), F, I),
    "in a known array": (lambda a: a + (2 in np.arange(3)) + (7 in np.arange(3)), F),
    "int of a known array": (lambda a: a[int(np.array(1)) : int(np.array([3])[0])], F),
    "float of a known array": (lambda a: a * float(np.array(1.5)), F),
    "NumPy's conversion of a known one": (lambda a: a * np.int32(np.array(2)), F),
    "min of Python numbers": (lambda a: a * min(3, 2.5, 4) + max(1, 7), F),
    "max of two elements": (lambda a: max(a[0], a[1]) + min(a[2], 0.5), V),
    "hypot of three": (lambda a: math.hypot(a[0], a[1], a[2]) * a, V),
    "hypot of one": (lambda a: math.hypot(a[0]) * a, V),
    "degrees and radians": (lambda a: math.degrees(a[0]) + math.radians(a[1]) * a, V),
    "log to a base": (lambda a: math.log(abs(a[0]), 3) * a, V),
    "ceil and floor": (lambda a: math.ceil(a[0]) + math.floor(a[1]) * a, V),
    "tolist": (lambda a: np.array(a.tolist()[1]) * 2, F),
    "tolist of one": (lambda a: a * a[0, 0].tolist(), F),
    "assign a row of rank two": (lambda a, b: _assigned(a, b), F, V),
    "a shape that is an array": (lambda a: a.reshape(np.array([4, 3])), F),
    "bitwise_count": (lambda i: np.bitwise_count(i), I),
    "roll by a NumPy int": (lambda a: np.roll(a, np.int64(-5), axis=1), F),
    "comparison with what does not fit": (lambda u: (u < 256, u == 300, u >= -1, u < 300), U8),
    "and the other way": (lambda u: (u > 256, u != 300, u <= -1, u > -1), U8),
    "clip of what fits nowhere": (lambda u: np.clip(u, -5, 300), U8),
}


def _at_positions(a: Any, m: Any) -> Any:
    rows, columns = np.nonzero(m > 0)
    return np.sum(a[rows, columns, 1:], axis=0)


def _assigned_columns(a: Any, b: Any) -> Any:
    made = np.zeros((2, 3, 4), np.float32)
    made[:, ::-1] = a
    made[1, :, 1] = b[:3]
    return made


def _assigned(a: Any, b: Any) -> Any:
    made = a.copy()
    made[0] = b[None]
    return made


@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    function, *args = CASES[name]
    check(function, *args, tolerance=2e-3 if "halves" in name else 1e-5)


def test_writes_by_function() -> None:
    def put(a: Any, b: Any) -> Any:
        c = a.copy()
        np.put(c, [1, 5], b[:2])
        return c

    def putmask(a: Any) -> Any:
        c = a.copy()
        np.putmask(c, c > 0, 7)
        return c

    check(put, F, V)
    check(putmask, F)


def test_results_into_several_arrays() -> None:
    def function(a: Any) -> Any:
        whole, part = np.empty_like(a), np.empty_like(a)
        np.modf(a, part, whole)
        total = np.empty(3, np.float32)
        np.sum(a, axis=1, out=total)
        return whole, part, total

    check(function, F)


@pytest.mark.parametrize(
    ("function", "args", "error", "words"),
    [
        (lambda a: np.put(a.copy(), [1], 1, mode="wrap"), (F,), UnsupportedError, "mode='wrap'"),
        (lambda a, b: np.putmask(a.copy(), a > 0, b), (F, V), UnsupportedError, "single value"),
        (lambda a: np.insert(a, 9, 1), (V,), BoundsError, "index 9 is out of bounds"),
        (lambda a: np.insert(a, -6, 1), (V,), BoundsError, "index -6 is out of bounds"),
        (lambda a: numpy.modf(), (F,), DTypeError, "takes 1 arrays and 2 for results, not 0"),
        (lambda a: 0.0 in a, (F,), TraceError, "truth|known|np.any|np.where"),
        (
            lambda a: float(a.sum()) * np.arange(int(a[0, 0])),
            (F,),
            TraceError,
            "float is needed|known",
        ),
        (lambda a: np.array([1, [2, 3]]) + a, (F,), ShapeError, "inhomogeneous"),
        (
            lambda a: np.zeros((70, 70)).tolist() and (a * 2).tolist(),
            (F.repeat(999),),
            LimitError,
            "tolist",
        ),
        (lambda a: a.astype("c8"), (F,), UnsupportedError, "complex64"),
        (lambda a: a.astype("S3"), (F,), DTypeError, "S3"),
        (lambda a: a.astype("no dtype"), (F,), DTypeError, "not a dtype"),
        (lambda a: numpy.add(a, None), (F,), DTypeError, "not None"),
        (lambda a: numpy.add(a, {1}), (F,), DTypeError, "not a set"),
        (lambda a: a + 1j, (F,), UnsupportedError, "complex"),
        (
            lambda a: np.pad(a, ((1, 1),) * 3),
            (F,),
            ShapeError,
            "3 pad widths for an array of rank 2",
        ),
        (lambda a: np.random.rand(3) + a, (V,), TraceError, "np.random.rand"),
        (lambda a: np.random.default_rng(0).normal(size=4) + a, (V,), TraceError, "random"),
        (lambda a: np.negative(a, out=np.empty(3, np.float32)), (V,), ShapeError, "shape"),
    ],
)
def test_refused(
    function: Callable[..., Any], args: tuple[Any, ...], error: type[KernelError], words: str
) -> None:
    with pytest.raises(error, match=words):
        traced(function, *args)


def test_smooth_functions_of_our_own() -> None:
    x = np.array([-30, -2, -0.5, 0, 0.5, 3, 40], np.float32)
    wide = x.astype(np.float64)
    tanh = 0.5 * wide * (1 + np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    cases: list[tuple[Callable[[Any], Any], np.ndarray]] = [
        (lambda x: tw.gelu(x, "tanh"), tanh),
        (lambda x: tw.softplus(x), np.logaddexp(0, wide)),
        (lambda x: tw.leaky_relu(x, 0.2), np.where(wide > 0, wide, 0.2 * wide)),
        (lambda x: tw.silu(x), wide / (1 + np.exp(-wide))),
    ]
    for function, expected in cases:
        result = traced(function, x)
        got = run(result, function, (x,))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
        assert got.dtype == np.float32


def test_functions_of_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.array([0, 0, 0.25, 0.75, 0.999, np.nan], np.float32)
    y = np.array([0, np.nan, 0.5, 2, 8, 1], np.float32)
    check(lambda x, y: (special.xlogy(x, y), special.xlog1py(x, y)), x, y, tolerance=1e-5)
    check(lambda x: special.logit(x), x, tolerance=1e-5)
    check(lambda x: special.expit(x) + special.expit(np.float32(0.5)), x, tolerance=1e-5)
    with pytest.raises(UnsupportedError, match=r"scipy\.special\.jv is not supported") as caught:
        traced(lambda x: special.jv(1, x), x)
    listed = str(caught.value.help).removeprefix("supported: ").split(", ")
    assert listed == sorted(listed)
    assert {"expit", "logsumexp", "xlogy"} <= {*listed}


def test_one_half_of_what_two_masks_choose_is_refused() -> None:
    def function(x: Any, y: Any) -> Any:
        rows, _ = np.nonzero(x > 0)
        others, _ = np.nonzero(x < 0)
        return np.sum(x[rows, others])

    def allowed(x: Any, y: Any) -> Any:
        rows, columns = np.nonzero(x > 0)
        return np.sum(y[rows, columns])

    check(allowed, F, D, tolerance=1e-6)
    with pytest.raises(KernelError):
        traced(function, F, D)


def test_a_truth_value_is_carried_as_numpy_has_it() -> None:
    """Python's True has the dtype of what comparisons give."""

    def settled(x):
        def body(x, again):
            smaller = np.minimum(x, np.roll(x, 1))
            return smaller, (smaller != x).any()

        return tw.while_loop(lambda x, again: again, body, x, True)

    check(settled, np.array([3, 1, 2, 5], np.int32))
    check(lambda x: tw.loop(3, lambda i, seen: seen | (x[i] > 2), False), np.array([3, 1, 2]))


def test_what_logsumexp_leaves_to_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    check(
        lambda x: (special.logsumexp(x), special.logsumexp(x, 1, keepdims=True)), F, tolerance=1e-6
    )
    for function in (
        lambda x: special.logsumexp(x, b=2.0),
        lambda x: special.logsumexp(x, 0, np.ones(5)),
        lambda x: special.logsumexp(x, return_sign=True),
    ):
        with pytest.raises(DTypeError, match="logsumexp with b or return_sign is not supported"):
            traced(function, F[0])
