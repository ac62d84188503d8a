"""Printing and parsing are inverse, and what was parsed computes the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ir.strategies import DTYPES, arrays, expressions, graphs, kernels, literals, static_shape
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I64, INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var
from tilewright.ir.graph import Check, Compute, Constant, Graph, Input, Result, While
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Barrier, Buffer, For, Kernel, Store
from tilewright.ir.location import Location
from tilewright.ir.parser import parse_graph, parse_kernel, parse_program, parse_schedule
from tilewright.ir.printer import (
    CANONICAL,
    FULL,
    large_arrays,
    print_graph,
    print_kernel,
    print_program,
    print_schedule,
)
from tilewright.ir.program import (
    Copy,
    Launch,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
)
from tilewright.ir.schedule import Schedule

slow_generation = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def same_bits(found: np.ndarray, wanted: np.ndarray) -> bool:
    return (
        found.dtype == wanted.dtype
        and found.shape == wanted.shape
        and found.tobytes() == wanted.tobytes()
    )


def graph_of(body: Expr, *axes: Var, inputs: tuple[Input, ...] = ()) -> Graph:
    return Graph("g", inputs, (Compute("t", axes, body),))


# Round trips.


@pytest.mark.parametrize("dtype", [*DTYPES, INDEX])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_literals_come_back_bit_for_bit(dtype: DType, data: st.DataObject) -> None:
    node = data.draw(literals(dtype))
    assert isinstance(node, Const)
    back = parse_graph(print_graph(graph_of(node))).outputs[0]
    assert isinstance(back, Compute)
    assert isinstance(back.body, Const)
    assert back.body.dtype is dtype
    found, wanted = dtype.numpy.type(back.body.value), dtype.numpy.type(node.value)
    assert found.tobytes() == wanted.tobytes()


def test_what_follows_a_let_is_no_part_of_it() -> None:
    x = Input("x", (3,), I64)
    i, j = Var("i", 3), Var("j", 3)
    load, place = Load(x, (i,)), build.add(i, j)
    negative = Apply(ops.ADD, (Const(-1, I64), Apply(ops.MUL, (load, load))))
    in_brackets = build.mul(build.add(place, i), place)
    for body in (negative, in_brackets):
        text = print_graph(graph_of(body, i, j, inputs=(x,)))
        assert "let e0" in text
        assert print_graph(parse_graph(text)) == text


@given(graph=graphs(), data=st.data())
@slow_generation
def test_graphs_round_trip(graph: Graph, data: st.DataObject) -> None:
    for style in (FULL, CANONICAL):
        text = print_graph(graph, style)
        parsed = parse_graph(text, large_arrays(graph))
        assert print_graph(parsed, style) == text
    inputs = [data.draw(arrays(static_shape(t), t.dtype)) for t in graph.inputs]
    pairs = zip(run_graph(parsed, inputs), run_graph(graph, inputs), strict=True)
    assert all(same_bits(a, b) for a, b in pairs)


@given(kernel=kernels(), data=st.data())
@slow_generation
def test_kernels_round_trip(kernel: Kernel, data: st.DataObject) -> None:
    for style in (FULL, CANONICAL):
        text = print_kernel(kernel, style)
        parsed = parse_kernel(text)
        assert print_kernel(parsed, style) == text
    read, out = kernel.parameters
    x = data.draw(arrays(static_shape(read), read.dtype))
    results = []
    for one in (kernel, parsed):
        result = np.zeros(static_shape(out), out.dtype.numpy)
        interpret_kernel(one, dict(zip(one.parameters, (x, result), strict=True)))
        results.append(result)
    assert same_bits(*results)


@given(data=st.data())
@slow_generation
def test_expressions_keep_their_tree(data: st.DataObject) -> None:
    """Not only the value: the same operations in the same order, shared in the same places."""
    axes = (Var("i", 3), Var("j", 2))
    x = Input("x", (3, 2), F32)
    graph = graph_of(data.draw(expressions((x,), axes)), *axes, inputs=(x,))
    parsed = parse_graph(print_graph(graph))
    assert shape_of(parsed.outputs[0]) == shape_of(graph.outputs[0])


def shape_of(node: object) -> list[object]:
    """The nodes of a compute's body in evaluation order, operands by number."""
    from tilewright.ir.expr import post_order

    assert isinstance(node, Compute)
    # A literal or a variable may be one object used twice or two objects: that means the same.
    numbers: dict[Expr, object] = {}
    described: list[object] = []
    for e in post_order((node.body,)):
        if isinstance(e, (Const, Var)):
            numbers[e] = repr(e)
            continue
        kind = e.op.name if isinstance(e, Apply) else type(e).__name__
        numbers[e] = len(described)
        described.append((kind, e.dtype.name, [numbers[o] for o in e.operands]))
    return described


