"""Every rule of the IR: what keeps it passes, and what breaks it is reported with its place."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import force_setattr

from tests.ir.strategies import graphs, kernels
from tests.ir.test_parser import every_step
from tests.ir.test_printer import chain, softmax
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F32, F64, I8, I32, I64, INDEX, U8
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var
from tilewright.ir.graph import (
    Check,
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
    While,
)
from tilewright.ir.kernel import Buffer, For, Kernel, Store
from tilewright.ir.location import Location
from tilewright.ir.parser import parse_kernel, parse_program
from tilewright.ir.program import Copy, Launch, Nest, Program, RepeatWhile, SortRows, Stage, Step
from tilewright.ir.verify import (
    unproven_accesses,
    verify_graph,
    verify_kernel,
    verify_program,
)

generated = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(graph=graphs())
@generated
def test_generated_graphs_keep_the_rules(graph: Graph) -> None:
    verify_graph(graph, strict=True)


@given(kernel=kernels())
@generated
def test_generated_kernels_keep_the_rules(kernel: Kernel) -> None:
    verify_kernel(kernel)


def test_whole_programs_keep_the_rules() -> None:
    verify_program(every_step(), strict=True)


def test_a_graph_of_300_nodes_takes_a_few_milliseconds() -> None:
    graph = chain(300)
    start = time.perf_counter()
    verify_graph(graph, strict=True)
    assert time.perf_counter() - start < 0.5  # about 10 ms; generous for a busy machine


# Graphs.

ONE = build.const(1, F32)
X = Input("x", (4, 8), F32)
ROW, COL = Var("i", 4), Var("j", 8)
HERE = Load(X, (ROW, COL))
NUMBER = Compute("number", (), build.const(3, I64))
STEP, STATE = Input("step", (), I64), Input("state", (), I64)
SAME = Graph("same", (STEP, STATE), (STATE,))


def with_array(dtype: type) -> Constant:
    return Constant("c", np.zeros(3, dtype), F32)


def misplaced(tensor: Any, **attributes: object) -> Any:
    for name, value in attributes.items():
        object.__setattr__(tensor, name, value)
    return tensor


def loop(body_inputs: list[Input], outputs: list[Tensor]) -> Result:
    state = Compute("zero", (), build.const(0, F32))
    body = Graph("body", tuple(body_inputs), tuple(outputs))
    return Result("r", Loop("loop", 3, (state,), (), body), 0)


def while_loop(condition: Tensor) -> Result:
    state = Compute("zero", (), build.const(0, F32))
    s = Input("s", (), F32)
    t = Input("t", (), F32)
    return Result(
        "r", While("w", (state,), (), Graph("c", (s,), (condition,)), Graph("b", (t,), (t,))), 0
    )


BROKEN_GRAPHS: dict[str, Tensor] = {
    "variable k is used where it has no value": Compute(
        "t", (ROW, COL), build.cast(Var("k", 3), F32)
    ),
    "x is an input that the graph does not list": Compute(
        "t", (ROW, COL), Load(Input("x", (4, 8), F32), (ROW, COL))
    ),
    "a graph reads b, which is a buffer": Compute(
        "t", (ROW,), Load(Buffer("b", (4,), F32), (ROW,))
    ),
    "an index into x has dtype int32, not index": Compute(
        "t", (ROW, COL), Load(X, (ROW, build.cast(COL, I32)))
    ),
    "axis i is bound already": Compute("t", (ROW, ROW), ONE),
    "axis i has dtype int32, not index": Compute("t", (Var("i", 4, I32),), ONE),
    "dimension 0 of t is negative: -1": Reshape("t", X, (-1,)),
    "the extent of axis i is negative: -2": Compute("t", (Var("i", -2),), ONE),
    "the extent of axis i depends on the contents of number": Compute(
        "t", (Var("i", build.cast(Load(NUMBER, ()), INDEX)),), ONE
    ),
    "the literal 0.1 is not a float32": Compute("t", (ROW,), Const(0.1, F32)),
    "the literal True has dtype int32": Compute("t", (ROW,), Const(True, I32)),
    "the literal 4294967296 is not a int32": Compute("t", (ROW,), Const(1 << 32, I32)),
    "combiner and is not defined on float32": Reduction("t", (ROW,), (COL,), "and", HERE),
    "32 elements are reshaped to 33": Reshape("t", X, (33,)),
    "axis 2 of a tensor of rank 2": Sort("t", X, 2, False),
    "argmax cannot run along an axis": Scan("t", X, 0, "argmax"),
    "combiner xor is not defined on float32": Scan("t", X, 0, "xor"),
    "1 indices write a tensor of rank 2": Scatter("t", X, (ROW,), (ROW,), ONE, None),
    "int32 is scattered into float32": Scatter(
        "t", X, (ROW,), (ROW, ROW), build.const(1, I32), None
    ),
    "argmin cannot combine what is scattered": Scatter("t", X, (ROW,), (ROW, ROW), ONE, "argmin"),
    "a constant of float32[3] holds float64[3]": with_array(np.float64),
    "the first input of a loop's body is not the step number": loop([], []),
    "a loop's body has 0 inputs for 1 tensors": loop([Input("step", (), I64)], []),
    "inputs of a loop's body: s is float64, not float32": loop(
        [Input("step", (), I64), Input("s", (), F64)], []
    ),
    "the shape [2] is not [], that of zero": loop(
        [Input("step", (), I64), Input("s", (2,), F32)], []
    ),
    "a loop's body has 0 outputs for 1 tensors": loop(
        [Input("step", (), I64), Input("s", (), F32)], []
    ),
    "the condition of a while loop is not one bool of rank 0": while_loop(Compute("c", (), ONE)),
    "the shape [5, 8] is not [4, 8], the extents of the axes": misplaced(
        Compute("t", (ROW, COL), ONE), shape=(5, 8)
    ),
    "a node of float64 has a body of float32": misplaced(Compute("t", (ROW, COL), ONE), dtype=F64),
    "Tensor is no node of a graph": Tensor("t", (), F32),
    "the extent of axis i has dtype int32, not index": Compute(
        "t", (misplaced(Var("i", 4), extent=build.const(4, I32)),), ONE
    ),
    "unknown combiner 'median'": misplaced(
        Reduction("t", (ROW,), (COL,), "add", HERE), combiner="median"
    ),
    "a reshape changes float32 to float64": misplaced(Reshape("t", X, (32,)), dtype=F64),
    "a result of x, which is no loop": misplaced(
        Result("r", Loop("l", 1, (NUMBER,), (), SAME), 0), loop=X
    ),
    "result 1 of a loop with 1 states": misplaced(
        Result("r", Loop("l", 1, (NUMBER,), (), SAME), 0), position=1
    ),
    "result -1 of a loop with 1 states": misplaced(
        Result("r", Loop("l", 1, (NUMBER,), (), SAME), 0), position=-1
    ),
    "axis -1 of a tensor of rank 2": Sort("t", X, -1, False),
    "the literal 1 has dtype bool": Compute("t", (ROW,), Const(1, BOOL)),
    "the literal -129 is not a int8": Compute("t", (ROW,), Const(-129, I8)),
    "the literal 128 is not a int8": Compute("t", (ROW,), Const(128, I8)),
}

SOUND_LITERALS = [
    *(Const(-128, I8), Const(127, I8), Const(0, U8), Const(255, U8), Const(True, BOOL)),
    *(Const(float("nan"), F32), Const(float("inf"), F32), Const(-0.0, F64), Const(0.1, F64)),
]


@pytest.mark.parametrize("literal", SOUND_LITERALS, ids=str)
def test_literals_at_the_ends_of_their_dtypes(literal: Const) -> None:
    verify_graph(Graph("g", (), (Compute("t", (ROW,), literal),)))


@pytest.mark.parametrize("wrong", [Input("n", (), I32), Input("n", (1,), I64)])
def test_what_a_check_tests_is_one_int64(wrong: Input) -> None:
    right = Input("m", (), I64)
    for least, most in ((wrong, right), (right, wrong)):
        checks = (Check(least, most, 4, 0, False, None),)
        with pytest.raises(IRError, match="a check tests n, which is no int64 of rank 0"):
            verify_graph(Graph("g", (right, wrong), (right,), checks=checks))
    with pytest.raises(IRError, match="the size that a check names is negative: -4"):
        verify_graph(
            Graph("g", (right,), (right,), checks=(Check(right, right, -4, 0, False, None),))
        )


@pytest.mark.parametrize("message", BROKEN_GRAPHS)
def test_broken_graphs(message: str) -> None:
    with pytest.raises(IRError) as caught:
        verify_graph(Graph("g", (X,), (BROKEN_GRAPHS[message],)))
    assert message in caught.value.message
    assert "note: in graph g" in str(caught.value)


def test_messages_show_the_node_and_the_users_line() -> None:
    node = Compute("t", (ROW,), Load(X, (ROW, Var("k", 8))), loc=Location("model.py", 3, 4))
    with pytest.raises(IRError) as caught:
        verify_graph(Graph("g", (X,), (node,)))
    assert str(caught.value) == (
        "model.py:3:5: error: variable k is used where it has no value\n"
        "note: in %t: f32[4] = compute (i) { %x[i, k] }\n"
        "note: in graph g"
    )


def test_messages_lead_through_the_bodies_of_loops() -> None:
    wrong = Compute("t", (), build.cast(Var("k", 8), I64))
    body = Graph("inner", (STEP, STATE), (wrong,))
    state = Compute("zero", (), build.const(0, I64))
    result = Result("r", Loop("loop", 3, (state,), (), body), 0)
    with pytest.raises(IRError) as caught:
        verify_graph(Graph("g", (), (result,)))
    notes = [line for line in str(caught.value).splitlines() if line.startswith("note: in graph")]
    assert notes == ["note: in graph inner", "note: in graph g"]


class Odd(Expr):
    """Of no kind that there is."""

    __slots__ = ()

    def __init__(self) -> None:
        self.dtype = F32


def test_nodes_of_other_kinds() -> None:
    with pytest.raises(IRError, match="Odd is no node of the expression language"):
        verify_graph(Graph("g", (), (Compute("t", (ROW,), Odd()),)))


def test_the_number_of_a_round_is_one_int64() -> None:
    for wrong in (Input("step", (), I32), Input("step", (1,), I64)):
        result = loop([wrong, Input("s", (), F32)], [ONE_NODE])
        with pytest.raises(IRError, match="the first input of a loop's body is not the step"):
            verify_graph(Graph("g", (), (result,)))


ONE_NODE = Compute("one", (), ONE)


def test_one_tensor_is_one_input() -> None:
    with pytest.raises(IRError, match="one tensor as two inputs"):
        verify_graph(Graph("g", (X, X), (X,)))


def test_a_node_may_not_read_itself() -> None:
    node = Compute("t", (ROW, COL), HERE)
    node.body = Load(node, (ROW, COL))
    with pytest.raises(IRError, match="t is used before it is computed"):
        verify_graph(Graph("g", (X,), (node,)))


@pytest.mark.parametrize(
    "index",
    [
        build.add(COL, build.index(1)),
        build.sub(build.index(6), COL),
        build.mul(COL, build.index(2)),
        build.index(8),
        Apply(ops.SUB, (Apply(ops.MOD, (COL, build.index(4))), build.index(9))),
    ],
)
def test_strict_finds_reads_out_of_bounds(index: Expr) -> None:
    graph = Graph("g", (X,), (Compute("t", (ROW, COL), Load(X, (ROW, index))),))
    verify_graph(graph)
    with pytest.raises(IRError, match="outside of size 8 on axis 1"):
        verify_graph(graph, strict=True)


@pytest.mark.parametrize(
    "index",
    [
        build.sub(build.index(7), COL),
        build.mod(build.add(COL, build.index(5)), build.index(8)),
        build.minimum(build.add(COL, build.index(5)), build.index(7)),
        # Its interval is -7 … 7, but that is not exact: nothing is disproved.
        build.maximum(build.sub(COL, COL), build.index(0)),
    ],
)
def test_strict_lets_reads_in_bounds_pass(index: Expr) -> None:
    verify_graph(Graph("g", (X,), (Compute("t", (ROW, COL), Load(X, (ROW, index))),)), strict=True)


def test_symbols_reach_into_loop_bodies() -> None:
    n = Var("N")
    x, step, s = Input("x", (n,), F32), Input("step", (), I64), Input("s", (n,), F32)
    body = Graph("body", (step, s), (s,))
    result = Result("r", Loop("l", n, (x,), (), body), 0)
    verify_graph(Graph("g", (x,), (result,), (n,)))
    with pytest.raises(IRError, match="variable N is used where it has no value"):
        verify_graph(Graph("g", (x,), (result,)))


def test_the_gallerys_softmax_keeps_the_rules() -> None:
    verify_graph(softmax(), strict=True)


# Kernels.

BROKEN_KERNELS = {
    "y is a parameter of space scratch": "kernel k(y: scratch f32[4]) { }",
    "y is a local of space global": "kernel k() { y: f32[4] }",
    "register r has a dimension that is not static": "kernel k<N>() { r: register f32[N] }",
    "r is a view of a register, which is no memory, or v": """
        kernel k() { r: register f32[4] view v: f32[2, 2] of r  v[0, 0] = 1.0:f32 }""",
    "an index into x has dtype int32, not index": "kernel k(x: f32[4]) { x[0:i32] = 1.0:f32 }",
    "loop variable i has dtype int32, not index": "kernel k() { for serial i: i32 < 4 { } }",
    "a vector loop of width 0": "kernel k() { for vector(0) i < 4 { } }",
    "a vector loop inside of a vector loop": """
        kernel k() { for vector i < 4 { for vector j < 4 { } } }""",
    "a parallel loop inside of a parallel loop": """
        kernel k() { for parallel i < 4 { for serial j < 4 { for parallel k < 4 { } } } }""",
    "a parallel loop inside of a vector loop": """
        kernel k() { for vector i < 4 { for parallel j < 4 { } } }""",
    "a group loop inside of a local loop": """
        kernel k() { for local i < 4 { for group j < 4 { } } }""",
    "a local loop inside of another with more in it": """
        kernel k(x: f32[4]) { for local i < 4 { x[i] = 1.0:f32 for local j < 4 { } } }""",
    "a condition or an extent that differs between lanes": """
        kernel k(x: f32[4]) { for vector i < 4 { if i < 2 { x[i] = 1.0:f32 } } }""",
    "an index into register r is not a literal: it uses i": """
        kernel k() { r: register f32[4] for serial i < 4 { r[i] = 1.0:f32 } }""",
    "an index into register r is not a literal: it uses x": """
        kernel k(x: i64[1]) { r: register f32[4] r[index(x[0])] = 1.0:f32 }""",
    "an index into register r is outside of axis 0: 4": """
        kernel k() { r: register f32[4] for unroll i < 4 { r[i + 1] = 1.0:f32 } }""",
    "lanes.add of x, which is no register": "kernel k(x: f32[4]) { x[0] = lanes.add(x[]) }",
    "sub cannot combine lanes of float32": """
        kernel k(x: f32[4]) { r: register f32[4] x[0] = lanes.sub(r[]) }""",
    "a barrier outside of local loops": "kernel k() { barrier }",
    "an exchange outside of local loops": """
        kernel k() { r: register i64[] r[] = 1:i64 r[] = exchange r[] over 0 }""",
    "an exchange where nothing is known of subgroups": """
        kernel k() { r: register i64[]
          for local i < 4 { r[] = 1:i64 r[] = exchange r[] over 0 } }""",
    "an exchange that not all invocations are certain to reach": """
        kernel k() { r: register i64[]
          for local i < 4 subgroups of 4 (rounds, size, count, number, place) {
            r[] = 1:i64 if place == 0 { r[] = exchange r[] over 0 } } }""",
    "an exchange that not all invocations are certain to reach (number)": """
        kernel k() { r: register i64[]
          for local i < 8 subgroups of 4 (rounds, size, count, number, place) {
            r[] = 1:i64 for serial k < number { r[] = exchange r[] over 0 } } }""",
    "an exchange in rounds that differ between invocations": """
        kernel k() { r: register i64[]
          for local i < 4 subgroups of 4 (rounds, size, count, number, place) {
            r[] = 1:i64 r[] = exchange r[] over place } }""",
    "a serial loop that knows of subgroups": """
        kernel k() { for serial i < 4 subgroups of 4 (rounds, size, count, number, place) { } }""",
    "a barrier inside of a vector loop": """
        kernel k() { for local i < 4 { for vector j < 4 { barrier } } }""",
    "a barrier that not all invocations are certain to reach": """
        kernel k() { for local i < 4 { if i < 2 { barrier } } }""",
    "a barrier that not all invocations are certain to reach (loop)": """
        kernel k() { for local i < 4 { for serial j < i { barrier } } }""",
    "a barrier that not all invocations are certain to reach (indirectly)": """
        kernel k() { for local i < 4 { for serial j < i + 1 { } for serial k < i { barrier } } }""",
    "a barrier that not all invocations are certain to reach (private memory)": """
        kernel k() { s: scratch i64[1] for local i < 4 { if s[0] < 1:i64 { barrier } } }""",
    "every iteration of i writes the same elements of x": """
        kernel k(x: f32[4]) { for parallel i < 4 { for serial j < 4 { x[j] = 1.0:f32 } } }""",
    "iterations of i write elements of x that others read": """
        kernel k(x: f32[4]) { for parallel i < 3 { x[i] = x[i + 1] } }""",
    "iterations of i write elements of x that others read (one for all)": """
        kernel k(x: f32[4]) { for group i < 4 { x[i] = x[0] } }""",
}


@pytest.mark.parametrize("message", BROKEN_KERNELS)
def test_broken_kernels(message: str) -> None:
    kernel = parse_kernel(BROKEN_KERNELS[message])
    with pytest.raises(IRError) as caught:
        verify_kernel(kernel)
    assert message.split(" (")[0].split(", or ")[0] in caught.value.message.replace("v is", "r is")
    assert "note: in kernel k" in str(caught.value)


SOUND_KERNELS = [
    "kernel k<N>(x: f32[N]) { for parallel i < N { x[i] = x[i] * 2.0:f32 } }",
    "kernel k(x: f32[4]) { for parallel i < 1 { for serial j < 4 { x[j] = 1.0:f32 } } }",
    # Rows of a triangle: the inner range moves with the outer variable.
    "kernel k(x: f32[9, 9]) { for parallel i < 9 { for serial j < i { x[i, j] = x[i, j + 1] } } }",
    "kernel k(x: f32[8]) { for parallel i < 4 { x[i * 2] = x[i * 2 + 1] } }",
    "kernel k(x: f32[4], p: i64[4]) { for parallel i < 4 { x[index(p[i])] = 1.0:f32 } }",
    "kernel k(x: f32[4]) { r: register f32[1] for serial i < 1 { r[i] = 1.0:f32 x[i] = r[i] } }",
    """kernel k<N>(x: f32[4, N]) { w: workgroup f32[4] for group g < 4 { for local l < 4 {
       for serial s < N { barrier } if g < 2 { barrier } w[l] = 1.0:f32 barrier
       x[g, 0] = w[3 - l] } } }""",
    "kernel k() { for local i < 4 { for local j < 4 { barrier } } }",
    "kernel k(x: f32[4], n: i64[1]) { for serial i < index(n[0]) { x[i] = 1.0:f32 } }",
    "kernel k(x: f32[4]) { view v: f32[2, 2] of x  v[1, 1] = x[0] }",
]


@pytest.mark.parametrize("text", SOUND_KERNELS)
def test_sound_kernels(text: str) -> None:
    verify_kernel(parse_kernel(text), strict=True)


def test_declared_buffers_only() -> None:
    stray = Buffer("y", (3,), F32)
    one = build.index(1)
    store = Store(stray, (one,), ONE)
    inner = For(Var("j", 3), "unroll", [store])
    with pytest.raises(IRError, match="y is neither a parameter nor a local") as caught:
        verify_kernel(Kernel("k", (), (), (), (For(Var("i", 2), "serial", [inner]),)))
    assert [n[0] for n in caught.value.notes] == [
        "in y[1] = 1.0:f32",
        "in for unroll j < 3 {",
        "in for serial i < 2 {",
        "in kernel k",
    ]
    with pytest.raises(IRError, match="declared twice"):
        verify_kernel(Kernel("k", (stray, stray), (), (), ()))
    again = Var("i", 2)
    count = build.const(2, I32)
    with pytest.raises(IRError, match="the extent of i has dtype int32, not index"):
        verify_kernel(Kernel("k", (), (), (), (For(Var("i", count), "serial", []),)))
    loops = [For(again, "serial", []), For(again, "serial", [])]
    with pytest.raises(IRError, match="loop variable i is bound twice"):
        verify_kernel(Kernel("k", (), (), (), tuple(loops)))
    row = LaneReduce(ops.ADD, Buffer("r", (0,), F32, "register"))
    register = row.source
    assert isinstance(register, Buffer)
    with pytest.raises(IRError, match="whose rows have no known length"):
        verify_kernel(Kernel("k", (stray,), (), (register,), (Store(stray, (one,), row),)))


def test_strict_finds_accesses_out_of_bounds() -> None:
    text = "kernel k(x: f32[8]) {{ for serial i < 4 {{ {} }} }}"
    wrong = ["x[i + 5] = 1.0:f32", "x[0] = x[i - 1]", "for serial j < 3 { x[i * 2 + j] = 1.0:f32 }"]
    for statement in wrong:
        kernel = parse_kernel(text.format(statement))
        verify_kernel(kernel)
        with pytest.raises(IRError, match="outside of size 8"):
            verify_kernel(kernel, strict=True)
    guarded = ["if i < 3 { x[i + 5] = 1.0:f32 }", "for serial j < i { x[j - 1] = 1.0:f32 }"]
    for statement in guarded:
        verify_kernel(parse_kernel(text.format(statement)), strict=True)


def test_unproven_accesses_are_listed() -> None:
    kernel = parse_kernel("""
        kernel k<N>(x: f32[N], y: f32[8], p: i64[8]) { for serial i < 8 {
          y[i] = y[index(p[i])]
          if i < N { y[i] = x[i] }
        } }""")
    assert unproven_accesses(kernel) == ("y[index(p[i])] on axis 0", "x[i] on axis 0")


# Programs.

PROGRAM = """
program p<N>(x: f32[4, 8]) -> (out: f32[4, 8]) {{
  constant c: f32[2] = [1.0, 2.0]
  temporary t: f32[4, 8]
  temporary flag: bool[]
  packed w: f32[2]
  init {{ {init} }}
  {steps}
  copy x into out
}}"""

BROKEN_PROGRAMS = {
    "t is read before it is written": "copy t into out",
    "x is written, which may only be read": "sort s x into x axis 0",
    "c is written, which may only be read": "nest n (k: 2) { stage { c[k] = 1.0:f32 } }",
    "w is written, which may only be read": "nest n (k: 2) { stage { w[k] = 1.0:f32 } }",
    "w is read before it is written": "nest n (k: 2) { stage { out[0, k] = w[k] } }",
    "axis k is bound already": "nest n (k: 2) { stage (k_1: 2) { out[0, 0] = 1.0:f32 } }",
    "float32 is stored to flag of bool": "nest n () { stage max over (k: 2) { flag[] = c[k] } }",
    "combiner xor is not defined on float32": """
        nest n () { local l: f32[] stage xor over (k: 2) { l[] = c[k] } }""",
    "every iteration of k writes the same elements of out": """
        nest n (k: 2) { stage { out[0, 0] = c[k] } }""",
    "iterations of i write elements of t that others read": """
        nest n (i: 4) { stage { t[i, 0] = x[i, 0] } stage { out[i, 0] = t[0, 0] } }""",
    "l is read before it is written": """
        nest n (i: 4) { local l: scratch f32[] stage { out[i, 0] = l[] } }""",
    "variable i is used where it has no value": """
        nest n (i: 4) { local l: scratch f32[4] stage { l[i] = 1.0:f32 } }""",
    "scan:add needs an axis of its own to run along": """
        nest n (i: 4) { stage scan add { out[i, 0] = 1.0:f32 } }""",
    "the condition flag is no bool of rank 0, or is read": "while flag { test { } }",
    "int64 is sorted into out of float32": "argsort s x into out axis 0",
    "axis 2 of a buffer of rank 2": "sort s x into out axis 2",
    "t is sorted onto itself": "copy x into t sort s t into t axis 0",
    "c has 2 elements, out 32": "copy c into out",
    "float32 is copied to flag of bool": "copy x into flag",
    "t is read before it is written (loop)": "repeat k < N { copy x into t } copy t into out",
    "t is read before it is written (scatter)": "ordered s add (i: 4) { t[i, 0] = 1.0:f32 }",
    "int64 is stored to out of float32": "ordered s (i: 4) { out[i, 0] = i64(i) }",
    "t is read before it is written (launch)": "launch k(t, out) { out[0, 0] = t[0, 0] }",
    "x is written, which may only be read (launch)": "launch k(x) { x[0, 0] = 1.0:f32 }",
    "out[i, j] is written, outside of size 8 on axis 1": """
        nest n (i: 4) { stage (j: 9) { out[i, j] = 1.0:f32 } }""",
    "a barrier outside of local loops": "launch k(out) { barrier }",
    "a stage with reduced axes and no combiner": """
        nest n (i: 4) { stage over (j: 8) { out[i, 0] = x[i, j] } }""",
    "argmax cannot combine what is scattered": "ordered s argmax (i: 4) { out[i, 0] = 1.0:f32 }",
    "combiner xor is not defined on float32 (scattered)": """
        copy x into t ordered s xor (i: 4) { t[i, 0] = 1.0:f32 }""",
    "t is read before it is written (sorted)": "sort s t into out axis 0",
}


@pytest.mark.parametrize("message", BROKEN_PROGRAMS)
def test_broken_programs(message: str) -> None:
    program = parse_program(PROGRAM.format(init="", steps=BROKEN_PROGRAMS[message]))
    if message.startswith("axis k"):
        outer = program.steps[0].outer  # type: ignore[union-attr]
        force_setattr(program.steps[0].stages[0], "axes", outer)  # type: ignore[union-attr]
    with pytest.raises(IRError) as caught:
        verify_program(program)
    wanted = message.split(" (")[0]
    if message.startswith("the condition"):
        wanted = "flag is read before it is written"
    assert wanted in caught.value.message
    assert "note: in program p" in str(caught.value)


def test_messages_show_the_stage_and_the_step() -> None:
    text = "nest n (i: 4) { stage (j: 8) { out[i, j] = t[i, j] } }"
    with pytest.raises(IRError) as caught:
        verify_program(parse_program(PROGRAM.format(init="", steps=text)))
    places = [line for line in str(caught.value).splitlines() if line.startswith("note:")]
    assert places == [
        *("note: in the stage that writes out", "note: in Nest n", "note: in program p"),
    ]


def test_positions_are_stored_as_int64() -> None:
    i, r = Var("i", 4), Var("r", 8)
    source = Buffer("x", (4, 8), F32)
    for dtype, is_right in ((I64, True), (I32, False), (F32, False)):
        target = Buffer("y", (4,), dtype)
        stage = Stage((), (r,), "argmax", Load(source, (i, r)), target, (i,))
        nest = Nest("n", (i,), (stage,), ())
        program = Program("p", (), (source,), (target,), (), (), (nest,))
        if is_right:
            verify_program(program)
            continue
        with pytest.raises(IRError, match=f"int64 is stored to y of {dtype}"):
            verify_program(program)


@pytest.mark.parametrize(
    ("init", "steps"),
    [
        ("nest n (k: 2) { stage { w[k] = c[k] } }", "nest m (k: 2) { stage { out[0, k] = w[k] } }"),
        ("", "repeat k < 3 { copy x into t } copy t into out"),
        ("", "launch k(x, t) { t[0, 0] = x[0, 0] } launch k2(t, out) { out[0, 0] = t[0, 0] }"),
        ("", "while flag { test { nest n () { stage { flag[] = false } } } copy x into t }"),
        ("", "nest n (i: 4) { stage (j: 8) { out[i, j] = x[i, 7 - j] } }"),
        # Rows of a triangle: the range of the second axis moves with the first.
        ("", "nest n (i: 4, j: i + 1, k: 2) { stage { out[0, j * 2 + k] = x[i, k] } }"),
    ],
)
def test_sound_programs(init: str, steps: str) -> None:
    verify_program(parse_program(PROGRAM.format(init=init, steps=steps)), strict=True)


def test_outputs_are_written() -> None:
    with pytest.raises(IRError, match="output out is never written"):
        verify_program(parse_program("program p() -> (out: f32[]) { }"))


def test_launches_use_what_the_program_has() -> None:
    program = parse_program("program p() -> (out: f32[]) { launch k<N>(out) { out[] = f32(N) } }")
    with pytest.raises(IRError, match="kernel k uses N, no symbol of the program"):
        verify_program(program)
    other = Buffer("other", (), F32)
    launch = Launch(Kernel("k", (other,), (), (), ()))
    with pytest.raises(IRError, match="parameter other is no buffer of the program"):
        verify_program(Program("p", (), (), (), (), (), (launch,)))


def test_buffers_belong_once() -> None:
    x = Buffer("x", (), F32)
    with pytest.raises(IRError, match="belongs to a program twice"):
        verify_program(Program("p", (), (x, x), (), (), (), ()))


def of_steps(
    *steps: Step, inputs: tuple[Buffer, ...] = (), temporaries: tuple[Buffer, ...] = ()
) -> Program:
    return Program("p", (), inputs, (), (), temporaries, steps)


A, B, FLAG = Buffer("a", (2, 3), F32), Buffer("b", (2, 3), F32), Buffer("flag", (1,), BOOL)
STRAY, SIX, NO_BOOL = Buffer("stray", (2, 3), F32), Buffer("six", (6,), F32), Buffer("one", (), F32)
LANE = Var("k", 2)


def stored(target: Buffer, *indices: Expr, locals: tuple[Buffer, ...] = ()) -> Nest:
    return Nest("n", (LANE,), (Stage((), (), None, ONE, target, indices),), locals)


C = (Buffer("c", (2,), F32), np.zeros(2, np.float32))
BROKEN_BY_HAND: dict[str, Program] = {
    "a is written, which may only be read": Program(
        "p", (), (A,), (A,), (), (B,), (stored(B, LANE, LANE), Copy(B, A))
    ),
    "c is written, which may only be read": Program(
        "p", (), (), (C[0],), (C,), (), (Nest("n", (), (), ()), stored(C[0], LANE))
    ),
    "a buffer belongs to a program twice": Program("p", (), (), (), (C, C), (), ()),
    "dimension 0 of a is negative: -1": of_steps(inputs=(Buffer("a", (-1, 2), F32),)),
    "the size that a check names is negative: -1": Program(
        "p", (), (), (), (), (), (), (Check(NUMBER, NUMBER, -1, 0, True, None),)
    ),
    "a of a program is in space scratch": of_steps(inputs=(Buffer("a", (2,), F32, "scratch"),)),
    "v is a view of a, which is not there": of_steps(inputs=(Buffer("v", (6,), F32, base=A),)),
    "c of float32[2] holds float64[2]": Program(
        "p", (), (), (), ((Buffer("c", (2,), F32), np.zeros(2)),), (), ()
    ),
    "c of float32[2] holds float32[3]": Program(
        "p", (), (), (), ((Buffer("c", (2,), F32), np.zeros(3, np.float32)),), (), ()
    ),
    "buffer stray belongs to no part of the program": of_steps(stored(STRAY, LANE, LANE)),
    "buffer stray belongs to no part of the program (read)": of_steps(
        Copy(STRAY, B), temporaries=(B,)
    ),
    "Copy0 is no step of a program": of_steps(type("Copy0", (), {"name": "c"})()),
    "a local of a nest is a buffer of the program too": of_steps(
        stored(B, LANE, LANE, locals=(B,)), temporaries=(B,)
    ),
    "1 indices write b of rank 2": of_steps(stored(B, LANE), temporaries=(B,)),
    "a and six differ in rank": of_steps(
        SortRows("s", A, SIX, 0, False), inputs=(A,), temporaries=(SIX,)
    ),
    "axis -1 of a buffer of rank 2": of_steps(
        SortRows("s", A, B, -1, False), inputs=(A,), temporaries=(B,)
    ),
    "the condition flag is no bool of rank 0": of_steps(RepeatWhile((), FLAG, ()), inputs=(FLAG,)),
    "the condition one is no bool of rank 0": of_steps(
        RepeatWhile((), NO_BOOL, ()), inputs=(NO_BOOL,)
    ),
}


@pytest.mark.parametrize("message", BROKEN_BY_HAND)
def test_programs_that_no_text_describes(message: str) -> None:
    with pytest.raises(IRError) as caught:
        verify_program(BROKEN_BY_HAND[message])
    assert message.split(" (")[0] in caught.value.message


def test_one_iteration_may_write_what_does_not_depend_on_it() -> None:
    verify_kernel(
        parse_kernel("""kernel k(x: f32[4]) { for group g < 3 { for local l < 2 {
          if g * 2 + l == 5 { x[3] = 1.0:f32 }
          if g * 2 + l < 3 { x[g * 2 + l] = 2.0:f32 } } } }""")
    )


def test_a_remainder_names_more_than_one_iteration() -> None:
    with pytest.raises(IRError, match="every iteration of g writes the same elements of x"):
        verify_kernel(
            parse_kernel("""kernel k(x: f32[4]) { for group g < 8 { for local l < 1 {
              if mod(g, 4) == 1 { x[3] = 1.0:f32 } } } }""")
        )
