"""How far from 0 a float can be, and which floats are numbers."""

from __future__ import annotations

import math

import pytest

from tilewright.ir import build, ops
from tilewright.ir.analysis.magnitudes import is_number, magnitude
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I8, I32, INDEX, U8, U16, DType
from tilewright.ir.expr import Apply, Expr, Var


def pixel(dtype: DType = F32, source: DType = U8) -> Expr:
    return build.cast(Var("u", dtype=source), dtype)


def op(name: ops.Op, *operands: Expr) -> Expr:
    return Apply(name, operands)


ANY = Var("x", dtype=F32)
HALF = build.const(-0.5, F32)
CONDITION = Var("c", dtype=BOOL)
KNOWN: list[tuple[Expr, float]] = [
    (HALF, 0.5),
    (build.const(-math.inf, F32), math.inf),
    (pixel(), 256),
    (pixel(source=BOOL), 2),
    (pixel(source=I8), 256),
    (pixel(F64, INDEX), 2.0**63),
    (build.cast(pixel(), F64), 256),
    (op(ops.ADD, pixel(), HALF), 256.5),
    (op(ops.SUB, pixel(), HALF), 256.5),
    (op(ops.MUL, pixel(), HALF), 128),
    (op(ops.MIN, pixel(), HALF), 256),
    (op(ops.MAX, HALF, pixel()), 256),
    (op(ops.SELECT, CONDITION, HALF, pixel()), 256),
    (op(ops.SELECT, CONDITION, HALF, ANY), math.inf),
    (op(ops.NEG, pixel()), 256),
    (op(ops.ABS, HALF), 0.5),
    (op(ops.FLOOR, HALF), 1.5),
    (op(ops.CEIL, pixel()), 257),
    (op(ops.TRUNC, pixel()), 257),
    (op(ops.RINT, pixel()), 257),
    (ANY, math.inf),
    (op(ops.ADD, ANY, HALF), math.inf),
    (op(ops.MUL, HALF, ANY), math.inf),
    (op(ops.DIV, HALF, pixel()), math.inf),
    (op(ops.SQRT, pixel()), math.inf),
    (build.bitcast(Var("i", dtype=I32), F32), math.inf),
]


@pytest.mark.parametrize(("node", "wanted"), KNOWN, ids=repr)
def test_magnitudes(node: Expr, wanted: float) -> None:
    assert magnitude(node) == wanted
    assert is_number(node) == (wanted < math.inf)


@pytest.mark.parametrize(("dtype", "power"), [(F16, 14), (F32, 126), (F64, 1000)], ids=str)
def test_what_rounding_may_make_infinite_is_no_number(dtype: DType, power: int) -> None:
    """A margin of one power of two and more below the largest float."""
    largest = build.const(2.0**power, dtype)
    assert is_number(largest)
    assert not is_number(op(ops.ADD, largest, largest))
    assert not is_number(build.const(2.0**power * 1.25, dtype))
    assert is_number(pixel(F16))
    assert not is_number(pixel(F16, U16))


def test_only_shallow_expressions_are_looked_through() -> None:
    """The rules that ask do so at many nodes: eight operations."""
    node: Expr = HALF
    for count in range(1, 12):
        node = op(ops.NEG, node)
        assert is_number(node) == (count <= 8)
