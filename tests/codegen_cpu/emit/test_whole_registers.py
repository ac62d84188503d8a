"""Operations that exist on whole registers only, on any number of lanes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import compile_kernel
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64, DType, signed_of
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Store

TARGET = cpu_target("x86-64-v4")
pytestmark = pytest.mark.skipif(not TARGET.runs_here, reason="needs AVX-512")
SPECIAL = [0.0, -0.0, 1.0, 1.5, 0.75, -2.0, 6.0, np.inf, -np.inf, np.nan, 1e-310, 5e-324, 1e-40]


def run(make: object, dtype: DType, x: np.ndarray, width: int) -> np.ndarray:
    """`make` of every element, `width` lanes at a time."""
    source, target = Buffer("x", (x.size,), dtype), Buffer("y", (x.size,), dtype)
    k = Var("k", x.size)
    body = Store(target, (k,), make(Load(source, (k,))))  # type: ignore[operator]
    loop = For(k, "vector", (body,), width)
    kernel = Kernel("k0", (source, target), (), (), (loop,))
    out = np.empty_like(x)
    compile_kernel(kernel, (source,), (target,), target=TARGET).run((x,), (out,))
    return out


def numbers(dtype: DType, count: int) -> np.ndarray:
    drawn = np.random.default_rng(5).standard_normal(count) * 1e3
    drawn[: len(SPECIAL)] = SPECIAL[:count]
    with np.errstate(over="ignore"):
        return drawn.astype(dtype.numpy)


@pytest.mark.parametrize("width", [1, 4, 16, 64])
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("op", [ops.EXPONENT, ops.MANTISSA])
def test_parts_of_numbers(op: ops.Op, dtype: DType, width: int) -> None:
    x = numbers(dtype, 77)
    got = run(lambda v: Apply(op, (v,)), dtype, x, width)
    np.testing.assert_array_equal(got, op.reference(x))


@pytest.mark.parametrize("width", [1, 4, 16, 64])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_pick(dtype: DType, width: int) -> None:
    x = numbers(dtype, 77)
    table = [build.const(100 + k, dtype) for k in range(16)]

    def picked(value: Expr) -> Expr:
        return Apply(ops.PICK, (build.bitcast(value, signed_of(dtype)), *table))

    wanted = 100 + (x.view(signed_of(dtype).numpy) & 15)
    np.testing.assert_array_equal(run(picked, dtype, x, width), wanted.astype(dtype.numpy))


@pytest.mark.parametrize("width", [1, 16, 64])
def test_scale_rounds_its_exponent_down(width: int) -> None:
    x = np.array([0.0, 0.5, 3.99, -0.25, -149.0, -160.0, 127.5, 128.0] * 5, np.float32)
    one = build.const(1.0, F32)
    got = run(lambda v: Apply(ops.SCALE, (one, v)), F32, x, width)
    np.testing.assert_array_equal(got, ops.SCALE.reference(np.float32(1), x))


@pytest.mark.parametrize("width", [1, 4, 16, 64])
def test_estimates_of_inverse_roots_have_14_bits(width: int) -> None:
    x = np.exp(np.random.default_rng(3).uniform(-80, 80, 77)).astype(np.float32)
    got = run(lambda v: Apply(ops.NATIVE_RSQRT, (v,)), F32, x, width)
    assert np.abs(got * np.sqrt(x.astype(np.float64)) - 1).max() <= 2.0**-14
