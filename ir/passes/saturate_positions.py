"""Integers that a target's positions do not hold, where they become positions.

A position is tested against the size of its axis, or brought inside. One that had lost its upper
bits could pass: where positions have 32 of them, ``a[2**32 + 1]`` would read ``a[1]``. The nearest
position that there is lies outside of every axis as well.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.analysis.tensor_ranges import bounds
from tilewright.ir.dtypes import I32, I64, INDEX, U32, U64, DType
from tilewright.ir.expr import Apply, Expr
from tilewright.ir.graph import Compute, Graph, Loop, Reduction, Scatter, Tensor, While
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.traverse import rewrite


def saturate_positions(graph: Graph, bits: int, has_64_bits: bool = True) -> Graph:
    """`graph` with wide integers brought into the range of `bits` where they become positions.

    A target without integers of 64 bits has tested that its int64 values fit into 32.
    """
    if bits == 64:
        if all(node.dtype is not U64 for node in graph.nodes()):
            return graph
        return rewrite_graph(graph, _Saturation((U64,), I64).node)
    return rewrite_graph(
        graph, _Saturation((I64, U32, U64) if has_64_bits else (U32, U64), I32).node
    )


class _Saturation:
    """Rewrites nodes; `wide` are the dtypes of what a position, of dtype `held`, may not hold."""

    def __init__(self, wide: tuple[DType, ...], held: DType) -> None:
        self._wide = wide
        self._held = held

    def node(self, node: Tensor) -> Tensor | None:
        about = {"label": node.label, "loc": node.loc}
        match node:
            case Compute() | Reduction() | Scatter():
                return self._expressions(node)
            case Loop():
                body = rewrite_graph(node.body, self.node)
                if body is node.body:
                    return None
                return Loop(node.name, node.count, node.initial, node.captured, body, **about)
            case While():
                condition = rewrite_graph(node.condition, self.node)
                body = rewrite_graph(node.body, self.node)
                if body is node.body and condition is node.condition:
                    return None
                return While(node.name, node.initial, node.captured, condition, body, **about)
        return None

    def _expressions(self, node: Compute | Reduction | Scatter) -> Tensor | None:
        old = (*node.indices, node.value) if isinstance(node, Scatter) else (node.body,)
        new = [rewrite(expr, self._rule) for expr in old]
        if all(a is b for a, b in zip(old, new, strict=True)):
            return None
        about = {"label": node.label, "loc": node.loc}
        match node:
            case Compute():
                return Compute(node.name, node.axes, new[0], **about)
            case Reduction():
                axes, reduced = node.axes, node.reduce_axes
                return Reduction(node.name, axes, reduced, node.combiner, new[0], **about)
            case Scatter():
                *indices, value = new
                return Scatter(
                    node.name, node.base, node.axes, indices, value, node.combiner, **about
                )

    def _rule(self, node: Expr) -> Expr | None:
        """``index(x)`` -> ``index(min(max(x, least), most))``, where `x` may lie outside."""
        if not (isinstance(node, Apply) and node.op is ops.CAST and node.dtype is INDEX):
            return None
        (value,) = node.operands
        if value.dtype not in self._wide:
            return None
        least, most = bounds(value)
        limited = value
        if most is None or most > self._held.max:
            limited = build.minimum(limited, build.const(self._held.max, value.dtype))
        if value.dtype is I64 and (least is None or least < self._held.min):
            limited = build.maximum(limited, build.const(self._held.min, value.dtype))
        return None if limited is value else build.cast(limited, INDEX)
