"""What printed IR looks like; that it can be read back is tested in test_parser.py."""

from __future__ import annotations

import time

import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, I32, DType
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var
from tilewright.ir.graph import Compute, Graph, Input, Reduction, Tensor
from tilewright.ir.kernel import Buffer, For, Kernel, Store
from tilewright.ir.location import Location
from tilewright.ir.printer import (
    CANONICAL,
    FULL,
    Style,
    print_graph,
    print_kernel,
    print_node,
    print_schedule,
    print_statement,
)
from tilewright.ir.schedule import Schedule


def softmax(name: str = "x") -> Graph:
    x = Input(name, (64, 1000), F32)
    i, j = Var("i", 64), Var("j", 1000)
    loc = Location("model.py", 12, 8)
    top = Reduction("m", (i,), (j,), "max", Load(x, (i, j)), label="np.max", loc=loc)
    shifted = Apply(ops.SUB, (Load(x, (i, j)), Load(top, (i,))))
    power = Compute("e", (i, j), Apply(ops.EXP, (shifted,)))
    total = Reduction("s", (i,), (j,), "add", Load(power, (i, j)))
    result = Compute("r", (i, j), Apply(ops.DIV, (Load(power, (i, j)), Load(total, (i,)))))
    return Graph("softmax", (x,), (result,))


SOFTMAX = """\
graph softmax(%x: f32[64, 1000]) {
  %0: f32[64] = reduce max (i) over (j: 1000) { %x[i, j] } "np.max" at "model.py":12:9
  %1: f32[64, 1000] = compute (i, j) { exp(%x[i, j] - %0[i]) }
  %2: f32[64] = reduce add (i) over (j: 1000) { %1[i, j] }
  %3: f32[64, 1000] = compute (i, j) { %1[i, j] / %2[i] }
  return %3
}
"""


def test_a_graph_is_one_line_per_node() -> None:
    assert print_graph(softmax(), FULL) == SOFTMAX
    assert print_graph(softmax()) == SOFTMAX.replace(' at "model.py":12:9', "")


def test_canonical_text_ignores_names_labels_and_locations() -> None:
    other = softmax("y z")
    assert print_graph(other, FULL) != print_graph(softmax(), FULL)
    assert print_graph(other, CANONICAL) == print_graph(softmax(), CANONICAL)


def body_text(body: Expr, *axes: Var) -> str:
    text = print_graph(Graph("g", (), (Compute("t", axes, body),)))
    return text.partition(") {\n")[2].rpartition("  return")[0].strip()


def test_operators_have_as_few_parentheses_as_python() -> None:
    a, b, c = (Var(n, 9) for n in "abc")
    add, sub, mul = ops.ADD, ops.SUB, ops.MUL

    def shown(value: Expr) -> str:
        return body_text(value, a, b, c).partition("{ ")[2][:-2]

    assert shown(Apply(sub, (Apply(sub, (a, b)), c))) == "a - b - c"
    assert shown(Apply(sub, (a, Apply(sub, (b, c))))) == "a - (b - c)"
    assert shown(Apply(mul, (Apply(add, (a, b)), c))) == "(a + b) * c"
    assert shown(Apply(add, (Apply(mul, (a, b)), c))) == "a * b + c"
    assert shown(Apply(ops.FLOORDIV, (a, Apply(ops.MOD, (b, c))))) == "a // (b % c)"
    less, more = Apply(ops.LT, (a, b)), Apply(ops.GE, (a, c))
    assert shown(Apply(ops.AND, (less, more))) == "(a < b) & (a >= c)"
    assert shown(Apply(ops.EQ, (less, more))) == "(a < b) == (a >= c)"
    assert shown(Apply(ops.NEG, (a,))) == "neg(a)"
    assert shown(build.cast(a, F32)) == "f32(a)"
    assert shown(build.bitcast(build.cast(a, F32), I32)) == "bits.i32(f32(a))"


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.1, F64, "0.1:f64"),
        (0.10000000149011612, F32, "0.1:f32"),
        (-0.0, F32, "-0.0:f32"),
        (float("-inf"), F16, "-inf:f16"),
        (float("nan"), F32, "nan:f32"),
        (1e-45, F64, "1e-45:f64"),
        (3.4028234663852886e38, F32, "3.4028235e+38:f32"),
        (-7, I32, "-7:i32"),
    ],
)
def test_literals(value: float, dtype: DType, text: str) -> None:
    assert body_text(Const(value, dtype)).endswith(f"{{ {text} }}")


