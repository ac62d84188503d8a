"""Nodes that read constants alone are evaluated now, by the NumPy interpreter.

In: a graph. Out: the same graph with such nodes as constants, unless the result is large, or larger
than what it is made of: a broadcast costs less as an index map than as memory. Elementary functions
stay, as every target computes them by our own code and an answer must not depend on when it is
found. Nodes that read nothing (a filled array) stay expressions as well.
"""

from __future__ import annotations

import math

from tilewright.ir.expr import Apply, Expr, post_order
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
    Reduction,
    Reshape,
    Scan,
    Scatter,
    Sort,
    Tensor,
)
from tilewright.ir.graph_rewrite import rewrite_graph

LARGEST_RESULT = 1 << 16
"""Bytes of the largest constant that is made here."""
ALWAYS_FOLDED = 256
"""Results of at most this many bytes are folded even if their operands are smaller still."""


def fold_constants(graph: Graph) -> Graph:
    """The graph with small nodes over constants evaluated."""
    return rewrite_graph(graph, _fold)


def _fold(node: Tensor) -> Tensor | None:
    if not isinstance(node, _EVALUATED) or not _is_small(node) or not _is_exact(node):
        return None
    from tilewright.ir.interpret.graph import run_graph  # few kernels have anything to fold

    (value,) = run_graph(Graph("folded", (), (node,)), ())
    return Constant(node.name, value, node.dtype, label=node.label, loc=node.loc)


_EVALUATED = (Compute, Reduction, Reshape, Scan, Scatter, Sort)


def _is_small(node: Tensor) -> bool:
    constants = [s.array for s in node.sources if isinstance(s, Constant)]
    extents = [s for s in node.shape if isinstance(s, int)]
    if not constants or len(constants) < len(node.sources) or len(extents) < len(node.shape):
        return False
    size = math.prod(extents) * node.dtype.itemsize
    return size <= min(LARGEST_RESULT, max(ALWAYS_FOLDED, sum(a.nbytes for a in constants)))


def _is_exact(node: Tensor) -> bool:
    """Whether the interpreter and every target give the same bits."""
    match node:
        case Compute():
            return _bodies_are_exact((node.body,))
        case Reduction():
            inexact = node.dtype.is_float and node.combiner in ("add", "mul")
            return not inexact and _bodies_are_exact((node.body,))
        case Scatter():
            return _bodies_are_exact((*node.indices, node.value))
        case Scan():
            return not (node.dtype.is_float and node.combiner in ("add", "mul"))
        case _:
            return True


def _bodies_are_exact(bodies: tuple[Expr, ...]) -> bool:
    return not any(isinstance(n, Apply) and n.op.elementary for n in post_order(bodies))
