"""float16 conversions against NumPy's, with the machine's instruction and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codegen_cpu.kernel_runner import RUNNABLE, compile_kernel, run_function
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I16, I64, U64, DType
from tilewright.ir.expr import Apply, Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Store

Array = NDArray[Any]
TARGETS = [*RUNNABLE, pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]
EVERY_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def _same(got: Array, expected: Array) -> None:
    """Equal bits; of NaNs only the sign is compared (a signalling one becomes quiet)."""
    assert got.dtype == expected.dtype
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))
    np.testing.assert_array_equal(got[~nan].view(np.uint8), expected[~nan].view(np.uint8))


def _cast(array: Array, dtype: DType, target: str, lanes: int = 8) -> Array:
    return run_function(lambda x: build.cast(x, dtype), [array], cpu_target(target), lanes)


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("target", TARGETS)
def test_every_half_widens(target: str, lanes: int) -> None:
    _same(_cast(EVERY_HALF, F32, target, lanes), EVERY_HALF.astype(np.float32))


def _near_halves(dtype: DType) -> Array:
    """Every half, the midpoints between neighbours, and the next values on both sides."""
    with np.errstate(all="ignore"):
        exact = np.sort(EVERY_HALF[np.isfinite(EVERY_HALF)].astype(np.float64))
        points = np.concatenate([exact, (exact[1:] + exact[:-1]) / 2, [65520.0, -65520.0, 1e30]])
        points = points.astype(dtype.numpy)
        up, down = np.nextafter(points, np.inf), np.nextafter(points, -np.inf)
    return np.concatenate([points, up, down])


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_boundaries_narrow_with_one_rounding(target: str, dtype: DType, lanes: int) -> None:
    values = _near_halves(dtype)
    with np.errstate(all="ignore"):
        expected = values.astype(np.float16)
    _same(_cast(values, F16, target, lanes), expected)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_any_bits_narrow(target: str, dtype: DType) -> None:
    whole = np.dtype(f"u{dtype.itemsize}")
    rng = np.random.default_rng(1)
    values = rng.integers(0, np.iinfo(whole).max, 100_000, dtype=whole).view(dtype.numpy)
    # Most exponents are far outside of float16: add as many inside.
    values = np.concatenate([values, rng.standard_normal(100_000).astype(dtype.numpy)])
    with np.errstate(all="ignore"):
        expected = values.astype(np.float16)
    _same(_cast(values, F16, target), expected)


@pytest.mark.parametrize("dtype", [I64, U64, BOOL], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_integers_narrow_with_one_rounding(target: str, dtype: DType) -> None:
    rng = np.random.default_rng(2)
    near = np.arange(0, 70_000)
    far = rng.integers(0, 1 << 62, 1000) | 1
    values = np.concatenate([near, far, -near if dtype is I64 else near]).astype(dtype.numpy)
    with np.errstate(all="ignore"):
        expected = values.astype(np.float16)
    _same(_cast(values, F16, target), expected)


@pytest.mark.parametrize("op", [ops.ADD, ops.MUL, ops.DIV, ops.MAX, ops.NEXTAFTER, ops.COPYSIGN])
@pytest.mark.parametrize("target", TARGETS)
def test_arithmetic_rounds_as_numpy(target: str, op: ops.Op) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 1 << 16, 20_000, dtype=np.uint16).view(np.float16) for _ in "ab")
    got = run_function(lambda x, y: Apply(op, (x, y)), [a, b], cpu_target(target), 8)
    with np.errstate(all="ignore"):
        expected = op.reference(a, b)
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(got[~nan].view(np.uint16), expected[~nan].view(np.uint16))


@pytest.mark.parametrize("target", TARGETS)
def test_selects_literals_and_bits(target: str) -> None:
    def make(x: Expr) -> Expr:
        flipped = build.bitcast(
            Apply(ops.XOR, (build.bitcast(x, I16), build.const(-0x8000, I16))), F16
        )
        return build.select(build.lt(x, build.const(1.5, F16)), flipped, build.const(-0.1, F16))

    got = run_function(make, [EVERY_HALF], cpu_target(target), 8)
    _same(got, np.where(EVERY_HALF < 1.5, -EVERY_HALF, np.float16(-0.1)))


@pytest.mark.parametrize("target", TARGETS)
def test_registers_and_lane_reductions(target: str) -> None:
    source, out = Buffer("x", (5, 16), F16), Buffer("out", (5,), F16)
    best = Buffer("best", (16,), F16, "register")
    row, lane = Var("row", 5), Var("lane", 16)
    body = [
        For(lane, "vector", [Store(best, (lane,), Load(source, (row, lane)))], 8),
        Store(out, (row,), LaneReduce(ops.MAX, best)),
    ]
    kernel = Kernel("f", (source, out), (), (best,), (For(row, "serial", body),))
    values = np.random.default_rng(4).standard_normal((5, 16)).astype(np.float16)
    result = np.empty(5, np.float16)
    compile_kernel(kernel, [source], [out], (), cpu_target(target)).run([values], [result])
    np.testing.assert_array_equal(result, values.max(1))
