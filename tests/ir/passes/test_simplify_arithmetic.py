"""Each identity: the simpler form is found, and both forms are evaluated on corner cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.ir.strategies import arrays, graphs

from tilewright.ir import build, ops
from tilewright.ir.dtypes import (
    ALL,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I32,
    I64,
    INDEX,
    U8,
    U32,
    DType,
    from_short,
)
from tilewright.ir.expr import Apply, Const, Expr, Load, Var
from tilewright.ir.graph import Compute, Graph, Input
from tilewright.ir.interpret_graph import run_graph
from tilewright.ir.passes.simplify_arithmetic import is_exact, simplify, simplify_arithmetic
from tilewright.ir.structure import Keys

Array = NDArray[Any]
Make = Callable[[Expr, Expr], Expr]


def _values(dtype: DType) -> Array:
    """Corner cases of a dtype."""
    if dtype is BOOL:
        return np.array([False, True])
    if dtype.is_float:
        info = np.finfo(dtype.numpy)
        some = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 100.0, 300.0, info.tiny, info.smallest_subnormal]
        some += [info.max, np.inf, np.nan, 2.0**15, 1e-3, 0.1]
        return np.array(some + [-v for v in some]).astype(dtype.numpy)
    most = [dtype.min, dtype.max, dtype.max - 1, dtype.max // 2, 0, 1, 2, 3, 100]
    return np.array(most).astype(dtype.numpy)


def _apply(op: ops.Op, *operands: Expr) -> Expr:
    return Apply(op, operands)


def _c(value: float, like: Expr) -> Expr:
    return build.const(value, like.dtype)


def _cast(value: Expr, *dtypes: DType) -> Expr:
    for dtype in dtypes:
        value = Apply(ops.CAST, (value,), dtype)
    return value


def _flag(x: Expr) -> Expr:
    return _apply(ops.LT, x, _c(2, x))


CASES: list[tuple[str, str, Make, Make]] = [
    ("f16 f32 f64", "x*1", lambda x, y: _apply(ops.MUL, x, _c(1, x)), lambda x, y: x),
    ("f32", "1*x", lambda x, y: _apply(ops.MUL, _c(1, x), x), lambda x, y: x),
    ("f32", "x/1", lambda x, y: _apply(ops.DIV, x, _c(1, x)), lambda x, y: x),
    ("f32", "x-0", lambda x, y: _apply(ops.SUB, x, _c(0, x)), lambda x, y: x),
    ("f32", "x+-0", lambda x, y: _apply(ops.ADD, x, _c(-0.0, x)), lambda x, y: x),
    ("f32", "-0+x", lambda x, y: _apply(ops.ADD, _c(-0.0, x), x), lambda x, y: x),
    ("f32", "x+0 stays", lambda x, y: _apply(ops.ADD, x, _c(0, x)), lambda x, y: _apply(ops.ADD, x, _c(0, x))),
    ("f32", "x--0 stays", lambda x, y: _apply(ops.SUB, x, _c(-0.0, x)), lambda x, y: _apply(ops.SUB, x, _c(-0.0, x))),
    ("f32", "x*0 stays", lambda x, y: _apply(ops.MUL, x, _c(0, x)), lambda x, y: _apply(ops.MUL, x, _c(0, x))),
    ("f32", "x-x stays", lambda x, y: _apply(ops.SUB, x, x), lambda x, y: _apply(ops.SUB, x, x)),
    ("f16 f32 f64", "x/8", lambda x, y: _apply(ops.DIV, x, _c(8, x)), lambda x, y: _apply(ops.MUL, x, _c(0.125, x))),
    ("f16 f32", "x/-.25", lambda x, y: _apply(ops.DIV, x, _c(-0.25, x)), lambda x, y: _apply(ops.MUL, x, _c(-4, x))),
    ("f32", "x/3 stays", lambda x, y: _apply(ops.DIV, x, _c(3, x)), lambda x, y: _apply(ops.DIV, x, _c(3, x))),
    ("f32", "x/2^127 stays", lambda x, y: _apply(ops.DIV, x, _c(2.0**127, x)), lambda x, y: _apply(ops.DIV, x, _c(2.0**127, x))),
    ("f32", "x/0 stays", lambda x, y: _apply(ops.DIV, x, _c(0, x)), lambda x, y: _apply(ops.DIV, x, _c(0, x))),
    ("f32", "x**0", lambda x, y: _apply(ops.POW, x, _c(0, x)), lambda x, y: _c(1, x)),
    ("f32", "x**1", lambda x, y: _apply(ops.POW, x, _c(1, x)), lambda x, y: x),
    ("f32", "x**2", lambda x, y: _apply(ops.POW, x, _c(2, x)), lambda x, y: _apply(ops.MUL, x, x)),
    ("f32", "x**-1", lambda x, y: _apply(ops.POW, x, _c(-1, x)), lambda x, y: _apply(ops.DIV, _c(1, x), x)),
    ("f32", "floor ceil", lambda x, y: _apply(ops.FLOOR, _apply(ops.CEIL, x)), lambda x, y: _apply(ops.CEIL, x)),
    ("i32", "rint cast", lambda x, y: _apply(ops.RINT, _cast(x, F32)), lambda x, y: _cast(x, F32)),
    ("f32 i8 u8", "--x", lambda x, y: _apply(ops.NEG, _apply(ops.NEG, x)), lambda x, y: x),
    ("f32 i8 u8", "x--y", lambda x, y: _apply(ops.SUB, x, _apply(ops.NEG, y)), lambda x, y: _apply(ops.ADD, x, y)),
    ("f32 i8 u8", "x+-y", lambda x, y: _apply(ops.ADD, x, _apply(ops.NEG, y)), lambda x, y: _apply(ops.SUB, x, y)),
    ("f32 i8", "abs neg", lambda x, y: _apply(ops.ABS, _apply(ops.NEG, x)), lambda x, y: _apply(ops.ABS, x)),
    ("u8", "abs neg stays", lambda x, y: _apply(ops.ABS, _apply(ops.NEG, x)), lambda x, y: _apply(ops.ABS, _apply(ops.NEG, x))),
    ("f32 i8 u8", "abs abs", lambda x, y: _apply(ops.ABS, _apply(ops.ABS, x)), lambda x, y: _apply(ops.ABS, x)),
    ("i8 u32", "x+0", lambda x, y: _apply(ops.ADD, x, _c(0, x)), lambda x, y: x),
    ("i8 u32", "x*1", lambda x, y: _apply(ops.MUL, _c(1, x), x), lambda x, y: x),
    ("i8 u32", "x*0", lambda x, y: _apply(ops.MUL, x, _c(0, x)), lambda x, y: _c(0, x)),
    ("i8 u32", "x-x", lambda x, y: _apply(ops.SUB, x, x), lambda x, y: _c(0, x)),
    ("i8 u32", "x//1", lambda x, y: _apply(ops.FLOORDIV, x, _c(1, x)), lambda x, y: x),
    ("i8 u32", "x%1", lambda x, y: _apply(ops.MOD, x, _c(1, x)), lambda x, y: _c(0, x)),
    ("i8 u32 bool", "x&0", lambda x, y: _apply(ops.AND, x, _c(0, x)), lambda x, y: _c(0, x)),
    ("i8", "x&-1", lambda x, y: _apply(ops.AND, x, _c(-1, x)), lambda x, y: x),
    ("u8", "x&255", lambda x, y: _apply(ops.AND, _c(255, x), x), lambda x, y: x),
    ("i8", "x&127 stays", lambda x, y: _apply(ops.AND, x, _c(127, x)), lambda x, y: _apply(ops.AND, x, _c(127, x))),
    ("bool", "x&true", lambda x, y: _apply(ops.AND, x, build.TRUE), lambda x, y: x),
    ("bool", "x|true", lambda x, y: _apply(ops.OR, x, build.TRUE), lambda x, y: build.TRUE),
    ("bool i8", "x|0", lambda x, y: _apply(ops.OR, x, _c(0, x)), lambda x, y: x),
    ("bool i8", "x^0", lambda x, y: _apply(ops.XOR, x, _c(0, x)), lambda x, y: x),
    ("bool", "x^true", lambda x, y: _apply(ops.XOR, x, build.TRUE), lambda x, y: _apply(ops.NOT, x)),
    ("bool i8", "x^x", lambda x, y: _apply(ops.XOR, x, x), lambda x, y: _c(0, x)),
    ("bool i8", "x&x", lambda x, y: _apply(ops.AND, x, x), lambda x, y: x),
    ("i8 u32", "x<<0", lambda x, y: _apply(ops.SHL, x, _c(0, x)), lambda x, y: x),
    ("bool i8", "not not", lambda x, y: _apply(ops.NOT, _apply(ops.NOT, x)), lambda x, y: x),
    ("i8 bool", "not <", lambda x, y: _apply(ops.NOT, _apply(ops.LT, x, y)), lambda x, y: _apply(ops.GE, x, y)),
    ("f32", "not ==", lambda x, y: _apply(ops.NOT, _apply(ops.EQ, x, y)), lambda x, y: _apply(ops.NE, x, y)),
    ("f32", "not < stays", lambda x, y: _apply(ops.NOT, _apply(ops.LT, x, y)), lambda x, y: _apply(ops.NOT, _apply(ops.LT, x, y))),
    ("f32 i8", "max(x,x)", lambda x, y: _apply(ops.MAX, x, x), lambda x, y: x),
    ("f32", "select same", lambda x, y: _apply(ops.SELECT, _flag(x), y, y), lambda x, y: y),
    ("f32", "select true", lambda x, y: _apply(ops.SELECT, build.TRUE, x, y), lambda x, y: x),
    ("i8", "select flag", lambda x, y: _apply(ops.SELECT, _flag(x), build.TRUE, build.FALSE), lambda x, y: _flag(x)),
    ("f32", "select not", lambda x, y: _apply(ops.SELECT, _apply(ops.NOT, _flag(x)), x, y), lambda x, y: _apply(ops.SELECT, _flag(x), y, x)),
    ("u8", "u8 i32 i8", lambda x, y: _cast(x, I32, I8), lambda x, y: _cast(x, I8)),
    ("i8", "i8 i32 i8", lambda x, y: _cast(x, I32, I8), lambda x, y: x),
    ("i8", "i8 f32 i32", lambda x, y: _cast(x, F32, I32), lambda x, y: _cast(x, I32)),
    ("i32", "i32 f64 f32", lambda x, y: _cast(x, F64, F32), lambda x, y: _cast(x, F32)),
    ("i32", "i32 f64 i8 stays", lambda x, y: _cast(x, F64, I8), lambda x, y: _cast(x, F64, I8)),
    ("f32", "f32 f64 f32", lambda x, y: _cast(x, F64, F32), lambda x, y: x),
    ("f64", "f64 f32 f64 stays", lambda x, y: _cast(x, F32, F64), lambda x, y: _cast(x, F32, F64)),
    ("f16", "f16 f32 u8", lambda x, y: _cast(x, F32, U8), lambda x, y: _cast(x, U8)),
    ("i8", "i8 u32 i64 stays", lambda x, y: _cast(x, U32, I64), lambda x, y: _cast(x, U32, I64)),
    ("bool", "bool f32 bool", lambda x, y: _cast(x, F32, BOOL), lambda x, y: x),
]  # fmt: skip


def _dtyped() -> list[Any]:
    return [
        pytest.param(from_short(short), before, after, id=f"{label} {short}")
        for shorts, label, before, after in CASES
        for short in shorts.split()
    ]


def _run(value: Expr, axis: Var, inputs: tuple[Input, ...], data: list[Array]) -> Array:
    (result,) = run_graph(Graph("g", inputs, (Compute("t", (axis,), value),)), data)
    return result


def _same(a: Array, b: Array) -> None:
    """Equal bits, but for NaNs."""
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)
    if a.dtype.kind == "f":
        number = ~np.isnan(a)
        np.testing.assert_array_equal(np.signbit(a[number]), np.signbit(b[number]))


@pytest.mark.parametrize(("dtype", "before", "after"), _dtyped())
def test_rule(dtype: DType, before: Make, after: Make) -> None:
    x, y = (a.ravel() for a in np.meshgrid(_values(dtype), _values(dtype)))
    axis = Var("i", x.size)
    inputs = Input("x", (x.size,), dtype), Input("y", (x.size,), dtype)
    loads = [Load(t, (axis,)) for t in inputs]
    simple = simplify(before(*loads), {})
    keys = Keys()
    assert keys.of(simple, {}) == keys.of(after(*loads), {}), simple
    _same(
        _run(before(*loads), axis, inputs, [x, y]),
        _run(after(*loads), axis, inputs, [x, y]),
    )


@pytest.mark.parametrize("target", ALL, ids=str)
@pytest.mark.parametrize("source", ALL, ids=str)
def test_exact_conversions_come_back(source: DType, target: DType) -> None:
    if is_exact(source, target):
        values = _values(source)
        there = ops.convert(values, target.numpy)
        np.testing.assert_array_equal(ops.convert(there, source.numpy), values)
        if not source.is_float and not target.is_float:
            np.testing.assert_array_equal(there.astype(object), values.astype(object))


def test_an_index_has_at_least_32_bits_and_at_most_64() -> None:
    assert is_exact(I32, INDEX)
    assert not is_exact(I64, INDEX)
    assert not is_exact(U32, INDEX)
    assert is_exact(INDEX, I64)
    assert not is_exact(INDEX, F64)
    assert not is_exact(U8, I8)
    assert not is_exact(I32, F16)


def test_a_node_that_became_a_copy_is_dropped() -> None:
    x, i = Input("x", (4,), F32), Var("i", 4)
    scaled = Compute("scaled", (i,), Apply(ops.MUL, (Load(x, (i,)), build.const(1, F32))))
    j = Var("j", 4)
    double = Compute("double", (j,), Apply(ops.ADD, (Load(scaled, (j,)), Load(scaled, (j,)))))
    (output,) = simplify_arithmetic(Graph("g", (x,), (double,))).outputs
    assert output.sources == (x,)


def test_a_slice_and_a_transpose_are_no_copies() -> None:
    x, i, j = Input("x", (4, 4), F32), Var("i", 4), Var("j", 4)
    transposed = Compute("t", (i, j), Load(x, (j, i)))
    k = Var("k", 2), Var("l", 4)
    part = Compute("p", k, Load(x, k))
    graph = Graph("g", (x,), (transposed, part))
    assert simplify_arithmetic(graph) is graph


def test_literals_are_left_alone() -> None:
    assert simplify(value := Const(1.0, F16), {}) is value


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_graphs_keep_their_values(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    inputs = [data.draw(arrays(t.shape, t.dtype)) for t in graph.inputs]
    for old, new in zip(
        run_graph(graph, inputs), run_graph(simplify_arithmetic(graph), inputs), strict=True
    ):
        _same(old, new)
