"""Strides over open dimensions: sizes with divisions, in loads and in stores of every kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import compile_kernel
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, Store
from tilewright.ir.lower.finish_kernel import finish_kernel

M = Var("M")
TARGETS = ["host", pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]


def over(size: Expr, op: ops.Op, divisor: int) -> Expr:
    return Apply(op, (size, build.index(divisor)))


SIZES: dict[str, tuple[Expr, Callable[[int], int]]] = {
    "half": (over(M, ops.FLOORDIV, 2), lambda m: m // 2),
    "half, rounded up": (over(build.add(M, build.index(1)), ops.FLOORDIV, 2), lambda m: -(-m // 2)),
    "rest": (over(M, ops.MOD, 5), lambda m: m % 5),
    "below zero": (
        build.add(over(build.sub(M, build.index(9)), ops.FLOORDIV, 2), build.index(9)),
        lambda m: (m - 9) // 2 + 9,
    ),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SIZES)
def test_a_stride_may_hold_a_division(name: str, target: str) -> None:
    size, value = SIZES[name]
    source, result = Buffer("x", (3, 2, size), F32), Buffer("y", (3, 2, size), F32)
    i, j, k = Var("i", 3), Var("j", 2), Var("k", size)
    store = Store(result, (build.sub(build.index(2), i), j, k), Load(source, (i, j, k)))
    body = [For(i, "serial", [For(j, "serial", [For(k, "serial", [store])])])]
    kernel = finish_kernel("flip", body, ())
    compiled = compile_kernel(kernel, [source], [result], target=cpu_target(target))
    for m in (1, 2, 7, 8, 33):
        x = np.random.default_rng(0).random((3, 2, value(m)), np.float32)
        y = np.zeros_like(x)
        compiled.run([x], [y], symbols=[m])
        np.testing.assert_array_equal(y, x[::-1])


def test_the_outer_part_of_an_address_is_added_outside() -> None:
    """Of ``x[j, i]``, whose inner variable comes first, the inner loop adds `j` alone."""
    x, y = Buffer("x", (7, 5), F32), Buffer("y", (5, 7), F32)
    i, j = Var("i", 5), Var("j", 7)
    body = [For(i, "serial", [For(j, "serial", [Store(y, (i, j), Load(x, (j, i)))])])]
    kernel = finish_kernel("turn", body, ())
    text = compile_kernel(kernel, [x], [y], target=cpu_target("x86-64-v3")).text
    inner = text.rpartition("\nloop")[2].partition("br i1")[0]
    assert "store float" in inner
    assert inner.count("getelementptr") == 2
