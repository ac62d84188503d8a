"""Recognising a nest that multiplies two operands and adds over reduced axes.

A matrix product, a batched one and a convolution are all of one form: the left operand varies with
the *rows* (outer axes that the right one does not use), the right one with the *columns*, both
with the reduced axes and with the *batch*. Flattened, each group of axes is one axis of a product.
"""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.ir import ops
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.nest import is_product
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import variables


@dataclass(frozen=True, eq=False, slots=True)
class Contraction:
    """``stage`` sums ``left * right``; all extents are static."""

    stage: Stage
    left: Expr
    right: Expr
    batch: tuple[Var, ...]
    rows: tuple[Var, ...]
    columns: tuple[Var, ...]


def match_contraction(nest: Nest) -> Contraction | None:
    """The contraction that `nest` computes, if it does nothing else but maps of its points."""
    reducing = [s for s in nest.stages if s.reduce_axes]
    if len(reducing) != 1 or any(s.axes for s in nest.stages):
        return None
    (stage,) = reducing
    value = stage.value
    if not is_product(stage) or not isinstance(value, Apply) or value.op is not ops.MUL:
        return None
    if any(not isinstance(a.extent, int) for a in (*nest.outer, *stage.reduce_axes)):
        return None
    if any(source in nest.locals for source in _sources(value)):
        return None
    return _oriented(nest, stage, *value.operands)


def _oriented(nest: Nest, stage: Stage, left: Expr, right: Expr) -> Contraction | None:
    """Operands in the order that makes the last axis of the result a column."""
    in_left, in_right = set(variables((left,))), set(variables((right,)))
    if nest.outer and nest.outer[-1] in in_left and nest.outer[-1] not in in_right:
        left, right, in_left, in_right = right, left, in_right, in_left
    rows = tuple(a for a in nest.outer if a in in_left and a not in in_right)
    columns = tuple(a for a in nest.outer if a in in_right and a not in in_left)
    batch = tuple(a for a in nest.outer if a not in rows and a not in columns)
    if not rows or not columns:
        return None
    return Contraction(stage, left, right, batch, rows, columns)


def _sources(value: Expr) -> list[object]:
    return [n.source for n in post_order((value,)) if isinstance(n, Load)]


def unit_stride(operand: Expr, axis: Var) -> bool:
    """Whether the operand's loads move by one element along `axis`."""
    for node in post_order((operand,)):
        if not isinstance(node, Load) or not isinstance(node.source, Buffer):
            continue
        if flat(node.source, node.indices).coefficient(axis) == 1:
            return True
    return False
