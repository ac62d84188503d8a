"""What a kernel cannot do is refused, by the class of error and with the values found.

One case for each check of the front end; the full texts of messages are pinned elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import traced
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

F = np.arange(12, dtype=np.float32).reshape(3, 4)
V = np.arange(4, dtype=np.float32)
I = np.arange(4, dtype=np.int32)  # noqa: E741
E = np.zeros((0,), np.float32)
S = np.float32(2)
Case = tuple[Callable[..., Any], tuple[Any, ...], str]

SHAPES: list[Case] = [
    (lambda a: numpy.gradient(a, edge_order=3), (V,), "edge_order of 1 or 2"),
    (lambda a: np.fill_diagonal(a.copy(), 1), (V,), "at least two dimensions"),
    (lambda a: np.partition(a, a.size), (V,), "out of bounds"),
    (lambda a: np.argpartition(a, [0, -a.size - 1]), (V,), "out of bounds"),
    (lambda a: np.fill_diagonal(np.stack([a, a]), 1), (F,), "must be of the same length"),
    (lambda a, b: np.einsum("ij", a, b), (F, F), "1 terms for 2 operands"),
    (lambda a: np.einsum("i1", a), (F,), "'1' is not a letter"),
    (lambda a: np.einsum("ijk", a), (F,), "'ijk' does not name the axes of an array of rank 2"),
    (lambda a: np.einsum("i", a), (F,), "'i' does not name the axes"),
    (lambda a: np.einsum("...i->i", a), (F,), "the result lacks the ellipsis"),
    (lambda a: np.einsum("ij->ii", a), (F,), "'i' appears twice in the result"),
    (lambda a: np.einsum("ij->k", a), (F,), "'k' of the result is in no operand"),
    (lambda a, b: np.einsum("ij,ik->jk", a, b), (F, F[:2]), "3|2"),
    (lambda a, b: np.inner(a, b), (F, V[:3]), r"\(3, 4\).*\(3,\)"),
    (lambda a, b: np.dot(a, b), (F, V[:3]), r"\(3, 4\).*\(3,\)"),
    (lambda a, b: np.matmul(a, b), (F, S), "matmul takes no scalars"),
    (lambda a, b: np.tensordot(a, b, axes=([0, 1], [0])), (F, F), "as many axes of one array"),
    (lambda a, b: np.tensordot(a, b, axes=1), (F, V[:3]), r"\(3, 4\).*\(3,\)"),
    (lambda a: np.cross(a, a), (F,), "must have 3 elements"),
    (lambda a: np.convolve(a, a), (F,), "takes arrays of one dimension"),
    (lambda a: a.mT, (V,), "at least two dimensions"),
    (lambda a: a.reshape(-1, -1), (F,), "can only specify one unknown dimension"),
    (lambda a: a.reshape(-2, 6), (F,), "negative dimensions are not allowed"),
    (lambda a: a.reshape(-1, 5), (F,), "into rows of 5 elements"),
    (lambda a: np.transpose(a, (0, 0)), (F,), "do not match an array of rank 2|given twice"),
    (lambda a: np.transpose(a, (0,)), (F,), "do not match an array of rank 2"),
    (lambda a: np.moveaxis(a, [0, 1], [0]), (F,), "as many sources as destinations"),
    (lambda a: np.expand_dims(a, (0, 0)), (F,), "an axis is given twice"),
    (lambda a: np.squeeze(a, 1), (F,), "cannot squeeze axis 1 of shape"),
    (lambda a: np.broadcast_to(a, (2, 4)), (F,), r"cannot broadcast \(3, 4\) to \(2, 4\)"),
    (lambda a: np.broadcast_to(a, (4,)), (F,), "cannot broadcast"),
    (lambda a: _windows(a, (2, 2), 0), (F,), "one size per axis"),
    (lambda a: _windows(a, 5, 1), (F,), "cannot be larger than input array shape"),
    (lambda a: np.sum(a, axis=(0, 0)), (F,), "given twice"),
    (lambda a: np.select([a > 0, a > 1], [a]), (F,), "as many choices as conditions"),
    (lambda a: np.interp(a, [0, 1], [0, 1, 2]), (V,), "one dimension and one length"),
    (lambda a: np.interp(a, [], []), (V,), "array of sample points is empty"),
    (lambda a, i: np.take_along_axis(a, i, 0), (F, I), "indices of rank 1 for an array of rank 2"),
    (lambda a: np.bincount(a), (F.astype(np.int32),), "takes one dimension, not 2"),
    (lambda a: np.histogram(a, 0, (0, 1)), (V,), "at least one bin, not 0"),
    (lambda a: np.concatenate([]) + a, (V,), "at least one array"),
    (lambda a: np.concatenate([a, a]), (S,), "zero-dimensional arrays cannot be concatenated"),
    (lambda a: np.array_split(a, 0), (V,), "number sections must be larger than 0"),
    (lambda a: np.split(a, 3), (V,), "an axis of 4 elements has no 3 equal parts"),
    (lambda a, b: np.stack([a, b]), (V, V[:3]), r"\(4,\).*\(3,\)"),
    (lambda a: np.diagonal(a, 0, 1, 1), (F,), "cannot be the same"),
    (lambda a: np.diag(a), (F[None],), "1- or 2-d"),
    (lambda a: np.add.accumulate(a), (S,), "cannot accumulate on a scalar"),
    (lambda a: numpy.cumulative_sum(a), (F,), "an axis is needed"),
    (lambda a: np.searchsorted(a, 1), (F,), "sorted array of one dimension"),
    (lambda a: np.quantile(a, 0.5), (E,), "of an empty array"),
    (lambda a: np.percentile(a, 50), (E,), "of an empty array"),
    (lambda a: np.average(a, weights=[1, 2, 3]), (F,), "shape|axis"),
    (lambda a: np.minimum.reduce(a, where=a > 0), (V,), "does not have an identity"),
    (lambda a: np.pad(a, (1, 0), mode="edge"), (E,), "cannot extend empty axis 0"),
    (lambda a: _strided(a, (2, 2), (4,)), (V,), "as many strides as sizes"),
    (lambda a: a[a > 0][np.newaxis], (V,), ""),
    (lambda a: np.sum(a[a > 1], axis=1), (V,), "axis 1 is out of bounds for rank 1"),
    (lambda a: tw.compute((3,), lambda i: a[i]), (F,), "1 indices for an array of 2 axes|"),
    (lambda a: tw.while_loop(lambda s: s > 0, lambda s: s - 1, a)[0], (V,), "one truth value"),
    (lambda a: np.histogramdd(a[:, :2], bins=[2, 2, 2]), (F,), "bins and a range for each dim"),
    (lambda a: np.histogramdd(a[:, :2], range=[(0, 1)]), (F,), "bins and a range for each dim"),
    (lambda a: np.histogram(a, [2, 1]), (V,), "one row of numbers that rise"),
    (lambda a: np.histogram(a, [[1, 2]]), (V,), "one row of numbers that rise"),
    (lambda a: np.polyfit(a, a[0], 1), (F,), "x of one dimension, and as many y"),
    (lambda a: np.polyfit(a[0], a, 1), (F,), "x of one dimension, and as many y"),
    (lambda a: np.polyder(a, -1), (V,), "np.polyder is -1, which is negative"),
    (lambda a: np.polyint(a, 3, [1, 2]), (V,), "one constant, or 3"),
    (lambda a: np.average(a, axis=0, weights=np.ones(4)), (F,), "weights need the shape"),
    (lambda a: np.average(a, weights=np.ones((3, 1))), (F,), "weights need the shape"),
    (lambda a: np.moveaxis(a, (0, 0), (0, 1)), (F,), "given twice"),
    (lambda a: np.moveaxis(a, (0, 1), (1, 1)), (F,), "given twice"),
    (lambda a: np.vsplit(a, 2), (V,), "at least two dimensions"),
    (lambda a: np.split(a, 0), (V,), "larger than 0"),
    (lambda a: np.repeat(a, [1, 2]), (V,), "2 repeats for an axis of 4"),
    (lambda a: np.pad(a, 1, "maximum", stat_length=0), (V,), "stat_length of 0 yields no value"),
    (lambda a: np.vstack([]) + a, (V,), "vstack needs at least one array|at least one array"),
]
DTYPES: list[Case] = [
    (lambda a: np.gradient(a, 1.0, 2.0), (V,), "one spacing for all axes, or one per axis"),
    (lambda a: _sine(a), (V,), "one number"),
    (lambda a: numpy.add(a, a, a.copy(), a), (F,), "takes 2 arrays and 1 for results, not 4"),
    (lambda a: numpy.modf(a, a, a, a), (F,), "takes 1 arrays and 2 for results, not 4"),
    (lambda a: len(a), (S,), r"len\(\) of an array of rank 0"),
    (lambda a: list(a), (S,), "iteration over an array of rank 0"),
    (lambda a: np.bincount(a), (V,), "takes integers, not float32"),
    (lambda a: a.astype(np.int32, casting="safe"), (V,), "according to the rule 'safe'"),
    (lambda a: numpy.convolve(a, a, "some"), (V,), "'full', 'same' or 'valid', not 'some'"),
    (lambda a: np.linalg.inv(a[:3, :3]), (F.astype(np.float16),), "does not take float16"),
    (lambda a: tw.gelu(a, "quick"), (V,), "no approximation 'quick'"),
    (lambda a: a + np.array(["x"]), (V,), "dtype"),
    (lambda a: np.round(a > 0, 1), (V,), "bools cannot be rounded to decimals"),
    (lambda a: np.reshape(a, (2.0, 2)), (V,), "must be an integer, not"),
    (lambda a: np.take(a, a), (V,), "must be integers, not"),
    (lambda a: numpy.where(a > 0, a, "x"), (V,), ""),
]
UNSUPPORTED: list[Case] = [
    (lambda a: np.nanquantile(a, 0.5, method="lower"), (V,), "method='lower' of data"),
    (lambda a: np.delete(a, a.astype(int)), (V,), "positions that depend on data"),
    (lambda a: np.pad(a, 1, mode="reflect", reflect_type="odd"), (V,), "odd"),
    (lambda a: numpy.unpackbits(a), (I,), "takes uint8"),
    (lambda a: a.view(np.float64), (V,), "a view of float32 as float64"),
    (lambda a: a.view(np.bool_), (V.astype(np.int8),), "a view of int8 as bool"),
    (lambda a: np.exp.at(a.copy(), [0]), (V,), "exp"),
    (lambda a: np.spacing(a), (V,), "spacing"),
    (lambda a: complex(a[0]), (V,), "complex numbers are not supported"),
    (lambda a: np.unwrap(a, period=4), (I,), "of integers with a whole period"),
    (lambda a: numpy.pad(a, 1, "edge", other=1), (V,), "np.pad with other"),
    (lambda a: numpy.pad(a, 1, "linear_ramp", stat_length=1), (V,), "np.pad with stat_length"),
    (lambda a: numpy.pad(a, 1, "odd"), (V,), "np.pad with mode='odd'"),
    (lambda a: numpy.ravel_multi_index((a, a), (4, 4), "odd"), (I,), "with mode='odd'"),
    (lambda a: np.linalg.norm(a, 2), (F,), "ord=2 of 2 dimensions is not supported"),
    (lambda a: np.poly(a), (F,), "np.poly takes zeros"),
    (lambda a: np.polyfit(a, a, 1, full=True), (V,), "full=True is not supported"),
    (lambda a: np.quantile(a, a.reshape(2, 2) / 9), (V,), "more than a list of quantiles"),
    (lambda a: np.logical_or.at(a.copy(), [0], 1), (I,), "logical_or"),
    (lambda a: np.modf.reduce(a), (V,), "modf"),
    (lambda a: np.add.reduceat(a, a.astype(int)), (V,), "known while tracing"),
]
TRACES: list[Case] = [
    (lambda a, b: _assigned_by_mask(a, b), (V, V[:3]), "matched to the mask"),
    (lambda a: a[True], (V,), "a bool is not supported as an index"),
    (lambda a: max(a[0], a[1], key=abs), (V,), "with key cannot be traced"),
    (lambda a: np.add(a, a, where=a > 0), (V,), "undefined where it is False"),
    (lambda a: numpy.exp(a, out=[1]), (V,), "out must be an array"),
    (lambda a: float(a), (V,), "takes an array of one element|float"),
    (lambda a: _write_twice(a), (V,), "read-only"),
    (lambda a: a[a > 0].reshape(2, 2), (V,), ""),
    (lambda a: a[a > 0].flatten() + a[:1].item(), (V,), ""),
    (lambda a: np.sum(a[a > 0], keepdims=True), (V,), "with these arguments"),
    (lambda a: np.add(a[a > 0], 1, out=a.copy()), (V,), "out="),
    (lambda a: np.stack([1, a[a > 0]]), (V,), ""),
    (lambda a: numpy.linalg.__setattr__("norm", a), (V,), "assign to the attribute 'norm'"),
    (lambda a: any([a[0, 0], a]), (F,), "any\\(\\) of an array of arrays"),
    (lambda a: all([True, a]), (F,), "all\\(\\) of an array of arrays"),
    (lambda a: any([a, a]), (F,), "any\\(\\) of an array of arrays"),
    (lambda a: sorted([a, a]), (F,), "sorted\\(\\) takes traced scalars|array of arrays"),
    (lambda a: sorted([a[:2], a[2:]]), (V,), "traced scalars of one dtype"),
    (lambda a: sorted([a[0], a.size * a[0].size]), (V,), "traced scalars of one dtype"),
    (lambda a: sorted([a[0], a[1].astype(int)]), (V,), "traced scalars of one dtype"),
    (lambda a: sorted(a, key=lambda v: -v), (V,), "sorted\\(\\) with a key"),
    (lambda a: _assigned_to_selected(a), (V,), "assigning to a part of it"),
    (lambda a: np.asarray(a).__array__(), (V,), "not traced asks for the data"),
]
BOUNDS: list[Case] = [
    (lambda a: a[np.array([0.5])], (V,), "integer or bool dtype, not float64"),
    (lambda a, b: a[b], (V, V), "integer or bool dtype, not float32"),
    (lambda a: a[0], (E,), "which has no elements|out of bounds"),
    (lambda a: tw.compute((3,), lambda i: tw.at(a, (i,), boundary="clamp")), (E,), "no element"),
]
LIMITS: list[Case] = [
    (lambda a: (a * 2).tolist(), (np.zeros(100_000, np.float32),), "tolist"),
    (lambda a: list(np.ndenumerate(a)), (np.zeros(65_537, np.float32),), "unrolled; the limit is"),
    (lambda a: np.arctan2.accumulate(a), (np.zeros(1025, np.float32),), "of 1025 elements"),
]


N = tw.dim("N")
OPEN: list[tuple[Callable[..., Any], type[KernelError], str]] = [
    (lambda a: np.convolve(a[:, 0], a[:, 1]), UnsupportedError, "of open dimensions"),
    (lambda a: np.median(a, axis=0), UnsupportedError, "over an open dimension"),
    (lambda a: np.linalg.inv(a), UnsupportedError, "matrices of open size"),
    (lambda a: a.reshape(-1, 3), ShapeError, "not a whole number for every size"),
    (lambda a: a.strides[0] + a, UnsupportedError, "an array of open size are not known"),
    (lambda a: _strided(a, a.shape, (16, 4)), UnsupportedError, "of open size"),
    (lambda a: np.add.reduceat(a, [0, 2]), UnsupportedError, "known while tracing"),
    (lambda a: a.tolist(), TraceError, "a size that is known when compiling"),
    (lambda a: a[:: a.shape[0]], TraceError, "step cannot be an open dimension"),
    (lambda a: np.arange(a.shape[0], 0, -1) + a[:, 0], UnsupportedError, "counts upwards only"),
    (
        lambda a: [a[i] for i in range(2 * a.shape[0])],
        TraceError,
        "the range of a Python loop must be known .*, but it is the open dimension N \\* 2\n",
    ),
    (lambda a: np.diag(a[0], a.shape[0]), TraceError, "the diagonal must .* open dimension N\n"),
    (lambda a: np.roll(a, a.shape[0] / 2), DTypeError, "shifts of np.roll must be integers"),
]


def _assigned_to_selected(a: Any) -> Any:
    chosen = a[a > 0]
    chosen[0] = 1
    return chosen


def _windows(a: Any, window: Any, axis: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(a, window, axis)


def _strided(a: Any, shape: Any, strides: Any) -> Any:
    return np.lib.stride_tricks.as_strided(a, shape, strides)


def _assigned_by_mask(a: Any, b: Any) -> Any:
    c = a.copy()
    c[c > 0] = b
    return c


def _write_twice(a: Any) -> Any:
    shown = np.broadcast_to(a.copy(), (2, 4))
    shown[0] = 1
    return shown


def _sine(a: Any) -> Any:
    return math.sin(a)


def _ids(cases: list[Case]) -> list[str]:
    return [f"{number}-{words[:30]}" for number, (_, _, words) in enumerate(cases)]


def refused(case: Case, kind: type[KernelError]) -> None:
    function, args, words = case
    with pytest.raises(kind, match=words or "."):
        traced(function, *args)


@pytest.mark.parametrize("case", SHAPES, ids=_ids(SHAPES))
def test_shapes(case: Case) -> None:
    refused(case, KernelError if not case[2] else ShapeError)


@pytest.mark.parametrize("case", DTYPES, ids=_ids(DTYPES))
def test_dtypes(case: Case) -> None:
    refused(case, DTypeError)


@pytest.mark.parametrize("case", UNSUPPORTED, ids=_ids(UNSUPPORTED))
def test_unsupported(case: Case) -> None:
    refused(case, UnsupportedError)


@pytest.mark.parametrize("case", TRACES, ids=_ids(TRACES))
def test_what_needs_data(case: Case) -> None:
    refused(case, TraceError)


@pytest.mark.parametrize("case", BOUNDS, ids=_ids(BOUNDS))
def test_bounds(case: Case) -> None:
    refused(case, BoundsError)


@pytest.mark.parametrize("case", LIMITS, ids=_ids(LIMITS))
def test_limits(case: Case) -> None:
    refused(case, LimitError)


@pytest.mark.parametrize("case", OPEN, ids=[said[:30] for _, _, said in OPEN])
def test_open_dimensions(case: tuple[Callable[..., Any], type[KernelError], str]) -> None:
    function, kind, said = case
    with pytest.raises(kind, match=said):
        traced(function, F, a=tw.f32[N, 4])
