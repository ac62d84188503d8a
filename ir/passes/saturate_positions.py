"""Unsigned integers as positions, for targets whose integers have 32 bits.

A position is signed, and is tested against the size of its axis or brought inside. A uint32 of
``2**31`` or more would become a negative one, which counts from the end. The largest position that
there is lies beyond the end of every array as well.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.analysis.tensor_ranges import bounds
from tilewright.ir.dtypes import I32, I64, INDEX, U32, U64
from tilewright.ir.expr import Apply, Expr
from tilewright.ir.graph import Graph, Loop, Tensor, While
from tilewright.ir.graph_rewrite import map_expressions, rewrite_graph
from tilewright.ir.traverse import rewrite


def saturate_positions(graph: Graph) -> Graph:
    """`graph` with unsigned integers limited to those of int32 where they become positions."""
    return rewrite_graph(graph, _node)


def _node(node: Tensor) -> Tensor | None:
    about = {"label": node.label, "loc": node.loc}
    match node:
        case Loop():
            body = saturate_positions(node.body)
            if body is node.body:
                return None
            return Loop(node.name, node.count, node.initial, node.captured, body, **about)
        case While():
            condition, body = saturate_positions(node.condition), saturate_positions(node.body)
            if condition is node.condition and body is node.body:
                return None
            return While(node.name, node.initial, node.captured, condition, body, **about)
        case _:
            return map_expressions(node, lambda expr: rewrite(expr, _rule))


def _rule(node: Expr) -> Expr | None:
    """``index(x)`` -> ``index(min(x, 2**31 - 1))`` for unsigned `x`, also by way of int64."""
    if not (isinstance(node, Apply) and node.op is ops.CAST and node.dtype is INDEX):
        return None
    (value,) = node.operands
    if isinstance(value, Apply) and value.op is ops.CAST and value.dtype is I64:
        (value,) = value.operands
    if value.dtype not in (U32, U64):
        return None
    _, most = bounds(value)
    if most is not None and most <= I32.max:
        return None
    return build.cast(build.minimum(value, build.const(I32.max, value.dtype)), INDEX)
