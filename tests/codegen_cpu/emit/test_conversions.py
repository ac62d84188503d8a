"""Floats to integers in vectors: saturating, NaN to 0, as one element at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.codegen_cpu.kernel_runner import RUNNABLE, compile_kernel, run_function
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build
from tilewright.ir.dtypes import F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, DType
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer, For, Kernel, Store

TARGETS = [*RUNNABLE, pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]


def interesting(source: DType, target: DType) -> np.ndarray:
    """Values next to the bounds of the integer, to 0 and to halves, and all kinds of floats."""
    real = source.numpy.type
    corners = [real(v) for v in (0, 0.5, 1, 1.5, target.min, target.max, 2.0**31, 2.0**63, 1e30)]
    with np.errstate(over="ignore"):
        around = [f(c) for c in corners for f in (lambda c: c, _below, _above)]
    values = np.array([*around, np.inf, np.nan], source.numpy)
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 1 << source.bits, 500, dtype=f"u{source.itemsize}", endpoint=False)
    return np.concatenate([values, -values, bits.view(source.numpy)])


def _below(value: np.floating) -> Any:
    return np.nextafter(value, type(value)(-np.inf))


def _above(value: np.floating) -> Any:
    return np.nextafter(value, type(value)(np.inf))


def saturated(values: np.ndarray, target: DType) -> np.ndarray:
    """Python's integers know no bounds."""
    made = []
    for value in values.tolist():
        if value != value:
            made.append(0)
        elif np.isinf(value):
            made.append(target.max if value > 0 else target.min)
        else:
            made.append(min(max(int(value), target.min), target.max))
    return np.array(made, target.numpy)


@pytest.mark.parametrize("lanes", [1, 3, 8, 16])
@pytest.mark.parametrize("integer", [I8, I16, I32, I64, U8, U16, U32, U64], ids=str)
@pytest.mark.parametrize("source", [F32, F64], ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_every_lane_saturates(target: str, source: DType, integer: DType, lanes: int) -> None:
    values = interesting(source, integer)
    found = run_function(lambda x: build.cast(x, integer), [values], cpu_target(target), lanes)
    np.testing.assert_array_equal(found, saturated(values, integer))


@pytest.mark.parametrize("source", [F32, F64], ids=str)
def test_only_vectors_are_brought_into_range_first(source: DType) -> None:
    """Of one number LLVM makes few instructions itself."""
    for lanes, by_llvm in ((1, True), (4, False)):
        x, out = Buffer("x", (lanes,), source), Buffer("out", (lanes,), I32)
        lane = Var("lane", lanes)
        store = Store(out, (lane,), build.cast(Load(x, (lane,)), I32))
        kernel = Kernel("k", (x, out), (), (), (For(lane, "vector", [store], lanes),))
        text = compile_kernel(kernel, [x], [out], target=cpu_target("x86-64-v2")).text
        assert ("llvm.fptosi.sat" in text) == by_llvm
