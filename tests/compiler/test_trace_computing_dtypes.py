"""In which dtypes traced functions compute: no wider ones than NumPy's results ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler import test_trace_rearranging, test_trace_reductions
from tests.compiler.function_cases import INTS, B, H, M, U
from tests.compiler.trace_oracle import check, traced
from tilewright.ir.dtypes import F16, F32, F64, I32, I64, U8, U64, DType
from tilewright.ir.graph import Constant, Graph, Reduction, Scan

FLOATS = (np.dtype(np.float16), np.dtype(np.float32))


def cases_of_floats() -> Iterator[Any]:
    """Functions of float16 and float32 alone, whose results are no float64 either."""
    for module in (test_trace_reductions, test_trace_rearranging):
        for name, (function, args) in module.CASES.items():
            if all(getattr(a, "dtype", None) in FLOATS for a in args):
                yield pytest.param(function, args, id=name)


@pytest.mark.parametrize(("function", "args"), [*cases_of_floats()])
def test_narrow_floats_are_not_computed_in_float64(
    function: Callable[..., Any], args: tuple[np.ndarray, ...]
) -> None:
    graph = traced(function, *args).graph
    asked_for = {n.dtype for n in graph.nodes() if isinstance(n, Constant)}
    asked_for.update(t.dtype for t in graph.outputs)
    assert F64 in asked_for or "f64" not in str(graph)


def combining(graph: Graph) -> set[DType]:
    """The dtypes in which the reductions of a graph combine elements."""
    bodies = {n.body.dtype for n in graph.nodes() if isinstance(n, Reduction)}
    return bodies | {n.operand.dtype for n in graph.nodes() if isinstance(n, Scan)}


@pytest.mark.parametrize(
    ("function", "array", "dtypes"),
    [
        (np.sum, H, {F32}),
        (np.mean, H, {F32}),
        (np.var, H, {F32}),
        (np.cumsum, H, {F32}),
        (np.max, H, {F16}),
        (np.mean, M, {F32}),
        (np.std, M, {F32}),
        (np.mean, INTS, {F64}),
        (np.sum, INTS, {I64}),
        (np.count_nonzero, INTS, {I32}),
        (np.count_nonzero, M, {I32}),
        (np.max, U, {U8}),
        (np.mean, B, {F64}),
        (np.argmax, B, {U8}),
    ],
)
def test_elements_are_combined_in(
    function: Callable[..., Any], array: np.ndarray, dtypes: set[DType]
) -> None:
    assert combining(traced(lambda x: function(x), array).graph) == dtypes


def test_counts_beyond_32_bits_are_counted_in_64() -> None:
    found = []
    for size in ((1 << 31) - 1, 1 << 31):
        flags = np.broadcast_to(np.bool_(True), size)
        (dtype,) = combining(traced(lambda x: np.count_nonzero(x), flags).graph)
        found.append(dtype)
    assert found == [I32, I64]


KINDS = ["sum", "prod", "max", "min", "argmax", "argmin"]


@pytest.mark.parametrize("dtype", ["bool", "i1", "u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("kind", KINDS)
def test_results_of_the_index_form(kind: str, dtype: str) -> None:
    reduce = getattr(tw, kind)
    a = np.array([[3, 1, 0, 2], [1, 1, 7, 0]]).astype(dtype)
    check(lambda a: tw.compute(2, lambda i: reduce(lambda j: a[i, j], 4)), a)
    check(lambda a: reduce(lambda i, j: a[i, j], (2, 4)), a)


@pytest.mark.parametrize(
    ("kind", "array", "dtypes"),
    [
        ("sum", H, {F32}),
        ("prod", H, {F32}),
        ("max", H, {F16}),
        ("sum", M, {F32}),
        ("sum", U, {U64}),
        ("prod", INTS, {I64}),
        ("argmin", U, {U8}),
        ("argmax", B, {U8}),
        ("sum", B, {I64}),
    ],
)
def test_elements_are_combined_in_the_index_form_in(
    kind: str, array: np.ndarray, dtypes: set[DType]
) -> None:
    graph = traced(lambda x: getattr(tw, kind)(lambda i, j: x[i, j], x.shape), array).graph
    assert combining(graph) == dtypes