def test_every_operation_round_trips() -> None:
    for op in ops.OPS.values():
        kinds = {"b": "true", "i": "3:i32", "u": "3:u32", "f": "1.5:f32", "x": "3"}
        for kind in op.domain:
            operand = kinds[kind]
            first = {"select": "true", "pick": "3:i32"}.get(op.result, operand)
            operands = [first] + [operand] * (op.arity - 1)
            call = f"{op.name}({', '.join(operands)})"
            if op is ops.CAST:
                call = f"f64({operand})"
            if op is ops.BITCAST:
                call = f"bits.i8({operand})" if kind == "b" else f"bits.u32({operand})"
            text = f"graph g() {{ %0: {dtype_of(call)}[] = compute () {{ {call} }} return %0 }}"
            once = print_graph(parse_graph(text))
            assert print_graph(parse_graph(once)) == once
            body = parse_graph(once).outputs[0].body  # type: ignore[attr-defined]
            assert body.op is op


def dtype_of(call: str) -> str:
    """The dtype of one call, found by asking the parser what is wrong with another."""
    for dtype in (*DTYPES, INDEX):
        text = f"graph g() {{ %0: {dtype.short}[] = compute () {{ {call} }} return %0 }}"
        try:
            parse_graph(text)
        except IRError:
            continue
        return dtype.short
    raise AssertionError(call)


def test_large_constants_are_named_by_digest() -> None:
    array = np.arange(100, dtype=np.float32)
    graph = Graph("g", (), (Constant("c", array, F32),))
    text = print_graph(graph)
    assert "data" in text
    assert len(text) < 200
    parsed = parse_graph(text, large_arrays(graph))
    assert parsed.outputs[0].array is array  # type: ignore[attr-defined]
    with pytest.raises(IRError, match="no array of digest"):
        parse_graph(text)
    wrong = dict.fromkeys(large_arrays(graph), array + 1)
    with pytest.raises(IRError, match="is not the"):
        parse_graph(text, wrong)


def test_nan_elements_of_constants_keep_their_bits() -> None:
    bits = np.array([0x7FC00000, 0xFFC00001, 0x7F800001, 0x80000000], np.uint32)
    graph = Graph("g", (), (Constant("c", bits.view(np.float32), F32),))
    back = parse_graph(print_graph(graph)).outputs[0].array  # type: ignore[attr-defined]
    assert back.view(np.uint32).tolist() == bits.tolist()


def test_while_checks_symbols_and_locations() -> None:
    n = Var("N", least=1)
    x = Input("x", (n, 2), F32)
    state, captured = Input("s", (), I64), Input("c", (n, 2), F32)
    limit = Compute("limit", (), Apply(ops.LT, (Load(state, ()), build.const(5, I64))))
    more = Compute("more", (), Apply(ops.ADD, (Load(state, ()), build.const(1, I64))))
    first = Compute("first", (), build.const(0, I64), label="np.zeros", loc=Location("a b.py", 3))
    loop = While(
        "w",
        (first,),
        (x,),
        Graph("test", (state, captured), (limit,)),
        Graph("body", (state, captured), (more,)),
        loc=Location("k.py", 7, 4),
    )
    result = Result("r", loop, 0)
    check = Check(result, result, n, 1, True, Location("k.py", 9, 0))
    graph = Graph("g", (x,), (result,), (n,), (check,))
    text = print_graph(graph, FULL)
    assert "<N >= 1>" in text
    assert 'at "k.py":7:5' in text
    assert 'check %2, %2 within N axis 1 wraps at "k.py":9:1' in text
    parsed = parse_graph(text)
    assert print_graph(parsed, FULL) == text
    assert parsed.checks[0].loc == Location("k.py", 9, 0)
    assert parsed.symbols[0].least == 1
    found = run_graph(parsed, [np.zeros((8, 2), np.float32)], {parsed.symbols[0]: 8})
    assert int(found[0]) == 5


def every_step() -> Program:
    """A program with every kind of step and declaration."""
    n, counter = Var("N", least=0), Var("k", 3)
    x, out = Buffer("x", (n, 4), F32), Buffer("out", (n, 4), F32)
    flag = Buffer("flag", (), build.TRUE.dtype)
    table = Buffer("table", (4,), F32)
    packed, order = Buffer("packed", (4,), F32), Buffer("order", (n, 4), I64)
    view = Buffer("view", (build.size_mul(n, 4),), F32, base=out)
    local = Buffer("best", (), F32, "scratch")
    i, j, o = Var("i", n), Var("j", 4), Var("o", 4)
    nest = Nest(
        "n0",
        (i,),
        (
            Stage((), (j,), "max", Load(x, (i, j)), local, (), "np.max"),
            Stage((o,), (), None, build.const(2, F32), out, (i, o)),
            Stage((Var("s", 4),), (), "scan:add", build.const(1, F32), out, (i, build.index(0))),
        ),
        (local,),
    )
    a = Var("a", n)
    ordered = Ordered("n1", (a,), view, (a,), Load(table, (build.index(1),)), "add")
    row = Var("row", n)
    store = Store(out, (row, build.index(0)), build.cast(counter, F32))
    launch = Kernel("k0", (out,), (n, counter), (), (For(row, "parallel", [store]),))
    done = Nest("done", (), (Stage((), (), None, build.FALSE, flag, ()),), ())
    p = Var("p", 4)
    pack = Nest("pack", (p,), (Stage((), (), None, Load(table, (p,)), packed, (p,)),), ())
    return Program(
        "all",
        (n,),
        (x,),
        (out,),
        ((table, np.array([1, 2, -0.0, np.nan], np.float32)),),
        (flag, order),
        (
            nest,
            ordered,
            SortRows("s", x, order, 1, True),
            Copy(x, out),
            Repeat(counter, (Launch(launch),)),
            RepeatWhile((done,), flag, (Copy(x, out),)),
        ),
        packed=(packed,),
        init=(pack,),
        notes=('demoted "x" to f32',),
    )


