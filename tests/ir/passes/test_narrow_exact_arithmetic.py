"""float64 becomes float32 where, and only where, every value stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.graph import Compute, Graph
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.passes.narrow_exact_arithmetic import narrow_exact_arithmetic

AXIS = Var("i", 1000)
POSITION = build.cast(AXIS, F64)


def number(value: float) -> Expr:
    return build.const(value, F64)


def narrowed(body: Expr, axis: Var = AXIS) -> tuple[Graph, Graph]:
    graph = Graph("g", (), (Compute("c", (axis,), body),))
    return graph, narrow_exact_arithmetic(graph)


def has_float64(graph: Graph) -> bool:
    (output,) = graph.outputs
    assert isinstance(output, Compute)
    return any(n.dtype is F64 for n in post_order((output.body,)))


EXACT = [
    Apply(ops.ADD, (POSITION, number(0.5))),
    Apply(ops.SUB, (number(0.125), POSITION)),
    Apply(ops.MUL, (Apply(ops.ADD, (POSITION, number(0.5))), number(3.0))),
    Apply(ops.MUL, (Apply(ops.SUB, (POSITION, POSITION)), number(-1.0))),
]
ROUNDED = [
    Apply(ops.ADD, (POSITION, number(0.1))),
    Apply(ops.MUL, (POSITION, number(1 / 3))),
    Apply(ops.ADD, (POSITION, number(2.0**-20))),
    Apply(ops.DIV, (POSITION, number(2.0))),
    Apply(ops.ADD, (POSITION, number(float("inf")))),
]


@pytest.mark.parametrize("body", EXACT)
def test_exact_steps_are_narrowed(body: Expr) -> None:
    before, after = narrowed(build.cast(body, F32))
    assert has_float64(before)
    assert not has_float64(after)
    (wanted,), (found,) = run_graph(before, []), run_graph(after, [])
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


@pytest.mark.parametrize("body", ROUNDED)
def test_rounded_steps_stay(body: Expr) -> None:
    _, after = narrowed(build.cast(body, F32))
    assert has_float64(after)


def test_comparisons_are_narrowed() -> None:
    half = Apply(ops.ADD, (POSITION, number(0.5)))
    before, after = narrowed(Apply(ops.LT, (half, number(499.5))))
    assert not has_float64(after)
    np.testing.assert_array_equal(run_graph(after, [])[0], run_graph(before, [])[0])


@pytest.mark.parametrize(("extent", "stays"), [(1 << 23, False), ((1 << 23) + 2, True)])
def test_positions_need_room_for_their_halves(extent: int, stays: bool) -> None:
    axis = Var("i", extent)
    body = Apply(ops.ADD, (build.cast(axis, F64), number(0.5)))
    _, after = narrowed(build.cast(body, F32), axis)
    assert has_float64(after) is stays


@pytest.mark.parametrize(("extent", "stays"), [((1 << 24) + 1, False), ((1 << 24) + 2, True)])
def test_the_largest_integer_is_two_to_the_24(extent: int, stays: bool) -> None:
    axis = Var("i", extent)
    _, after = narrowed(build.cast(build.cast(axis, F64), F32), axis)
    assert has_float64(after) is stays


@pytest.mark.parametrize(
    ("literal", "stays"),
    [
        *((2.0**24, False), (-(2.0**24), False), (2.0**24 + 2, True), (2.0**-24, False)),
        *((0.0, False), (float("nan"), True), (float("-inf"), True), (1 / 3, True)),
    ],
)
def test_literals_of_24_bits(literal: float, stays: bool) -> None:
    body = Apply(ops.MUL, (build.cast(Var("i", 1), F64), number(literal)))
    _, after = narrowed(build.cast(body, F32))
    assert has_float64(after) is stays


def test_float64_results_stay() -> None:
    before, after = narrowed(EXACT[0])
    assert after.outputs[0] is before.outputs[0]
