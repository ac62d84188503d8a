"""Recognising a nest that adds up products of what varies with its rows and with its columns.

A matrix product, a batched one, a convolution and a table of distances are all of one form: some
parts of the product vary with the *rows* (outer axes) alone, others with the *columns*, and all
with the reduced axes and the *batch*. Flattened, each group of axes is one axis of a product.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir import ops
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import variables


class Contraction(Struct, frozen=True, eq=False):
    """`stage` sums an expression of `left`, which vary with the rows, and `right`, which vary with
    the columns. `vanishes` if it is 0 wherever those are 0. All extents are static."""

    stage: Stage
    left: tuple[Expr, ...]
    right: tuple[Expr, ...]
    batch: tuple[Var, ...]
    rows: tuple[Var, ...]
    columns: tuple[Var, ...]
    vanishes: bool


def match_contraction(nest: Nest) -> Contraction | None:
    """The contraction that `nest` computes, if it does nothing else but maps of its points."""
    stage = only_reduction(nest)
    if stage is None or not nest.outer or not is_product(stage):
        return None
    rows, columns = _rows_and_columns(nest, _loads(stage))
    if not rows or not columns:
        return None
    left, right = _parts(stage.value, set(rows), set(columns))
    batch = tuple(a for a in nest.outer if a not in rows and a not in columns)
    vanishes = _is_product_of(stage.value, (*left, *right))
    return Contraction(stage, left, right, batch, rows, columns, vanishes)


def only_reduction(nest: Nest) -> Stage | None:
    """The one stage that reduces, of values that no other stage computes; extents are static."""
    reducing = [s for s in nest.stages if s.reduce_axes]
    if len(reducing) != 1 or any(s.axes for s in nest.stages):
        return None
    (stage,) = reducing
    if any(not isinstance(a.extent, int) for a in (*nest.outer, *stage.reduce_axes)):
        return None
    return None if any(n.source in nest.locals for n in _loads(stage)) else stage


def _loads(stage: Stage) -> list[Load]:
    return [n for n in post_order((stage.value,)) if isinstance(n, Load)]


def _rows_and_columns(nest: Nest, loads: list[Load]) -> tuple[tuple[Var, ...], tuple[Var, ...]]:
    """Columns go with the last outer axis, rows never do; what goes with both is the batch."""
    last = nest.outer[-1]
    with_last: set[Var] = set()
    without: set[Var] = set()
    for load in loads:
        used = set(variables((load,)))
        (with_last if last in used else without).update(used)
    rows = tuple(a for a in nest.outer if a in without and a not in with_last)
    columns = tuple(a for a in nest.outer if a in with_last and a not in without)
    return rows, columns


def _parts(
    value: Expr, rows: set[Var], columns: set[Var]
) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """The largest subexpressions that vary with rows alone, and with columns alone."""
    left: dict[Expr, None] = {}
    right: dict[Expr, None] = {}
    stack, seen = [value], {value}
    while stack:
        node = stack.pop()
        used = set(variables((node,)))
        in_rows, in_columns = bool(used & rows), bool(used & columns)
        if in_rows and in_columns:
            fresh = [o for o in node.operands if o not in seen]
            seen.update(fresh)
            stack += fresh
        elif in_rows:
            left[node] = None
        elif in_columns:
            right[node] = None
    return tuple(left), tuple(right)


def _is_product_of(value: Expr, parts: tuple[Expr, ...]) -> bool:
    while isinstance(value, Apply) and value.op is ops.CAST:
        value = value.operands[0]
    assert isinstance(value, Apply)
    return value.op is ops.MUL and all(o in parts for o in value.operands)


def unit_stride(operand: Expr, axis: Var) -> bool:
    """Whether a load of the operand moves by one element along `axis`."""
    for node in post_order((operand,)):
        if not isinstance(node, Load) or not isinstance(node.source, Buffer):
            continue
        if flat(node.source, node.indices).coefficient(axis) == 1:
            return True
    return False