def test_programs_round_trip() -> None:
    for style in (FULL, CANONICAL):
        text = print_program(every_step(), style)
        assert print_program(parse_program(text), style) == text


def test_workgroup_kernels_round_trip() -> None:
    shared = Buffer("shared", (4,), F32, "workgroup")
    out = Buffer("out", (4,), F32, strides=(2,))
    k, g = Var("k", 4), Var("g", 1)
    other = Apply(ops.SUB, (build.index(3), k))
    body = [
        Store(shared, (k,), build.cast(k, F32)),
        Barrier(),
        Store(out, (k,), Load(shared, (other,))),
    ]
    kernel = Kernel("w", (out,), (), (shared,), (For(g, "group", [For(k, "local", body)]),))
    text = print_kernel(kernel)
    assert "barrier" in text
    assert "strides (2)" in text
    assert print_kernel(parse_kernel(text)) == text


@pytest.mark.parametrize(
    "schedule", [Schedule(), Schedule(tile=(4, 16), vector="inner", width=8, unroll=2)]
)
def test_schedules_round_trip(schedule: Schedule) -> None:
    assert parse_schedule(print_schedule(schedule)) == schedule


@pytest.mark.parametrize(
    "text", ["Schedule(1)", "open('x')", "Schedule(depth=1)", "Schedule(", "1"]
)
def test_other_texts_are_no_schedules(text: str) -> None:
    with pytest.raises(IRError, match="no schedule"):
        parse_schedule(text)


def test_chains_of_any_length_print_and_parse() -> None:
    i = Var("i", 2)
    value: Expr = build.const(1, F32)
    for _ in range(3000):
        value = Apply(ops.ADD, (value, build.const(1, F32)))
    graph = graph_of(value, i)
    text = print_graph(graph)
    assert max(map(len, text.splitlines())) < 200
    assert run_graph(parse_graph(text), [])[0].tolist() == [3001.0, 3001.0]


# Messages.

KERNEL = "kernel k(x: f32[4]) {{ {} }}"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("x[0] = y", "y is no value here"),
        ("y[0] = 1.0:f32", "y is no tensor or buffer here"),
        ("x[0] = 1:i32", "int32 stored to x of float32"),
        ("x[0] = 1.0", "1.0 is no literal of index"),
        ("x[0] = 300:u8", "300 is no literal of u8"),
        ("x[0, 1] = 1.0:f32", "2 indices write x of rank 1"),
        ("x[0] = sinus(1.0:f32)", "sinus is no operation"),
        ("x[0] = 1.0:f32 + 1.0:f64", "add: operand dtypes float32 and float64 differ"),
        ("x[0] = f32(0 < 1 < 2)", "comparisons do not chain"),
        ("for serial i < 3 { for serial i < 3 { } }", "i is declared already"),
        ("for sideways i < 3 { }", "expected one of serial"),
        ("x[0] = 1.0:f32 ; @", "'@' begins no token"),
        ("x[0] = " + "(" * 200, "nested more than 100 deep"),
        ("if 1 { }", "a condition of dtype index"),
        ("x[0] = 1.0:f32 } x", "expected the end, found 'x'"),
    ],
)
def test_errors_name_what_was_found(statement: str, message: str) -> None:
    with pytest.raises(IRError) as caught:
        parse_kernel(KERNEL.format(statement))
    assert message in str(caught.value)
    assert str(caught.value).startswith("line 1, column ")


def test_errors_name_the_place() -> None:
    with pytest.raises(IRError, match=r"^line 3, column 10 of the IR text: y is no value here$"):
        parse_kernel("kernel k(x: f32[4]) {\n  # a comment\n  x[0] = y\n}")


def test_graph_errors() -> None:
    with pytest.raises(IRError, match=r"declared f32\[3\], which this is not"):
        parse_graph("graph g() { %0: f32[3] = compute (i) { i } return %0 }")
    with pytest.raises(IRError, match="%1 is no tensor or buffer here"):
        parse_graph("graph g() { return %1 }")
    with pytest.raises(IRError, match="2 axes for rank 1"):
        parse_graph("graph g() { %0: f32[3] = compute (i, j) { 1.0:f32 } return %0 }")
    with pytest.raises(IRError, match="2 elements for the shape"):
        parse_graph("graph g() { %0: f32[3] = constant [1.0, 2.0] return %0 }")
    with pytest.raises(IRError, match="expected ',', found the end"):
        parse_graph("graph g() { %0: f32[3] =  constant [1.0")
