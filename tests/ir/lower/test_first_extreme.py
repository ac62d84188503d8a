"""argmin and argmax along a row: one pass that finds the value and its first position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu.schedule import default_schedule
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir.kernel import For, Kernel, statements
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.program import nests

DTYPES = (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.uint32, np.int64)
SHAPES = [(1, 1), (3, 5), (64, 1), (4, 64), (4, 65), (4, 1000)]


def argmax_rows(x: Any) -> Any:
    return np.argmax(x, axis=1)


def argmin_rows(x: Any) -> Any:
    return np.argmin(x, axis=1)


def argmax_all(x: Any) -> Any:
    return np.argmax(x)


def argmin_columns(x: Any) -> Any:
    return np.argmin(x, axis=0)


def both(x: Any) -> Any:
    return np.max(x, axis=1), np.argmax(x, axis=1)


def of_computed(x: Any) -> Any:
    return np.argmax(x * 3 - 1, axis=1)


def lowered(function: Callable[..., Any], shape: tuple[int, ...]) -> list[Kernel]:
    target = cpu_target("x86-64-v4")
    program = program_of(function, [np.zeros(shape, np.float32)])
    found = [collapse_axes(n) for n in nests(program.steps)]
    return [lower_nest(n, default_schedule(n, target), n.name) for n in found]


def passes_over(kernel: Kernel, elements: int) -> int:
    """Loops over most of a row that run for every row."""
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == "serial"]
    return sum(s.extent == elements // 64 for s in loops)


@pytest.mark.parametrize("function", [argmax_rows, argmin_rows, of_computed])
def test_one_pass_and_another_only_for_nan(function: Callable[..., Any]) -> None:
    (kernel,) = lowered(function, (8, 1024))
    assert "best" in {b.name for b in kernel.locals}
    assert passes_over(kernel, 1024) == 2  # the second stands under `if odd`


def test_parts_of_a_whole_array_are_done_in_one_pass() -> None:
    parts, _ = lowered(argmax_all, (1000, 100))
    assert "best" in {b.name for b in parts.locals}


def data(shape: tuple[int, ...], dtype: Any, kind: str) -> np.ndarray:
    rng = np.random.default_rng(len(kind))
    x = rng.integers(0, 4 if kind == "ties" else 120, shape).astype(dtype)
    if kind == "least":
        x[...] = -np.inf if x.dtype.kind == "f" else np.iinfo(dtype).min
    if kind == "most":
        x[...] = np.inf if x.dtype.kind == "f" else np.iinfo(dtype).max
    if kind == "zeros" and x.dtype.kind == "f":
        x = rng.choice(np.array([0.0, -0.0], dtype), shape)
    if kind == "some nan" and x.dtype.kind == "f":
        x[rng.random(shape) < 0.02] = np.nan
        x[rng.random(shape) < 0.02] = -np.nan
    if kind == "all nan" and x.dtype.kind == "f":
        x[...] = np.nan
    return x


KINDS = ("ties", "many", "least", "most", "zeros", "some nan", "all nan")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [argmax_rows, argmin_rows, argmin_columns])
def test_as_numpy(function: Callable[..., Any], dtype: Any) -> None:
    kernel = tw.kernel(function)
    for shape in SHAPES:
        for kind in KINDS:
            x = data(shape, dtype, kind)
            np.testing.assert_array_equal(kernel(x), function(x), f"{shape} {kind}")


@pytest.mark.parametrize("shape", [(70_000,), (65_537,), (300, 301), (64, 2048)])
def test_whole_arrays_in_parts(shape: tuple[int, ...]) -> None:
    kernel = tw.kernel(argmax_all)
    for kind in KINDS:
        x = data(shape, np.float32, kind)
        assert kernel(x) == argmax_all(x), kind


def test_the_extreme_of_a_row_with_nan_is_nan() -> None:
    x = data((4, 1000), np.float32, "some nan")
    value, position = tw.kernel(both)(x)
    np.testing.assert_array_equal(value, x.max(axis=1))
    np.testing.assert_array_equal(position, x.argmax(axis=1))


@pytest.mark.wasm
def test_on_wasm() -> None:
    kernel = tw.kernel(argmax_rows).on("wasm")
    for kind in KINDS:
        x = data((4, 100), np.float32, kind)
        np.testing.assert_array_equal(kernel(x), argmax_rows(x), kind)


@pytest.mark.wasm
@pytest.mark.parametrize("target", ["cpu", "wasm"])
@pytest.mark.parametrize("function", [argmax_all, lambda x: np.argmin(x)])
def test_parts_of_rows_do_not_hold_the_first_extreme_in_order(
    function: Callable[..., Any], target: str
) -> None:
    """Of parts along columns the first with the best value was taken, and not the one whose
    position is the smallest."""
    x = np.random.default_rng(0).integers(0, 9, (257, 1000)).astype(np.int16)
    x[:5] = 4
    x[3, 500:502] = x[4, 2:4] = (0, 8)
    assert tw.kernel(function).on(target)(x) == function(x)
