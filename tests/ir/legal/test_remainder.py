"""The remainder of floats: every bit as the C library computes it (through NumPy)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codegen_cpu.kernel_runner import RUNNABLE, run_function
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, DType
from tilewright.ir.expr import Apply, Expr, Var
from tilewright.ir.legal.remainder import _least_exponent

Array = NDArray[Any]
TARGETS = [*RUNNABLE, pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]


def _fmod(a: Expr, b: Expr) -> Expr:
    return Apply(ops.FMOD, (a, b))


def _same_bits(got: Array, expected: Array) -> None:
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got), nan)
    whole = np.dtype(f"u{got.itemsize}")
    np.testing.assert_array_equal(got[~nan].view(whole), expected[~nan].view(whole))


def _any_bits(dtype: DType, count: int, seed: int) -> Array:
    """Floats with every exponent, subnormals, infinities and NaNs among them."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    most = np.iinfo(unsigned).max
    rng = np.random.default_rng(seed)
    return rng.integers(0, most, count, dtype=unsigned, endpoint=True).view(dtype.numpy)


def _corners(dtype: DType) -> tuple[Array, Array]:
    """All pairs of the values where something changes."""
    info = np.finfo(dtype.numpy)
    one = np.array(
        [0.0, info.smallest_subnormal, info.tiny, 1.0, 1.5, 3.0, info.max, np.inf, np.nan]
    )
    one = one.astype(dtype.numpy)
    with np.errstate(over="ignore"):
        below, above = np.nextafter(one, one[0]), np.nextafter(one, one[-2])
    one = np.concatenate([one, below, above])
    one = np.concatenate([one, -one])
    a, b = np.meshgrid(one, one)
    return a.ravel(), b.ravel()


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("dtype", [F16, F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_any_operands(target: str, dtype: DType, lanes: int) -> None:
    a, b = _any_bits(dtype, 20_000, 1), _any_bits(dtype, 20_000, 2)
    corners = _corners(dtype)
    a, b = np.concatenate([a, corners[0]]), np.concatenate([b, corners[1]])
    with np.errstate(all="ignore"):
        expected = np.fmod(a, b)
    _same_bits(run_function(_fmod, [a, b], cpu_target(target), lanes), expected)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_quotients_next_to_integers_and_halves(target: str, dtype: DType) -> None:
    rng = np.random.default_rng(3)
    b = rng.uniform(1, 2, 20_000).astype(dtype.numpy)
    with np.errstate(all="ignore"):
        power = dtype.numpy.type(2) ** rng.integers(0, 100, b.size).astype(dtype.numpy)
        a = (b * rng.integers(1, 40, b.size).astype(dtype.numpy) / 2 * power).astype(dtype.numpy)
    a = np.concatenate([a, np.nextafter(a, a * 2), np.nextafter(a, a * 0)])
    b = np.tile(b, 3)
    _same_bits(run_function(_fmod, [a, b], cpu_target(target), 8), np.fmod(a, b))


@pytest.mark.parametrize("divisor", [1.0, 2 * np.pi, -0.1, 1e-40, 3e38, 0.0, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_a_literal_divisor(target: str, dtype: DType, divisor: float) -> None:
    a = _any_bits(dtype, 5_000, 4)
    b = build.const(divisor, dtype)
    with np.errstate(all="ignore"):
        expected = np.fmod(a, dtype.numpy.type(divisor))
    _same_bits(run_function(lambda x: _fmod(x, b), [a], cpu_target(target), 8), expected)


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_short_quotients(target: str, dtype: DType, lanes: int) -> None:
    """Whole vectors whose quotient takes one step, none, or many: each its own way."""
    rng = np.random.default_rng(6)
    b = rng.uniform(0.1, 10, 24_000) * rng.choice((-1, 1), 24_000)
    power = np.repeat((-3.0, 0.0, 10.0, 19.0, 21.0, 60.0), 4_000)
    a = (rng.uniform(-1, 1, b.size) * 2**power * b).astype(dtype.numpy)
    b = b.astype(dtype.numpy)
    _same_bits(run_function(_fmod, [a, b], cpu_target(target), lanes), np.fmod(a, b))


@pytest.mark.parametrize("op", [ops.FLOORDIV, ops.MOD], ids=str)
@pytest.mark.parametrize("dtype", [F16, F32, F64], ids=str)
def test_floor_division_is_numpys(dtype: DType, op: ops.Op) -> None:
    rng = np.random.default_rng(5)
    a = (rng.standard_normal(20_000) * 100).astype(dtype.numpy)
    b = rng.standard_normal(20_000).astype(dtype.numpy)
    corners = _corners(dtype)
    a, b = np.concatenate([a, corners[0]]), np.concatenate([b, corners[1]])
    got = run_function(lambda x, y: Apply(op, (x, y)), [a, b], None, 8)
    if dtype is F16:  # each operation is rounded to float16, NumPy's chain is in float32
        a, b, got = a[:20_000], b[:20_000], got[:20_000]
    with np.errstate(all="ignore"):
        _same_bits(got, op.reference(a, b))


def test_a_literal_divisor_saves_steps() -> None:
    """The exponent of the literal, no less and no more than the dtype has."""
    x = Var("x", dtype=F64)
    for value, exponent in ((1.0, 0), (0.75, -1), (2.0, 1), (3.9, 1), (2.0**-149, -149)):
        assert _least_exponent(build.const(value, F64), -149) == exponent
    assert _least_exponent(build.const(2.0**-160, F64), -149) == -149
    for value in (0.0, -1.0, float("inf"), float("nan")):
        assert _least_exponent(build.const(value, F64), -149) == -149
    assert _least_exponent(x, -149) == -149