def test_what_is_used_twice_is_named_once() -> None:
    i = Var("i", 4)
    square: Expr = build.cast(i, F32)
    for _ in range(40):
        square = Apply(ops.MUL, (square, square))
    lines = body_text(square, i).splitlines()
    assert lines[1].strip() == "let e0 = f32(i)"
    assert lines[2].strip() == "let e1 = e0 * e0"
    assert lines[-2].strip() == "e39 * e39"
    assert len(lines) == 43


def test_names_of_users_are_made_harmless_and_unique() -> None:
    names = ["x", "x", "für", "", "9", "let", "e3", "a b;\n}"]
    inputs = [Input(name, (), F32) for name in names]
    text = print_graph(Graph("class X:", tuple(inputs), ()))
    head = text.splitlines()[0]
    assert head.startswith("graph class_X_(%x: f32[], %x_1: f32[], %f_r: f32[], %_: f32[], %_9:")
    assert "%let_:" in head
    assert "%e3_:" in head
    assert "%a_b___:" in head


def test_kernels_name_buffers_and_scope_loops() -> None:
    x, acc = Buffer("x", (4, 16), F32), Buffer("acc", (8,), F32, "register")
    body = []
    for _ in range(2):
        row, lane = Var("i", 4), Var("l", 8)
        total = LaneReduce(ops.ADD, acc)
        inner = For(lane, "vector", [Store(acc, (lane,), Load(x, (row, lane)))], 8)
        body.append(For(row, "serial", [inner, Store(x, (row, build.index(0)), total)]))
    loop = """\
  for serial i < 4 {
    for vector(8) l < 8 {
      acc[l] = x[i, l]
    }
    x[i, 0] = lanes.add(acc[])
  }
"""
    expected = "kernel k(x: f32[4, 16]) {\n  acc: register f32[8]\n" + loop * 2 + "}\n"
    assert print_kernel(Kernel("k", (x,), (), (acc,), tuple(body))) == expected


def test_broken_ir_prints_with_question_marks() -> None:
    stray, loose = Buffer("y", (3,), F32), Var("k")
    kernel = Kernel("k", (), (), (), (Store(stray, (loose,), build.const(1, F32)),))
    assert "?y[?k] = 1.0:f32" in print_kernel(kernel)
    text = print_graph(Graph("g", (), (Tensor("odd", (2,), F32),)))
    assert "%0: f32[2] = ?Tensor" in text


def test_parts_print_alone() -> None:
    result = softmax().outputs[0]
    assert print_node(result) == "%r: f32[64, 1000] = compute (i, j) { %e[i, j] / %s[i] }"
    x, i = Buffer("x", (4,), F32), Var("i", 4)
    loop = For(i, "serial", [Store(x, (i,), build.const(1, F32))])
    assert print_statement(loop) == "for serial i < 4 {"
    assert print_statement(loop.body[0]) == "x[i] = 1.0:f32"


def test_schedules_print_what_was_chosen() -> None:
    assert print_schedule(Schedule()) == "Schedule()"
    assert print_schedule(Schedule(tile=(4,), vector=0)) == "Schedule(tile=(4,), vector=0)"


def test_styles_are_independent() -> None:
    text = print_graph(softmax(), Style(names=False, labels=True))
    assert '"np.max"' in text
    assert "%x" not in text


def test_a_graph_of_300_nodes_prints_in_a_few_milliseconds() -> None:
    start = time.perf_counter()
    text = print_graph(chain(300))
    assert time.perf_counter() - start < 0.5  # about 10 ms; generous for a busy machine
    assert text.count("compute") == 300


def chain(length: int) -> Graph:
    x = Input("x", (8, 8), F32)
    last: Tensor = x
    for k in range(length):
        i, j = Var("i", 8), Var("j", 8)
        here = Load(last, (i, j))
        last = Compute(f"t{k}", (i, j), Apply(ops.ADD, (Apply(ops.MUL, (here, here)), here)))
    return Graph("chain", (x,), (last,))
