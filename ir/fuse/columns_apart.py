"""What each column of a picture computes for all of its rows is computed once.

In: a graph. Out: a graph in which a long part of a body that knows the long inner axis alone, and
reads nothing but scalars (the place between two pixels that a resize reads, its weights), is a
tensor of its own along that axis. Its elements are computed by the same operations: the same bits.
Along outer axes no such tensors are needed: what is the same for a whole row is moved out of its
loop.
"""

from __future__ import annotations

from tilewright.ir.dtypes import BOOL, INDEX
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.graph import Compute, Graph, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.lower.accesses import operations
from tilewright.ir.lower.share_expressions import shared
from tilewright.ir.structure import Keys
from tilewright.ir.traverse import rewrite, substitute

_LEAST_OPERATIONS = 6
"""A load of what has been computed costs about two."""
_LEAST_COLUMNS = 128
"""Of fewer, all columns are walked at once, and what each of them needs stays in registers."""
_LEAST_ROWS = 8


def store_columns(graph: Graph) -> Graph:
    """`graph` with such parts as tensors."""
    return rewrite_graph(graph, _columns_apart)


def _columns_apart(node: Tensor) -> Tensor | None:
    if not isinstance(node, Compute) or len(node.axes) < 2:
        return None
    axis = _column_axis(node)
    if axis is None:
        return None
    body = shared(node.body)
    parts = _parts(body, node, axis)
    if not parts:
        return None
    keys = Keys()
    made: dict[int, Compute] = {}
    replaced: dict[Expr, Expr] = {}
    for part in parts:
        key = keys.of(part, {})
        if key not in made:
            made[key] = _column(node, part, axis, len(made))
        replaced[part] = Load(made[key], (axis,))
    changed = rewrite(body, replaced.get)
    return Compute(node.name, node.axes, changed, label=node.label, loc=node.loc)


def _column_axis(node: Compute) -> Var | None:
    """The innermost long axis, if there are rows enough beside it."""
    sizes = [a.extent for a in node.axes]
    if not all(isinstance(size, int) for size in sizes):
        return None
    for position in range(len(sizes) - 1, 0, -1):
        if sizes[position] >= _LEAST_COLUMNS:  # type: ignore[operator]
            rows = 1
            for size in sizes[:position]:
                rows *= size  # type: ignore[operator]
            return node.axes[position] if rows >= _LEAST_ROWS else None
    return None


def _parts(body: Expr, node: Compute, axis: Var) -> list[Expr]:
    """The largest values that are made of the axis and scalars, in enough operations."""
    alone = _made_of(body, axis)
    parts: list[Expr] = []
    stack, seen = [body], set[Expr]()
    while stack:
        top = stack.pop()
        if top in seen:
            continue
        seen.add(top)
        if (
            top in alone
            and axis in post_order((top,))
            and _is_value(top)
            and operations(top) >= _LEAST_OPERATIONS
        ):
            parts.append(top)
        else:
            stack.extend(top.operands)
    return parts


def _made_of(body: Expr, axis: Var) -> set[Expr]:
    """The expressions that read nothing but scalars and know no other axis."""
    found: set[Expr] = set()
    for node in post_order((body,)):
        scalar = isinstance(node, Const) or (isinstance(node, Load) and not node.indices)
        made = isinstance(node, Apply) and all(o in found for o in node.operands)
        if node is axis or scalar or made:
            found.add(node)
    return found


def _is_value(node: Expr) -> bool:
    """An index keeps what is known of its range, and a flag what it decides, where they stand."""
    return isinstance(node, Apply) and node.dtype is not INDEX and node.dtype is not BOOL


def _column(node: Compute, part: Expr, axis: Var, number: int) -> Compute:
    own = Var(axis.name, axis.extent)
    name = f"{node.name}_columns{number}"
    return Compute(name, (own,), substitute(part, {axis: own}), label=node.label, loc=node.loc)
