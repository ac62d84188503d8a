"""Each identity: the simpler form is found, and both forms are evaluated on corner cases."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.ir.strategies import FREE, arrays, graphs
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
from tilewright.ir.expr import Apply, Const, Expr, Load, Source, Var
from tilewright.ir.graph import Compute, Graph, Input
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.values import evaluate, reads_nothing, shape_value
from tilewright.ir.parser import parse_graph
from tilewright.ir.passes.simplify_arithmetic import is_exact, simplify, simplify_arithmetic
from tilewright.ir.structure import Keys
from tilewright.ir.traverse import variables

Array = NDArray[Any]
KEYS = Keys()


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
    return np.array(most, object).astype(dtype.numpy)


CASES = """
f16 f32 f64 | T    | x * 1.0:T                    => x
f32         | T    | 1.0:T * x                    => x
f32         | T    | x / 1.0:T                    => x
f32         | T    | x - 0.0:T                    => x
f32         | T    | x + -0.0:T                   => x
f32         | T    | -0.0:T + x                   => x
f32         | T    | x + 0.0:T                    => x + 0.0:T
f32         | T    | x - -0.0:T                   => x - -0.0:T
f32         | T    | x * 0.0:T                    => x * 0.0:T
f32         | T    | x - x                        => x - x
f16 f32 f64 | T    | x / 8.0:T                    => x * 0.125:T
f16 f32     | T    | x / -0.25:T                  => x * -4.0:T
f32         | T    | x / 3.0:T                    => x / 3.0:T
f32         | T    | x / 0.0:T                    => x / 0.0:T
f32         | T    | x / 1.7014118346046923e38:T  => x / 1.7014118346046923e38:T
f16         | T    | x / 32768.0:T                => x / 32768.0:T
f32         | T    | pow(x, 0.0:T)                => 1.0:T
f32         | T    | pow(x, 1.0:T)                => x
f32         | T    | pow(x, 2.0:T)                => x * x
f32         | T    | pow(x, -1.0:T)               => 1.0:T / x
f32         | T    | pow(x, 0.5:T)                => pow(x, 0.5:T)
f32         | T    | floor(ceil(x))               => ceil(x)
i32         | f32  | rint(f32(x))                 => f32(x)
f32 i8 u8   | T    | neg(neg(x))                  => x
f32 i8 u8   | T    | x - neg(y)                   => x + y
f32 i8 u8   | T    | x + neg(y)                   => x - y
f32 i8      | T    | abs(neg(x))                  => abs(x)
u8          | T    | abs(neg(x))                  => abs(neg(x))
f32 i8 u8   | T    | abs(abs(x))                  => abs(x)
i8 u32      | T    | x + 0:T                      => x
i8 u32      | T    | 1:T * x                      => x
i8 u32      | T    | x * 0:T                      => 0:T
i8 u32      | T    | x - x                        => 0:T
i8 u32      | T    | x // 1:T                     => x
i8 u32      | T    | x % 1:T                      => 0:T
i8 u32      | T    | x & 0:T                      => 0:T
i8          | T    | x & -1:T                     => x
u8          | T    | 255:T & x                    => x
i8          | T    | x & 127:T                    => x & 127:T
i8          | T    | x | 0:T                      => x
i8          | T    | x ^ 0:T                      => x
i8          | T    | x ^ x                        => 0:T
i8          | T    | x & x                        => x
bool        | T    | x & true                     => x
bool        | T    | x & false                    => false
bool        | T    | x | true                     => true
bool        | T    | x | false                    => x
bool        | T    | x ^ true                     => not(x)
bool        | T    | x ^ x                        => false
i8 u32      | T    | shl(x, 0:T)                  => x
bool i8     | T    | not(not(x))                  => x
bool i8     | bool | not(x < y)                   => x >= y
f32         | bool | not(x == y)                  => x != y
f32         | bool | not(x < y)                   => not(x < y)
bool i8     | bool | not(x <= y)                  => x > y
bool i8     | bool | not(x > y)                   => x <= y
bool i8     | bool | not(x >= y)                  => x < y
bool i8     | bool | not(x == y)                  => x != y
bool i8 f32 | bool | not(x != y)                  => x == y
f32         | bool | not(x <= y)                  => not(x <= y)
f32         | bool | not(x > y)                   => not(x > y)
f32         | bool | not(x >= y)                  => not(x >= y)
f32 i8      | T    | max(x, x)                    => x
f32         | T    | select(x < y, y, y)          => y
f32         | T    | select(true, x, y)           => x
i8          | bool | select(x < y, true, false)   => x < y
i8          | bool | select(x < y, false, true)   => x >= y
f32         | T    | select(not(x < y), x, y)     => select(x < y, y, x)
f32         | T    | let c = x < y; select(c, select(c, x, y), neg(x)) => select(x < y, x, neg(x))
f32         | T    | let c = x < y; select(c, x, select(c, neg(x), y)) => select(x < y, x, y)
bool        | T    | let c = x == y; select(c, c | x, y) => let c = x == y; select(c, c | x, y)
bool        | T    | let c = x == y; select(c, x, c | x) => let c = x == y; select(c, x, c | x)
i8          | i32  | i32(neg(x))                  => i32(neg(x))
f32         | T    | pow(2.0:T, x)                => pow(2.0:T, x)
f32         | T    | x / y                        => x / y
f32         | T    | x / -1.0:T                   => x * -1.0:T
f32         | T    | x / 8.507059173023462e37:T   => x * 1.1754943508222875e-38:T
f32         | T    | x / 1.1754943508222875e-38:T => x * 8.507059173023462e37:T
f32         | T    | x / 5.877471754111438e-39:T  => x / 5.877471754111438e-39:T
f16         | T    | x / 16384.0:T                => x * 6.103515625e-05:T
f16         | T    | x / 6.103515625e-05:T        => x * 16384.0:T
f64         | T    | x / 4.49423283715579e307:T   => x * 2.2250738585072014e-308:T
f32         | T    | floor(x + y)                 => floor(x + y)
f32         | T    | trunc(rint(x))               => rint(x)
f64         | f32  | floor(f32(x))                => floor(f32(x))
i8          | T    | abs(x)                       => abs(x)
i8          | T    | x & y                        => x & y
u8          | T    | x | 255:T                    => 255:T
u8          | T    | x ^ 255:T                    => not(x)
i8          | T    | -1:T ^ x                     => not(x)
bool        | T    | false | x                    => x
i8 u32      | T    | shr(x, 0:T)                  => x
i8 u32      | T    | shl(0:T, x)                  => shl(0:T, x)
f32         | T    | min(x, x)                    => x
f32         | T    | fmin(x, x)                   => x
f32         | T    | fmax(x, x)                   => x
f32 i8      | T    | min(x, y)                    => min(x, y)
bool        | T    | select(x, true, true)        => true
bool        | T    | select(x, y, false)          => select(x, y, false)
f32         | T    | select(false, x, y)          => y
u8          | i8   | i8(i32(x))                   => i8(x)
i8          | i8   | i8(i32(x))                   => x
i8          | i32  | i32(f32(x))                  => i32(x)
i32         | f32  | f32(f64(x))                  => f32(x)
i32         | i8   | i8(f64(x))                   => i8(f64(x))
f32         | f32  | f32(f64(x))                  => x
f64         | f64  | f64(f32(x))                  => f64(f32(x))
f16         | u8   | u8(f32(x))                   => u8(x)
i8          | i64  | i64(u32(x))                  => i64(u32(x))
bool        | bool | bool(f32(x))                 => x
"""


def _cases() -> list[Any]:
    """Operand dtype, result dtype, text before and text after; T stands for the operand dtype."""
    found = []
    for line in CASES.strip().splitlines():
        dtypes, result, rule = line.split("|", 2)
        before, after = rule.split("=>")
        for short in dtypes.split():
            texts = [re.sub(r"\bT\b", short, part).strip() for part in (result, before, after)]
            found.append(pytest.param(short, *texts, id=f"{before.strip()} {short}"))
    return found


def _graph(short: str, result: str, body: str, size: int) -> Graph:
    return parse_graph(f"""
