"""Python float arguments become float32 where, and only where, every use rounds them."""

from __future__ import annotations

import pytest

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32, F64, I32, I64, DType
from tilewright.ir.expr import Apply, Expr, Var
from tilewright.ir.graph import Compute, Graph, Input, Loop, Reduction, Result, Tensor
from tilewright.ir.passes.narrow_scalars import computed_scalars, narrow_scalars
from tilewright.ir.verify import verify_graph

AXIS = Var("i", 4)
X = Input("x", (4,), F32)
N = Input("n", (4,), I32)


def python_float(name: str = "s") -> Input:
    return Input(name, (), F64, "float argument")


def graph_of(*outputs: Tensor, inputs: tuple[Input, ...]) -> Graph:
    return Graph("g", (X, N, *inputs), outputs)


def times(value: Expr) -> Compute:
    return Compute("c", (AXIS,), build.mul(build.load(X, AXIS), value))


def scalar(graph: Graph, position: int = 2) -> DType:
    verify_graph(graph)
    return graph.inputs[position].dtype


def test_what_is_rounded_is_passed_rounded() -> None:
    s = python_float()
    narrow = narrow_scalars(graph_of(times(build.cast(build.load(s), F32)), inputs=(s,)))
    assert scalar(narrow) is F32
    assert "f64" not in str(narrow)
    assert computed_scalars(narrow) == frozenset()


def test_what_is_rounded_to_half_is_passed_as_half() -> None:
    s = python_float()
    body = build.cast(build.load(s), F16)
    assert scalar(narrow_scalars(graph_of(Compute("c", (AXIS,), body), inputs=(s,)))) is F16


def test_what_is_unused_is_passed_as_float32() -> None:
    graph = graph_of(times(build.load(X, AXIS)), inputs=(python_float(),))
    assert scalar(narrow_scalars(graph)) is F32


def test_a_copy_is_the_argument() -> None:
    s = python_float()
    copy = Compute("copy", (), build.load(s))
    single = Compute("single", (), build.cast(build.load(copy), F32))
    narrow = narrow_scalars(graph_of(times(build.load(single)), inputs=(s,)))
    assert scalar(narrow) is F32
    assert "f64" not in str(narrow)


def test_a_loop_captures_the_narrow_argument() -> None:
    s = python_float()
    step, state, inner = Input("k", (), I64), Input("a", (4,), F32), Input("t", (), F64)
    value = build.mul(build.load(state, AXIS), build.cast(build.load(inner), F32))
    body = Graph("body", (step, state, inner), (Compute("next", (AXIS,), value),))
    loop = Loop("loop", 3, (X,), (s,), body)
    narrow = narrow_scalars(graph_of(Result("r", loop, 0), inputs=(s,)))
    assert scalar(narrow) is F32
    assert "f64" not in str(narrow)


def one_minus(s: Input) -> Expr:
    return Apply(ops.SUB, (build.const(1.0, F64), build.load(s)))


COMPUTED = [
    lambda s: times(build.cast(one_minus(s), F32)),
    lambda s: times(build.load(Compute("b", (), build.cast(one_minus(s), F32)))),
    lambda s: times(build.cast(build.load(Compute("b", (), one_minus(s))), F32)),
    lambda s: Compute("c", (), build.lt(build.load(s), build.const(0.5, F64))),
]
OF_DATA = Compute("d", (), build.cast(build.load(N, build.index(0)), F64))
MIXED = [
    lambda s: Compute("c", (AXIS,), build.cast(build.mul(one_minus(s), build.load(OF_DATA)), F32)),
    lambda s: Reduction("c", (), (AXIS,), "add", build.load(s)),
    lambda s: Reduction("c", (), (AXIS,), "add", one_minus(s)),
    lambda s: Compute("c", (AXIS,), build.mul(build.cast(build.load(N, AXIS), F64), build.load(s))),
    lambda s: Compute("c", (AXIS,), build.lt(build.cast(build.load(N, AXIS), F64), build.load(s))),
    lambda s: Compute("c", (AXIS,), build.load(s)),
    lambda s: Compute("c", (), one_minus(s)),
    lambda s: s,
]


@pytest.mark.parametrize("make", COMPUTED)
def test_arithmetic_among_python_floats_needs_their_values(make) -> None:
    s, other = python_float(), python_float("other")
    rounded = Compute("d", (AXIS,), build.cast(build.load(other), F32))
    graph = graph_of(make(s), rounded, inputs=(s, other))
    assert computed_scalars(graph) == {"s"}
    narrow = narrow_scalars(graph)
    assert (scalar(narrow), scalar(narrow, 3)) == (F64, F32)


@pytest.mark.parametrize("make", MIXED)
def test_float64_beside_data_stays(make) -> None:
    s = python_float()
    graph = graph_of(make(s), inputs=(s,))
    assert computed_scalars(graph) == frozenset()
    assert narrow_scalars(graph) is graph


def test_other_float64_inputs_stay() -> None:
    strong = Input("s", (), F64)
    graph = graph_of(times(build.cast(build.load(strong), F32)), inputs=(strong,))
    assert narrow_scalars(graph) is graph
