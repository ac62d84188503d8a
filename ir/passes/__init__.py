"""Passes over graphs: one per file, each a function from a graph to a graph."""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir.graph import Graph
from tilewright.ir.passes.eliminate_common_subexpressions import eliminate_common_subexpressions
from tilewright.ir.passes.fold_constants import fold_constants
from tilewright.ir.passes.lower_arg_reductions import lower_arg_reductions
from tilewright.ir.passes.lower_reshapes import lower_reshapes
from tilewright.ir.passes.narrow_exact_arithmetic import narrow_exact_arithmetic
from tilewright.ir.passes.simplify_arithmetic import simplify_arithmetic
from tilewright.ir.passes.split_large_reductions import split_large_reductions

GraphPass = Callable[[Graph], Graph]

GRAPH_PASSES: tuple[GraphPass, ...] = (
    simplify_arithmetic,
    fold_constants,
    eliminate_common_subexpressions,  # after the two that make nodes equal
    narrow_exact_arithmetic,
    lower_arg_reductions,
    lower_reshapes,  # before fusion: a reshape that is only an index map can be fused
    split_large_reductions,  # last: it makes two reductions of one
)


def run_passes(
    graph: Graph,
    passes: tuple[GraphPass, ...] = GRAPH_PASSES,
    observe: Callable[[str, Graph], None] | None = None,
) -> Graph:
    """Run the passes in order; `observe(name, graph)` sees every intermediate result."""
    for graph_pass in passes:
        graph = graph_pass(graph)
        if observe:
            observe(graph_pass.__name__, graph)
    return graph
