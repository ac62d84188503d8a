"""Sorts of every dtype, axis and size, bit for bit as NumPy's stable ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codegen_cpu.kernel_runner import Compiled, compile_kernel
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir.dtypes import ALL, BOOL, F16, F32, F64, I64, U8, DType
from tilewright.ir.expr import Size, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.sorting.sort_rows import (
    PARALLEL_ELEMENTS,
    SortLowering,
    VectorUnit,
    _least_padding,
    lower_sort,
)
from tilewright.ir.program import SortRows

Array = NDArray[Any]


def _compiled(
    shape: tuple[Size, ...],
    dtype: DType,
    axis: int,
    positions: bool,
    target: str = "host",
    tasks: int = 3,
) -> Compiled:
    source = Buffer("source", shape, dtype)
    result = Buffer("result", shape, I64 if positions else dtype)
    lowered = lower_sort(SortRows("sort", source, result, axis, positions), "sort", tasks)
    return compile_kernel(
        lowered.kernel, [source], [result], lowered.temporaries, cpu_target(target)
    )


def _data(shape: tuple[int, ...], dtype: DType, seed: int) -> Array:
    """Few different values, so that stability shows, and the special ones."""
    rng = np.random.default_rng(seed)
    if dtype is BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if not dtype.is_float:
        some = rng.integers(dtype.min, dtype.max, 12, dtype=dtype.numpy, endpoint=True)
        extremes = np.array([dtype.min, dtype.max], dtype.numpy)
        return rng.choice(np.concatenate([some, extremes]), shape)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1.0, -1.0, 6e-8]
    values = np.append(special, rng.standard_normal(12)).astype(dtype.numpy)
    return rng.choice(values, shape)


def _check(compiled: Compiled, data: Array, axis: int, positions: bool, **more: Any) -> None:
    function = np.argsort if positions else np.sort
    expected = function(data, axis=axis, kind="stable")
    result = np.empty(data.shape, expected.dtype)
    compiled.run([data], [result], **more)
    if positions:
        np.testing.assert_array_equal(result, expected)
        return
    np.testing.assert_array_equal(result, expected)
    if data.dtype.kind == "f":
        # A stable order keeps zeros of both signs as they come; NaNs have no promised sign.
        order = np.argsort(data, axis=axis, kind="stable")
        signs = np.signbit(np.take_along_axis(data, order, axis))
        zeros = result == 0
        np.testing.assert_array_equal(np.signbit(result)[zeros], signs[zeros])


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_every_dtype(dtype: DType, positions: bool) -> None:
    compiled = _compiled((5, 77), dtype, 1, positions)
    _check(compiled, _data((5, 77), dtype, 1), 1, positions)


SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 255, 1000]


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_every_way_of_ending_a_row(size: int, positions: bool) -> None:
    _check(_compiled((2, size), F32, 1, positions), _data((2, size), F32, size), 1, positions)


@pytest.mark.parametrize("positions", [False, True])
def test_open_sizes(positions: bool) -> None:
    rows, size = Var("rows", least=0), Var("size", least=0)
    compiled = _compiled((rows, size), F32, 1, positions)
    for shape in [(0, 5), (3, 0), (1, 1), *((4, n) for n in SIZES)]:
        _check(compiled, _data(shape, F32, 3), 1, positions, symbols=list(shape))


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(6, 20, 10), (9, 1, 7), (0, 3, 4), (40, 30, 20)])
def test_every_axis(shape: tuple[int, ...], axis: int, positions: bool) -> None:
    _check(_compiled(shape, F32, axis, positions), _data(shape, F32, 4), axis, positions)


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("size", [20_000, 65_536, 100_001])
def test_long_rows_use_temporaries(size: int, positions: bool) -> None:
    data = np.random.default_rng(5).standard_normal(size)
    compiled = _compiled((size,), F32, 0, positions)
    assert compiled.program.temporaries
    _check(compiled, data.astype(np.float32), 0, positions)
    _check(compiled, np.sort(data)[::-1].astype(np.float32), 0, positions)


@pytest.mark.wasm
@pytest.mark.parametrize("positions", [False, True])
def test_on_wasm(positions: bool) -> None:
    compiled = _compiled((5, 1000), F32, 1, positions, target="wasm32-simd128")
    _check(compiled, _data((5, 1000), F32, 6), 1, positions)


# Decisions.

AVX2 = VectorUnit(256, 16)
N = Var("N", least=0)


def lowering(
    shape: tuple[Size, ...],
    dtype: DType = F32,
    positions: bool = False,
    unit: VectorUnit = AVX2,
    read: tuple[int, int] | None = None,
) -> SortLowering:
    source = Buffer("source", shape, dtype)
    result = Buffer("result", shape, I64 if positions else dtype)
    axis = len(shape) - 1
    return SortLowering(SortRows("sort", source, result, axis, positions), 16, unit, read)


@pytest.mark.parametrize(
    ("length", "registers", "lanes"),
    [
        (1, 1, 2),
        (2, 1, 2),
        (3, 1, 4),
        (8, 1, 8),
        (9, 2, 8),
        (33, 8, 8),
        (64, 8, 8),  # half of the registers: the other half takes what a stage writes
        (65, 2, 8),  # blocks of 64 would have 63 elements too many, those of 16 have 15
        (112, 2, 8),  # 16 more would be too many, 14 are not
        (114, 8, 8),
        (1000, 8, 8),
        (N, 8, 8),
    ],
)
def test_rows_are_cut_into_blocks_for_the_registers(
    length: Size, registers: int, lanes: int
) -> None:
    bank = lowering((2, length)).bank
    assert (bank.rows, bank.lanes) == (registers, lanes)


def test_padding_of_an_eighth_is_allowed() -> None:
    assert _least_padding(8, 1, 9) == 9
    assert _least_padding(7, 1, 9) == 4  # 1 of 7; 2 of 7 were more
    assert _least_padding(3, 1, 2) == 1


@pytest.mark.parametrize(
    ("dtype", "positions", "bits", "lanes"),
    [
        (U8, False, 256, 8),
        (F16, False, 256, 8),
        (F32, False, 256, 8),
        (F64, False, 256, 4),
        (F32, True, 256, 4),  # the position in the same 64 bits
        (F64, True, 256, 4),
        (F32, False, 128, 4),
        (F64, False, 64, 2),
    ],
)
def test_keys_fill_vectors(dtype: DType, positions: bool, bits: int, lanes: int) -> None:
    for read in (None, (0, 1), (1022, 1023)):
        made = lowering((2, 1024), dtype, positions, VectorUnit(bits, 16), read)
        assert made.lanes == made.bank.lanes == lanes
        assert (made.selection is None) == (read is None)


@pytest.mark.parametrize(
    ("shape", "tasks"),
    [
        ((8, PARALLEL_ELEMENTS // 8), 8),
        ((8, PARALLEL_ELEMENTS // 8 - 1), 1),
        ((40, 1 << 10), 16),
        ((1, 1 << 20), 1),
        ((0, 4), 1),
        ((3, N), 3),
        ((N, 4), 16),
    ],
)
def test_rows_are_spread_over_tasks(shape: tuple[Size, ...], tasks: int) -> None:
    assert lowering(shape).tasks == tasks
