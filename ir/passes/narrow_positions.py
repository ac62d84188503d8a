"""Positions computed in float64, in float32 instead: for targets without float64.

``x[i] * (i + 0.5)`` is float32, since Python numbers and index variables are weak; but what is
weak on both sides is Python arithmetic, in float64, until it meets the array. Where nothing but
positions and literals goes in, a target without float64 computes that part in float32: half an
ulp of float32 from the rounded float64 value as long as positions stay below 2**24.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64
from tilewright.ir.expr import Apply, Const, Expr, Load
from tilewright.ir.graph import Compute, Graph, Reduction, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.traverse import rewrite


def narrow_positions(graph: Graph) -> Graph:
    """`graph` with float64 arithmetic on positions alone done in float32."""
    return rewrite_graph(graph, _narrow_node)


def _narrow_node(node: Tensor) -> Tensor | None:
    if not isinstance(node, (Compute, Reduction)):
        return None
    narrower = _Narrower()
    body = rewrite(node.body, narrower.rule)
    if body is node.body:
        return None
    about = {"label": node.label, "loc": node.loc}
    if isinstance(node, Compute):
        return Compute(node.name, node.axes, body, **about)
    return Reduction(node.name, node.axes, node.reduce_axes, node.combiner, body, **about)


class _Narrower:
    """Knows the float32 form of every float64 expression that is made of positions."""

    def __init__(self) -> None:
        self._narrow: dict[Expr, Expr] = {}

    def rule(self, node: Expr) -> Expr | None:
        if not isinstance(node, Apply):
            if isinstance(node, Const) and node.dtype is F64:
                self._narrow[node] = build.const(node.value, F32)
            return None
        operands = [self._narrow.get(o) for o in node.operands if o.dtype is F64]
        known = [o for o in operands if o is not None]
        if len(known) < len(operands):
            return None
        if node.dtype is F64:
            self._remember(node, known)
            return None
        if not known or all(isinstance(o, Const) for o in known):
            return None
        return self._leaves(node, known)

    def _remember(self, node: Apply, known: list[Expr]) -> None:
        """A float64 value made of positions: what it is in float32."""
        if node.op is ops.CAST:
            source = known[0] if known else node.operands[0]
            if known or (source.dtype.is_integer and not _reads_data(source)):
                self._narrow[node] = build.cast(source, F32)
            return
        if node.op is not ops.BITCAST and known:
            narrow = iter(known)
            operands = tuple(next(narrow) if o.dtype is F64 else o for o in node.operands)
            self._narrow[node] = Apply(node.op, operands)

    def _leaves(self, node: Apply, known: list[Expr]) -> Expr | None:
        """Where such a value becomes of another dtype: a cast, or a comparison."""
        if node.op is ops.CAST:
            return build.cast(known[0], node.dtype)
        if node.op.result == "bool":
            return Apply(node.op, tuple(known))
        return None


def _reads_data(node: Expr) -> bool:
    stack = [node]
    while stack:
        top = stack.pop()
        if isinstance(top, Load):
            return True
        stack.extend(top.operands)
    return False
