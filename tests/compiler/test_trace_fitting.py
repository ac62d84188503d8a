"""Ints that meet narrower integers are tested by the host, unless they are known to fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import traced

I8, U8, I32, U32, I64, U64 = (np.zeros(4, d) for d in ("i1", "u1", "i4", "u4", "i8", "u8"))


def on_grid(size: int, value: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda a: tw.compute((size,), lambda i: a[0] + value(i))


@pytest.mark.parametrize(
    ("array", "size", "value"),
    [
        (U8, 256, lambda i: i),
        (U8, 1000, lambda i: i % 256),
        (I8, 128, lambda i: i),
        (I8, 256, lambda i: i - 128),
        (U64, 5, lambda i: i),
        (I64, 5, lambda i: i - 9),
    ],
)
def test_index_variables_that_fit(
    array: np.ndarray, size: int, value: Callable[[Any], Any]
) -> None:
    assert not traced(on_grid(size, value), array).graph.checks


@pytest.mark.parametrize(
    ("array", "size", "value", "worst"),
    [
        (U8, 257, lambda i: i, 256),
        (U8, 5, lambda i: i - 1, -1),
        (I8, 129, lambda i: i, 128),
        (I8, 9, lambda i: i - 129, -129),
        (U64, 5, lambda i: i - 1, -1),
    ],
)
def test_index_variables_that_do_not_fit(
    array: np.ndarray, size: int, value: Callable[[Any], Any], worst: int
) -> None:
    with pytest.raises(tw.DTypeError, match=f"an index of value {worst} does not fit"):
        traced(on_grid(size, value), array)


@pytest.mark.parametrize(
    ("array", "number", "checks"),
    [
        (U8, lambda n: n, 0),  # an argument itself is tested before the run
        (U8, lambda n: n % 256, 0),
        (U8, lambda n: n % 257, 1),
        (U8, lambda n: n % 256 - 1, 1),
        (I8, lambda n: n % 256 - 128, 0),
        (I8, lambda n: n % 256 - 129, 1),
        (I8, lambda n: n % 256 - 127, 1),
        (I8, lambda n: n % 2 + 300, 1),
        (U8, lambda n: n + 1, 1),
        (U64, lambda n: n + 1, 1),
        (U64, lambda n: n % 7, 0),
        (I64, lambda n: n + 1, 0),
        (U8, lambda n: n / 2, 0),
    ],
)
def test_numbers_made_of_arguments(
    array: np.ndarray, number: Callable[[Any], Any], checks: int
) -> None:
    made = traced(lambda a, n: a + number(n), array, 3)
    assert len(made.graph.checks) == checks
    assert all(check.kind == "fits" for check in made.graph.checks)


RANGES = {"i1": 127, "u1": 255, "i2": 32767, "u2": 65535, "i4": 2**31 - 1, "u4": 2**32 - 1}


@pytest.mark.parametrize("dtype", RANGES)
def test_computed_numbers_are_tested_when_the_kernel_runs(dtype: str) -> None:
    kernel = tw.kernel(lambda a, n: a + (n - 1))
    a = np.zeros(3, dtype)
    most, least = RANGES[dtype], int(np.iinfo(dtype).min)
    for inside in (0, most, least):
        np.testing.assert_array_equal(kernel(a, inside + 1), a + inside)
    for outside in (most + 1, least - 1, 2**40, -(2**40)):
        with pytest.raises(OverflowError, match=f"Python integer {outside} "):
            kernel(a, outside + 1)
    assert len(kernel.specializations) == 1


def test_computed_numbers_of_64_bits() -> None:
    kernel = tw.kernel(lambda a, n: a + (n - 1))
    for dtype in ("u8", "i8"):
        a = np.zeros(3, dtype)
        for number in (0, 2**32, 2**63 - 2):
            np.testing.assert_array_equal(kernel(a, number + 1), a + number)
    with pytest.raises(OverflowError):
        kernel(np.zeros(3, "u8"), 0)
    assert (kernel(np.zeros(3, "i8"), 0) == -1).all()


N = tw.dim("N")
OPEN: dict[str, Callable[[Any], Any]] = {
    "size": lambda a: a + a.shape[0],
    "less": lambda a: a * (a.shape[0] - 1),
    "maximum": lambda a: np.maximum(a, a.shape[0]),
    "full": lambda a: np.full(3, a.shape[0], a.dtype),
    "index": lambda a: tw.compute(a.shape, lambda i: a[i] + i),
    "loop": lambda a: tw.loop(a.shape[0] + 1, lambda i, s: np.maximum(s, i), a),
}


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_open_sizes(name: str, dtype: str) -> None:
    function = OPEN[name]
    kernel = tw.kernel(a={"u1": tw.u8, "i1": tw.i8}[dtype][N])(function)
    last = int(np.iinfo(dtype).max)
    for size in (1, 7, last):
        a = np.zeros(size, dtype)
        np.testing.assert_array_equal(kernel(a), function(a))
    with pytest.raises(OverflowError):
        kernel(np.zeros(last + 2, dtype))
    with pytest.raises((OverflowError, tw.DTypeError)):
        function(np.zeros(last + 2, dtype))


def test_open_sizes_are_below_32_bits() -> None:
    for spec, checks in ((tw.i16, 1), (tw.u16, 1), (tw.i32, 0), (tw.u32, 0), (tw.u64, 0)):
        made = traced(lambda a: a + a.shape[0], I32, a=spec[N])
        assert len(made.graph.checks) == checks
    for spec, checks in ((tw.i32, 0), (tw.u32, 1), (tw.i64, 0), (tw.u64, 1)):
        made = traced(lambda a: a + (a.shape[0] - 1), I32, a=spec[N])
        assert len(made.graph.checks) == checks
