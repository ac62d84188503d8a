"""Constant folding: what is evaluated now, and what is left for the target."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.strategies import arrays, graphs
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I32
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
    Input,
    Reduction,
    Reshape,
    Scan,
    Sort,
    Tensor,
)
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.values import shape_value
from tilewright.ir.passes.fold_constants import fold_constants

VALUES = np.array([3.0, -0.0, np.nan, 1.5], np.float32)
C = Constant("c", VALUES, F32)


def _folded(node: Tensor) -> Tensor:
    return fold_constants(Graph("g", (), (node,))).outputs[0]


def _unary(op: ops.Op, source: Tensor) -> Compute:
    i = Var("i", source.shape[0])
    return Compute("t", (i,), Apply(op, (Load(source, (i,)),)))


def test_chains_are_evaluated() -> None:
    node = _folded(Sort("s", _unary(ops.NEG, C), 0, False))
    assert isinstance(node, Constant)
    np.testing.assert_array_equal(node.array, np.sort(-VALUES))
    assert node.array.dtype == np.float32


def test_the_label_stays() -> None:
    i = Var("i", 4)
    node = Compute("t", (i,), Apply(ops.NEG, (Load(C, (i,)),)), label="np.negative")
    assert _folded(node).label == "np.negative"


def test_integer_sums_and_scans_are_evaluated() -> None:
    c, r = Constant("c", np.arange(4, dtype=np.int32), I32), Var("r", 4)
    total = _folded(Reduction("t", (), (r,), "add", Load(c, (r,))))
    assert isinstance(total, Constant)
    assert total.array == 6
    scan = _folded(Scan("s", c, 0, "add"))
    assert isinstance(scan, Constant)
    assert scan.array.tolist() == [0, 1, 3, 6]


def test_what_depends_on_the_target_stays() -> None:
    r = Var("r", 4)
    assert not isinstance(_folded(_unary(ops.EXP, C)), Constant)
    assert not isinstance(_folded(Reduction("t", (), (r,), "add", Load(C, (r,)))), Constant)
    assert not isinstance(_folded(Scan("s", C, 0, "mul")), Constant)
    assert isinstance(_folded(Scan("s", C, 0, "max")), Constant)


def test_a_broadcast_stays_an_index_map() -> None:
    def spread(rows: int) -> Tensor:
        i, j = Var("i", rows), Var("j", 4)
        return _folded(Compute("t", (i, j), Load(C, (j,))))

    assert isinstance(spread(16), Constant)
    assert not isinstance(spread(17), Constant)


def test_large_results_stay() -> None:
    def reshaped(size: int) -> Tensor:
        c = Constant("c", np.zeros(size, np.float32), F32)
        return _folded(Reshape("r", c, (size, 1)))

    assert isinstance(reshaped(1 << 14), Constant)
    assert not isinstance(reshaped((1 << 14) + 1), Constant)


def test_nodes_that_read_nothing_or_inputs_stay() -> None:
    i = Var("i", 4)
    x = Input("x", (4,), F32)
    value: Expr = build.const(1, F32)
    filled = Compute("f", (i,), value)
    both = Compute("b", (i,), Apply(ops.ADD, (Load(x, (i,)), Load(C, (i,)))))
    graph = Graph("g", (x,), (filled, both))
    assert fold_constants(graph) is graph


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_graphs_keep_their_values(data: st.DataObject) -> None:
    graph = data.draw(graphs(nodes=8))
    inputs = [data.draw(arrays(shape_value(t.shape, {}), t.dtype)) for t in graph.inputs]
    for old, new in zip(
        run_graph(graph, inputs), run_graph(fold_constants(graph), inputs), strict=True
    ):
        np.testing.assert_array_equal(old, new)
