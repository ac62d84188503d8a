"""Value numbering: what must become one, and what must not."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.strategies import arrays, graphs
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32, I64
from tilewright.ir.expr import Apply, Expr, Load, Size, Var
from tilewright.ir.graph import (
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
)
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.values import shape_value
from tilewright.ir.passes.eliminate_common_subexpressions import eliminate_common_subexpressions

X = Input("x", (4, 5), F32)


def _plus(source: Tensor, value: float) -> Compute:
    axes = tuple(Var(f"i{k}", n) for k, n in enumerate(source.shape))
    return Compute("p", axes, Apply(ops.ADD, (Load(source, axes), build.const(value, F32))))


def _merged(*outputs: Tensor, inputs: tuple[Input, ...] = (X,)) -> bool:
    graph = eliminate_common_subexpressions(Graph("g", inputs, outputs))
    return len(set(graph.outputs)) < len(outputs)


def test_equal_bodies_on_other_axes_are_one() -> None:
    assert _merged(_plus(X, 1), _plus(X, 1))


def test_equality_spreads_to_consumers() -> None:
    one, two = _plus(_plus(X, 1), 2), _plus(_plus(X, 1), 2)
    graph = eliminate_common_subexpressions(Graph("g", (X,), (one, two)))
    assert len(graph.nodes()) == 3


def test_zeros_of_both_signs_differ() -> None:
    assert not _merged(_plus(X, 0.0), _plus(X, -0.0))
    assert _merged(_plus(X, float("nan")), _plus(X, float("nan")))


def test_dtypes_of_equal_literals_differ() -> None:
    i, j = Var("i", 3), Var("j", 3)
    one, two = Compute("a", (i,), build.const(1, F32)), Compute("b", (j,), build.const(1, I32))
    assert not _merged(one, two)


def test_axes_count_by_position() -> None:
    square = Input("s", (4, 4), F32)
    i, j, k, m = (Var(n, 4) for n in "ijkm")
    straight = Compute("a", (i, j), Load(square, (i, j)))
    turned = Compute("b", (k, m), Load(square, (m, k)))
    assert not _merged(straight, turned, inputs=(square,))


def test_extents_count() -> None:
    i, j = Var("i", 3), Var("j", 4)
    zero = build.index(0)
    one, two = Compute("a", (i,), Load(X, (i, zero))), Compute("b", (j,), Load(X, (j, zero)))
    assert not _merged(one, two)


def _rows(extent: Size, combiner: str) -> Reduction:
    i = Var("i", 4)
    r = Var("r", build.sub(build.index(5), i) if extent == 0 else extent)
    return Reduction("r", (i,), (r,), combiner, Load(X, (i, r)))


def test_reductions() -> None:
    assert _merged(_rows(5, "add"), _rows(5, "add"))
    assert _merged(_rows(0, "add"), _rows(0, "add"))
    assert not _merged(_rows(5, "add"), _rows(5, "max"))
    assert not _merged(_rows(5, "add"), _rows(0, "add"))


def test_a_reduced_axis_is_not_an_own_axis() -> None:
    i, j = Var("i", 1), Var("j", 1)
    value: Expr = build.const(1, F32)
    one = Reduction("a", (i,), (), "add", value)
    two = Reduction("b", (), (j,), "add", value)
    assert not _merged(one, two)


def test_other_nodes() -> None:
    assert _merged(Sort("a", X, 1, False), Sort("b", X, 1, False))
    assert not _merged(Sort("a", X, 1, False), Sort("b", X, 1, True))
    assert _merged(Reshape("a", X, (20,)), Reshape("b", X, (20,)))
    assert not _merged(Reshape("a", X, (20,)), Reshape("b", X, (5, 4)))
    small = np.arange(3, dtype=np.float32)
    assert _merged(Constant("a", small, F32), Constant("b", small.copy(), F32))
    assert not _merged(Constant("a", small, F32), Constant("b", small * -1, F32))


def test_the_contents_of_constants_are_compared_up_to_64_kb() -> None:
    for count in (1 << 14, (1 << 14) + 1):
        data = np.zeros(count, np.float32)
        assert _merged(Constant("a", data, F32), Constant("b", data, F32))
        is_compared = data.nbytes <= 65536
        assert _merged(Constant("a", data, F32), Constant("b", data.copy(), F32)) == is_compared


def test_what_is_written_elsewhere_differs() -> None:
    def written(place: int, combiner: str | None = None) -> Scatter:
        axis = Var("i", 5)
        return Scatter("s", X, (axis,), (build.index(place), axis), build.const(1, F32), combiner)

    assert _merged(written(1), written(1))
    assert not _merged(written(1), written(2))
    assert not _merged(written(1), written(1, "add"))


def test_kinds_of_nodes_over_the_same_operand_differ() -> None:
    assert not _merged(Sort("a", X, 1, False), Sort("b", X, 1, True))
    assert not _merged(Sort("a", X, 1, False), Sort("b", X, 0, False))
    assert not _merged(Scan("a", X, 1, "add"), Scan("b", X, 1, "mul"))
    assert not _merged(Scan("a", X, 1, "add"), Scan("b", X, 0, "add"))
    assert not _merged(Scan("a", X, 1, "add"), Sort("b", X, 1, False))
    integers = np.arange(4, dtype=np.int32)
    bits = integers.view(np.float32)
    assert not _merged(Constant("a", integers, I32), Constant("b", bits, F32))
    assert not _merged(Constant("a", bits, F32), Constant("b", bits.reshape(2, 2), F32))


def test_the_same_operation_on_other_operands_differs() -> None:
    y = Input("y", (4, 5), F32)
    both = (X, y)
    assert not _merged(Sort("a", X, 1, False), Sort("b", y, 1, False), inputs=both)
    assert not _merged(Scan("a", X, 1, "add"), Scan("b", y, 1, "add"), inputs=both)
    assert not _merged(Reshape("a", X, (20,)), Reshape("b", y, (20,)), inputs=both)
    assert not _merged(_plus(X, 1), _plus(y, 1), inputs=both)
    axis = Var("i", 5)
    places, one = (build.index(1), axis), build.const(1, F32)
    first, other = (Scatter("s", t, (axis,), places, one, None) for t in both)
    assert not _merged(first, other, inputs=both)
    two = Scatter("s", X, (axis,), places, build.const(2, F32), None)
    assert not _merged(first, two)


def test_results_of_one_loop_differ() -> None:
    zero = build.const(0, F32)
    start = [Compute(n, (), zero) for n in "ab"]
    number = Input("n", (), I64)
    state = [Input(n, (), F32) for n in "cd"]
    body = Graph("body", (number, *state), tuple(reversed(state)))
    loop = Loop("l", 3, start, (), body)
    other = Loop("l", 4, start, (), body)
    assert not _merged(Result("a", loop, 0), Result("b", loop, 1), inputs=())
    assert not _merged(Result("a", loop, 0), Result("b", other, 0), inputs=())


def test_a_static_extent_is_not_a_computed_one() -> None:
    for size in range(6):
        assert not _merged(_rows(size, "add"), _rows(0, "add")) or size == 0


def test_a_graph_without_equal_nodes_is_returned_as_it_is() -> None:
    graph = Graph("g", (X,), (_plus(X, 1), _plus(X, 2)))
    assert eliminate_common_subexpressions(graph) is graph


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_graphs_keep_their_values(data: st.DataObject) -> None:
    graph = data.draw(graphs(nodes=8))
    inputs = [data.draw(arrays(shape_value(t.shape, {}), t.dtype)) for t in graph.inputs]
    changed = eliminate_common_subexpressions(graph)
    assert len(changed.nodes()) <= len(graph.nodes())
    for old, new in zip(run_graph(graph, inputs), run_graph(changed, inputs), strict=True):
        np.testing.assert_array_equal(old, new)
