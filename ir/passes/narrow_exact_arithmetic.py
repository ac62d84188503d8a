"""float64 arithmetic whose every step is exact in float32, in float32.

``rows * (y + 0.5)`` with a float32 `rows` computes ``y + 0.5`` in float64, as Python would, and
rounds it. Where every value of a step is a multiple of a power of two with at most 24 bits, which
the extents of the axes decide, float32 has the same values; vectors then hold twice as many.
"""

from __future__ import annotations

import math

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import F32, F64, INDEX
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.graph import Compute, Graph, Reduction, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.traverse import rewrite

_EXACT = 1 << 24
_LEAST_EXPONENT = -100


def narrow_exact_arithmetic(graph: Graph) -> Graph:
    """`graph` with float64 computed in float32 where that gives the same values."""
    return rewrite_graph(graph, _narrow_node)


def _narrow_node(node: Tensor) -> Tensor | None:
    if not isinstance(node, (Compute, Reduction)):
        return None
    body = rewrite(node.body, _Narrower().rule)
    if body is node.body:
        return None
    if isinstance(node, Compute):
        return Compute(node.name, node.axes, body, label=node.label, loc=node.loc)
    axes, reduced, combiner = node.axes, node.reduce_axes, node.combiner
    return Reduction(node.name, axes, reduced, combiner, body, label=node.label, loc=node.loc)


class _Exact(Struct, frozen=True, eq=False):
    """The float32 form of a value that is ``k * 2**exponent`` for an integer ``|k| <= most``."""

    form: Expr
    exponent: int
    most: int


class _Narrower:
    """Knows the exact float32 form of expressions of one body."""

    def __init__(self) -> None:
        self._exact: dict[Expr, _Exact] = {}

    def rule(self, node: Expr) -> Expr | None:
        if node.dtype is F64:
            found = self._describe(node)
            if found is not None and found.most <= _EXACT and found.exponent >= _LEAST_EXPONENT:
                self._exact[node] = found
            return None
        if not isinstance(node, Apply) or node.operands[0].dtype is not F64:
            return None
        narrow = [self._exact.get(o) for o in node.operands]
        forms = tuple(n.form for n in narrow if n is not None)
        if len(forms) < len(narrow) or all(isinstance(f, Const) for f in forms):
            return None
        if node.op is ops.CAST and not node.dtype.is_float:
            return None
        if node.op is ops.CAST:
            return build.cast(forms[0], node.dtype)
        return Apply(node.op, forms) if node.op in ops.COMPARISONS else None

    def _describe(self, node: Expr) -> _Exact | None:
        if isinstance(node, Const):
            return _literal(float(node.value))
        if not isinstance(node, Apply):
            return None
        if node.op is ops.CAST:
            return _converted(node.operands[0])
        if node.op not in (ops.ADD, ops.SUB, ops.MUL):
            return None
        left, right = (self._exact.get(o) for o in node.operands)
        if left is None or right is None:
            return None
        form = Apply(node.op, (left.form, right.form))
        if node.op is ops.MUL:
            return _Exact(form, left.exponent + right.exponent, left.most * right.most)
        low = min(left.exponent, right.exponent)
        most = sum(side.most << (side.exponent - low) for side in (left, right))
        return _Exact(form, low, most)


def _literal(value: float) -> _Exact | None:
    if not math.isfinite(value) or abs(value) > _EXACT:
        return None
    numerator, denominator = value.as_integer_ratio()
    exponent = 1 - denominator.bit_length()
    return _Exact(build.const(value, F32), exponent, abs(numerator))


def _converted(source: Expr) -> _Exact | None:
    """An integer of known range, as a float."""
    if not source.dtype.is_integer and source.dtype is not INDEX:
        return None
    low, high = interval(source)
    if low is None or high is None:
        return None
    return _Exact(build.cast(source, F32), 0, max(abs(low), abs(high)))
