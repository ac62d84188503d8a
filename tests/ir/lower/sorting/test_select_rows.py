"""Sorts of which only an end is read: the same elements as a whole sort has there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_cpu.kernel_runner import compile_kernel
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir.dtypes import F32, F64, I32, I64, U8, DType
from tilewright.ir.kernel import Buffer, If, Store, WhileLoop, statements
from tilewright.ir.lower.elements_read import elements_read
from tilewright.ir.lower.lowered import Lowered
from tilewright.ir.lower.sorting.sort_rows import VectorUnit, lower_sort
from tilewright.ir.program import SortRows

ENDS = [(0, 0), (0, 4), (0, 19), (-1, -1), (-5, -1), (-20, -1)]


def lowered(
    shape: tuple[int, int], dtype: DType, positions: bool, read: tuple[int, int]
) -> tuple[Lowered, Buffer, Buffer]:
    source = Buffer("source", shape, dtype)
    target = Buffer("target", shape, I64 if positions else dtype)
    step = SortRows("s", source, target, 1, positions)
    return lower_sort(step, "s", 3, VectorUnit(256, 16), read), source, target


def data(shape: tuple[int, int], dtype: DType, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    if dtype.is_float and seed == 0:
        return rng.standard_normal(shape).astype(dtype.numpy)
    if dtype.is_float:
        few = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan]
        return rng.choice(np.array(few[: 2 + 3 * (seed - 1)], dtype.numpy), shape)
    return rng.integers(0, 4 if seed else 250, shape).astype(dtype.numpy)


@pytest.mark.parametrize("dtype", [F32, F64, I32, I64, U8], ids=str)
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("read", ENDS)
def test_the_ends_of_rows(dtype: DType, positions: bool, read: tuple[int, int]) -> None:
    for size in (512, 1003):
        shape = (3, size)
        places = slice(read[0] % size, read[1] % size + 1)
        made, source, target = lowered(shape, dtype, positions, (places.start, places.stop - 1))
        assert not _merges(made) or len(range(size)[places]) > 5
        compiled = compile_kernel(made.kernel, [source], [target], made.temporaries)
        for seed in range(3):
            x = data(shape, dtype, seed)
            found = np.zeros(shape, target.dtype.numpy)
            compiled.run([x], [found])
            whole = (np.argsort if positions else np.sort)(x, axis=1, kind="stable")
            np.testing.assert_array_equal(found[:, places], whole[:, places])
            if dtype.is_float and not positions:
                order = np.argsort(x, axis=1, kind="stable")
                signs = np.signbit(np.take_along_axis(x, order, 1))[:, places]
                zeros = whole[:, places] == 0
                np.testing.assert_array_equal(np.signbit(found[:, places])[zeros], signs[zeros])


def _merges(made: Lowered) -> list[Any]:
    """Loops that merge runs: a sort of the whole row has them."""
    loops = [s for s in statements(made.kernel.body) if isinstance(s, WhileLoop)]
    return [s for s in loops if any(isinstance(i, WhileLoop) for i in statements(s.body))]


def test_a_whole_sort_has_merges() -> None:
    made, _, _ = lowered((3, 1003), F32, True, (0, 1002))
    assert _merges(made)


def _read(function: Any, *shape: int) -> tuple[int, int] | None:
    program = program_of(function, [np.zeros(shape, np.float32)])
    (sort,) = (s for s in program.steps if isinstance(s, SortRows))
    return elements_read(program, sort.target, sort.axis)


def test_what_is_read_of_a_sort() -> None:
    assert _read(lambda x: np.sort(x)[:5] + 1, 100) == (0, 4)
    assert _read(lambda x: np.sort(x)[-3:] + 1, 100) == (97, 99)
    assert _read(lambda x: np.sort(x)[::-1][:4] + 1, 100) == (96, 99)
    assert _read(lambda x: np.sort(x)[0] + np.sort(x)[9], 100) == (0, 9)
    assert _read(lambda x: np.sort(x, axis=0)[2] * 2, 100, 7) == (2, 2)


def test_a_sort_that_is_returned_is_read_as_a_whole() -> None:
    assert _read(lambda x: (np.sort(x), np.sort(x)[:5] + 1), 100) is None


def test_a_sort_at_computed_places_is_read_as_a_whole() -> None:
    found = _read(lambda x: np.take(np.sort(x), x.astype(np.int32), mode="clip") + 1, 100)
    assert found in (None, (0, 99))


@pytest.mark.parametrize("target", ["cpu", pytest.param("wasm", marks=pytest.mark.wasm)])
def test_top_k_of_a_kernel(target: str) -> None:
    def top(x: Any) -> Any:
        order = np.argsort(-x, axis=1)[:, :5]
        return np.take_along_axis(x, order, axis=1), order

    x = np.random.default_rng(3).standard_normal((5, 2000)).astype(np.float32)
    values, order = tw.kernel(top).on(target)(x)
    expected = np.argsort(-x, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(x, expected, axis=1))


def test_every_feature_level_selects() -> None:
    x = data((3, 1003), F32, 0)
    for name in ("x86-64-v2", "x86-64-v3"):
        target = cpu_target(name)
        unit = VectorUnit(target.vector_bits, target.vector_registers)
        source, result = Buffer("x", (3, 1003), F32), Buffer("y", (3, 1003), I64)
        step = SortRows("s", source, result, 1, True)
        made = lower_sort(step, "s", 1, unit, (0, 4))
        found = np.zeros((3, 1003), np.int64)
        compiled = compile_kernel(made.kernel, [source], [result], made.temporaries, target)
        compiled.run([x], [found])
        np.testing.assert_array_equal(found[:, :5], np.argsort(x, axis=1, kind="stable")[:, :5])


def test_what_is_better_raises_the_limit() -> None:
    """Else later groups would be sorted that have nothing to offer."""
    made, *_ = lowered((3, 1003), F32, False, (0, 4))
    looked = [s for s in statements(made.kernel.body) if isinstance(s, If)]
    raising = [
        s
        for s in looked
        if any(isinstance(t, Store) and t.buffer.name == "limit" for t in statements(s.body))
    ]
    assert len(raising) == 2  # in the loop over whole groups, and for the last elements
