"""Evaluates scalar expressions on NumPy arrays, every operation in its own dtype.

In: an expression and an array for each of its variables. Out: the array of its values, rounded
after every step as a target would round it. What targets differ in are parameters: whether `mad`
is fused, whether subnormal floats flush to zero, and whether arithmetic loses NaN (shader compilers
may assume that there is none).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir import ops
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Apply, Const, Expr, Var, post_order

Array = NDArray[Any]


def evaluate(
    expr: Expr,
    env: Mapping[Var, Array],
    *,
    fused_mad: bool = False,
    flush_subnormals: bool = False,
    loses_nan: bool = False,
) -> Array:
    """The value of `expr` where each variable has the value that `env` gives it."""
    values: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for node in post_order([expr]):
            value = _evaluate_node(node, env, values, fused_mad)
            if loses_nan and isinstance(node, Apply) and node.op in _ARITHMETIC:
                value = np.where(np.isnan(value), node.dtype.numpy.type(3), value)
            if flush_subnormals and node.dtype is F32:
                value = np.where(np.abs(value) < np.finfo(np.float32).tiny, value * 0, value)
            values[id(node)] = value
    return np.asarray(values[id(expr)])


_ARITHMETIC = {
    *(ops.ADD, ops.SUB, ops.MUL, ops.DIV, ops.MAD, ops.FMA, ops.SQRT, ops.SCALE, ops.MIN, ops.MAX),
    *(ops.FLOOR, ops.CEIL, ops.TRUNC, ops.RINT, ops.NEG, ops.ABS),
}


def _evaluate_node(
    node: Expr, env: Mapping[Var, Array], values: dict[int, Any], fused_mad: bool
) -> Any:
    match node:
        case Const():
            return node.dtype.numpy.type(node.value)
        case Var():
            return env[node]
        case Apply():
            operands = [values[id(o)] for o in node.operands]
            return _apply(node, operands, fused_mad)
    raise AssertionError(f"no such node in an expansion: {node!r}")


def _apply(node: Apply, operands: list[Any], fused_mad: bool) -> Any:
    if node.op is ops.CAST:
        return ops.convert(operands[0], node.dtype.numpy)
    if node.op is ops.BITCAST:
        return np.asarray(operands[0]).view(node.dtype.numpy)[()]
    if node.op is ops.FMA or (node.op is ops.MAD and fused_mad):
        return fused_multiply_add(*operands)
    result = node.op.reference(*operands)
    assert result.dtype == (np.bool_ if node.dtype.kind == "b" else node.dtype.numpy), node.op
    return result


def fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` rounded once, but for rare double roundings of half-way cases.

    float64: the product's error is found with Dekker's multiplication, the sum's with Knuth's.
    """
    dtype = np.result_type(a, b, c)
    if dtype == np.float32:
        return (np.float64(a) * np.float64(b) + np.float64(c)).astype(np.float32)
    product = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)
    exact = total + (lost + error)
    safe = np.isfinite(exact) & (np.abs(product) > 2.0**-960) & (np.abs(a) < 2.0**990)
    return np.where(safe & (np.abs(b) < 2.0**990), exact, total)


def _upper_half(x: Any) -> Any:
    return (np.asarray(x).view(np.int64) & -(1 << 27)).view(np.float64)[()]
