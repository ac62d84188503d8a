"""Intervals of what a graph computes: they hold every element, and prove common table lookups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.trace.run import trace
from tilewright.ir import build, ops
from tilewright.ir.analysis.intervals import UNKNOWN, Interval
from tilewright.ir.analysis.tensor_ranges import bounds
from tilewright.ir.dtypes import F16, F32, F64, I32, U8, from_numpy
from tilewright.ir.element_types import ElementType
from tilewright.ir.expr import Apply, Const, Expr, Load, Var
from tilewright.ir.graph import (
    Compute,
    Constant,
    Input,
    Reduction,
    Reshape,
    Scan,
    Sort,
    Tensor,
)

ROW = Var("i", 5)
FLOATS, HALVES, DOUBLES = (Input(d.name, (5,), d) for d in (F32, F16, F64))
LEVELS = Input("u", (5,), U8)


def of(tensor: Tensor) -> Expr:
    return Load(tensor, (ROW,))


def clipped(tensor: Tensor, low: float, high: float) -> Expr:
    dtype = tensor.dtype
    below = Apply(ops.MIN, (of(tensor), build.const(high, dtype)))
    return Apply(ops.MAX, (below, build.const(low, dtype)))


def times(value: Expr, factor: float) -> Expr:
    return Apply(ops.MUL, (value, build.const(factor, value.dtype)))


UNIT = clipped(FLOATS, 0.0, 1.0)
STORED = Compute("c", (ROW,), build.cast(clipped(FLOATS, -2.5, 3.0), I32))


def constant(values: list[Any], dtype: Any) -> Tensor:
    array = np.array(values, dtype)
    made = from_numpy(array.dtype)
    assert made is not None
    return Constant("c", array, made)


def reduced(combiner: str, points: int) -> Tensor:
    r = Var("r", points)
    return Reduction("r", (ROW,), (r,), combiner, Load(STORED, (r,)))


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (UNIT, (0, 1)),
        (build.cast(UNIT, I32), (0, 1)),
        (build.cast(times(UNIT, 1023.0), I32), (0, 1023)),
        (build.cast(Apply(ops.FLOOR, (times(UNIT, 7.5),)), I32), (0, 8)),
        (Apply(ops.FLOOR, (clipped(FLOATS, -2.5, 2.5),)), (-3, 2)),
        (Apply(ops.CEIL, (clipped(FLOATS, -2.5, 2.5),)), (-2, 3)),
        (Apply(ops.RINT, (clipped(FLOATS, -2.5, 3.5),)), (-2, 4)),
        (build.cast(clipped(FLOATS, -2.5, 2.5), I32), (-2, 2)),
        # A GPU may compute it in float32, where that is 8.
        (build.cast(clipped(DOUBLES, 0.0, 7.9999999999), I32), (0, 8)),
        (clipped(FLOATS, -2.5, 2.5), (-3, 3)),
        # NaN becomes 0, wherever the interval is.
        (build.cast(clipped(FLOATS, 4.0, 9.0), I32), (0, 9)),
        (build.cast(clipped(FLOATS, -2.5, 2.5), U8), (0, 255)),
        (build.cast(of(FLOATS), U8), (0, 255)),
        (of(FLOATS), UNKNOWN),
        (Apply(ops.EXP, (UNIT,)), UNKNOWN),
        # A quotient may be rounded up to the divisor.
        (Apply(ops.MOD, (UNIT, build.const(3.0, F32))), UNKNOWN),
        # Beyond the integers that a float can be, rounding may pass an end.
        (times(UNIT, 2.0**24), (0, 1 << 24)),
        (times(UNIT, 2.0**25), (0, None)),
        (times(clipped(HALVES, 0.0, 1.0), 2049.0), (0, 2048)),
        (times(clipped(HALVES, 0.0, 1.0), 4096.0), (0, None)),
        (Const(float("inf"), F32), UNKNOWN),
        (build.cast(of(LEVELS), F32), (0, 255)),
        (of(STORED), (-2, 3)),
        (of(Reshape("r", STORED, (5,))), (-2, 3)),
        (of(Sort("s", STORED, 0, False)), (-2, 3)),
        (of(Scan("m", STORED, 0, "max")), (-2, 3)),
        (of(Scan("m", STORED, 0, "add")), (I32.min, I32.max)),
        (of(constant([3, -7, 9], np.int32)), (-7, 9)),
        (of(constant([True, True, True], np.bool_)), (1, 1)),
        (of(constant([3, 7, 9], np.uint8)), (3, 9)),
        (of(constant([1.0, 2.0], np.float32)), UNKNOWN),
        (of(constant([], np.uint8)), (0, 255)),
        (of(constant([], np.int32)), (I32.min, I32.max)),
        (of(Sort("s", STORED, 0, True)), (0, 4)),
        (of(Reshape("q", Sort("s", STORED, 0, True), (5,))), (0, 4)),
        (of(reduced("argmax", 3)), (0, 2)),
        (of(reduced("argmin", 1)), (0, 0)),
        (of(reduced("max", 3)), (-2, 3)),
        (of(reduced("min", 3)), (-2, 3)),
        (of(reduced("add", 3)), (I32.min, I32.max)),
        (of(Compute("p", (ROW,), build.cast(ROW, I32))), (0, 4)),
        (Var("N"), UNKNOWN),
        (Var("N", least=3), (3, None)),
        (Var("j", Var("N", least=3)), (0, None)),
        (Var("j", build.minimum(Var("N", least=3), build.index(8))), (0, 7)),
        (build.select(Apply(ops.LT, (ROW, build.index(2))), build.index(9), ROW), (0, 9)),
        (build.select(Apply(ops.LT, (ROW, build.index(2))), ROW, build.index(-9)), (-9, 4)),
        (Apply(ops.TRUNC, (clipped(FLOATS, -2.5, 2.5),)), (-2, 2)),
        (Apply(ops.FLOOR, (build.const(-0.5, F32),)), (-1, -1)),
        (Apply(ops.RINT, (Apply(ops.FMAX, (of(FLOATS), build.const(2.5, F32))),)), (2, None)),
        # Rounding goes past all four extremes to their literals, and past nothing else.
        *(
            (Apply(ops.FLOOR, (Apply(op, (clipped(FLOATS, -2.5, 9.5), build.const(b, F32))),)), w)
            for op, b, w in (
                (ops.MIN, 7.5, (-3, 7)),
                (ops.FMIN, 7.5, (-3, 7)),
                (ops.MAX, 1.5, (1, 9)),
                (ops.FMAX, 1.5, (1, 9)),
                (ops.ADD, 1.5, (-2, 12)),
            )
        ),
        (Apply(ops.ADD, (of(LEVELS), of(LEVELS))), (0, 255)),
        (Apply(ops.SUB, (build.const(0, U8), build.const(1, U8))), (0, 255)),
        (Apply(ops.SHR, (of(LEVELS), build.const(4, U8))), (0, 15)),
        (Apply(ops.SHL, (of(LEVELS), build.const(4, U8))), (0, 255)),
    ],
)
def test_bounds(node: Expr, wanted: Interval) -> None:
    assert bounds(node) == wanted


TABLE = np.arange(1024, dtype=np.float32)
F = np.float32
LOOKUPS: dict[str, tuple[ElementType, Callable[[Any], Any]]] = {
    "high bits": (tw.u8, lambda x: TABLE[:16][x >> 4]),
    "low bits": (tw.u32, lambda x: TABLE[:8][x & 7]),
    "hashed": (tw.u32, lambda x: TABLE[(x * np.uint32(2654435761)) >> np.uint32(22)]),
    "three channels": (tw.u8, lambda x: TABLE[:256][(x >> 5 << 5) | (x >> 3 & 28) | (x >> 6)]),
    "levels": (tw.f32, lambda x: TABLE[np.clip(x * 1023, 0, 1023).astype(np.int32)]),
    "next one": (tw.f32, lambda x: TABLE[np.floor(x.clip(0, 1022.5)).astype(np.int32) + 1]),
    "sizes": (tw.i16, lambda x: TABLE[np.minimum(np.abs(x.astype(np.int32)), 1023)]),
    "remainder": (tw.i32, lambda x: TABLE[:10][(x % 10).reshape(-1)]),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_table_lookups_are_proven_inside(name: str) -> None:
    dtype, function = LOOKUPS[name]
    assert not trace(function, {"x": dtype[50]}).graph.checks


@pytest.mark.parametrize(
    "function",
    [
        lambda x: TABLE[np.clip(x * 1023, 0, 1024).astype(np.int32)],
        lambda x: TABLE[:512][np.clip(x, 0, 512.5).astype(np.int32)],
        lambda x: TABLE[(x % 1023).astype(np.int32) + 1],
        lambda x: TABLE[np.clip(x, -1, 1023).astype(np.int32) - 1024],
    ],
)
def test_what_may_leave_the_table_is_checked(function: Callable[[Any], Any]) -> None:
    assert trace(function, {"x": tw.f32[50]}).graph.checks


@pytest.mark.parametrize(
    "target",
    [
        "cpu",
        pytest.param("wasm", marks=pytest.mark.wasm),
        pytest.param("wgsl", marks=pytest.mark.wgsl),
        pytest.param("glsl", marks=pytest.mark.glsl),
    ],
)
def test_floats_that_are_no_position(target: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 3e38, 1e-40, 0.9999999, 1.0], F)
    levels = tw.kernel(target=target)(LOOKUPS["levels"][1])
    assert levels(x).tolist() == [0, 1023, 0, 0, 1023, 0, 1022, 1023]