graph g(%x: {short}[{size}], %y: {short}[{size}]) {{
  %0: {result}[{size}] = compute (i) {{
    let x = %x[i]
    let y = %y[i];
    {body}
  }}
  return %0
}}
""")


def _body(graph: Graph) -> Expr:
    (node,) = graph.outputs
    assert isinstance(node, Compute)
    return node.body


@pytest.mark.parametrize(("short", "result", "before", "after"), _cases())
def test_rule(short: str, result: str, before: str, after: str) -> None:
    dtype = from_short(short)
    assert dtype is not None
    x, y = (a.ravel() for a in np.meshgrid(_values(dtype), _values(dtype)))
    one, two = (_graph(short, result, body, x.size) for body in (before, after))
    assert _key(simplify(_body(one), {}), one) == _key(_body(two), two)
    _same(run_graph(one, [x, y])[0], run_graph(two, [x, y])[0])


def _same(a: Array, b: Array) -> None:
    """Equal bits, but for NaNs."""
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)
    if a.dtype.kind == "f":
        number = ~np.isnan(a)
        np.testing.assert_array_equal(np.signbit(a[number]), np.signbit(b[number]))


def _key(body: Expr, graph: Graph) -> int:
    """Equal for equal structure over operands and axes of the same places."""
    inputs: dict[Source, Hashable] = {tensor: place for place, tensor in enumerate(graph.inputs)}
    return KEYS.of(body, dict.fromkeys(variables((body,)), "axis"), inputs)


def _literals(dtype: DType) -> list[Expr]:
    if dtype.is_float:
        values: list[float] = [0.0, -0.0, 1.0, -1.0, 2.0, -0.25, 3.0, np.inf, np.nan]
    else:
        values = [0, 1, 2, dtype.max, -1] if dtype.kind == "i" else [0, 1, dtype.max]
    return [build.const(v, dtype) for v in values]


def _operations(operands: list[Expr]) -> list[Expr]:
    """Every operation on every choice of operands of one dtype."""
    dtype, condition = operands[0].dtype, Apply(ops.EQ, (operands[0], operands[1]))
    found: list[Expr] = []
    for op in (o for o in FREE if dtype.kind in o.domain):
        if op.result == "select":
            conditions = (condition, Apply(ops.NOT, (condition,)), build.TRUE)
            pairs = itertools.product(conditions, operands, operands[:3])
            found += [Apply(op, triple) for triple in pairs]
        elif op.arity < 3:
            found += [Apply(op, some) for some in itertools.product(operands, repeat=op.arity)]
    found += [
        Apply(ops.CAST, (operands[0],), other) for other in (BOOL, I8, U8, I32, F16, F32, F64)
    ]
    return found


@pytest.mark.parametrize("dtype", [BOOL, I8, U8, F32], ids=str)
def test_all_small_expressions_keep_their_values(dtype: DType) -> None:
    """Operations on variables and literals, and those again on some of their results."""
    x, y = Var("x", dtype=dtype), Var("y", dtype=dtype)
    one = _operations([x, y, *_literals(dtype)])
    inner = [n for n in one if x in n.operands and n.dtype is dtype and y in (*n.operands, y)]
    twice = [n for k in range(0, len(inner), 5) for n in _operations([inner[k], x])]
    grid = np.meshgrid(_values(dtype), _values(dtype))
    point = dict(zip((x, y), grid, strict=True))
    memo: dict[Expr, Expr] = {}
    changed = 0
    for node in (*one, *twice):
        simple = simplify(node, memo)
        if simple is not node:
            changed += 1
            assert simple.dtype is node.dtype
            with np.errstate(all="ignore"):
                before, after = evaluate((node, simple), point, reads_nothing)
            _same(*np.broadcast_arrays(before, after))
            assert simplify(simple, {}) is simple or repr(simplify(simple, {})) == repr(simple)
    assert changed > 100


@pytest.mark.parametrize("target", ALL, ids=str)
@pytest.mark.parametrize("source", ALL, ids=str)
def test_exact_conversions_come_back(source: DType, target: DType) -> None:
    if is_exact(source, target):
        values = _values(source)
        there = ops.convert(values, target.numpy)
        np.testing.assert_array_equal(ops.convert(there, source.numpy), values)
        if not source.is_float and not target.is_float:
            np.testing.assert_array_equal(there.astype(object), values.astype(object))


def test_what_is_exact() -> None:
    """A float of so many digits holds integers of so many bits; an index has 32 or 64."""
    digits = {F16: 11, F32: 24, F64: 53}
    for source in (*ALL, INDEX):
        assert is_exact(source, source)
        for target in ALL:
            if source is BOOL or source is target:
                wanted = True
            elif target is BOOL or (source.is_float and not target.is_float):
                wanted = False
            elif target.is_float:
                most = digits.get(source, source.bits - (source.kind in "ix"))
                wanted = most <= digits[target]
            else:
                wanted = target.min <= source.min and source.max <= target.max
            assert is_exact(source, target) == wanted, (source, target)


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
    inputs = [data.draw(arrays(shape_value(t.shape, {}), t.dtype)) for t in graph.inputs]
    for old, new in zip(
        run_graph(graph, inputs), run_graph(simplify_arithmetic(graph), inputs), strict=True
    ):
        _same(old, new)
