"""The values of an index expression in the lanes of a vector, where no other variable is in it.

``lane // 2`` is 0, 0, 1, 1 in four lanes: the emitters then know which of them read one element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tilewright.ir import ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Const, Expr, Var, post_order

_KNOWN = frozenset(
    {
        *(ops.ADD, ops.SUB, ops.MUL, ops.NEG, ops.MIN, ops.MAX, ops.AND, ops.SHR_RAW),
        *(ops.QUO, ops.REM, ops.FLOORDIV, ops.MOD),
    }
)
_DIVISIONS = frozenset({ops.QUO, ops.REM, ops.FLOORDIV, ops.MOD})


def lane_literals(node: Expr, lanes: Mapping[Var, Sequence[int]]) -> tuple[int, ...] | None:
    """The value in each lane, if `node` depends on nothing but the variables of `lanes`, of which
    each has these values in turn, or one in all lanes."""
    used: set[Var] = set()
    for inner in post_order((node,)):
        if isinstance(inner, Var):
            if inner not in lanes:
                return None
            used.add(inner)
        elif isinstance(inner, Apply):
            if inner.op not in _KNOWN or inner.dtype is not INDEX:
                return None
        elif not isinstance(inner, Const):
            return None
    if not used:
        return None
    count = max(len(lanes[v]) for v in used)
    found = [_value(node, {v: lanes[v][k % len(lanes[v])] for v in used}) for k in range(count)]
    known = [value for value in found if value is not None]
    return tuple(known) if len(known) == count else None


def _value(root: Expr, values: Mapping[Var, int]) -> int | None:
    known: dict[Expr, int] = {}
    for node in post_order((root,)):
        match node:
            case Var():
                known[node] = values[node]
            case Const():
                known[node] = int(node.value)
            case Apply():
                operands = [known[o] for o in node.operands]
                if node.op in _DIVISIONS and operands[1] == 0:
                    return None
                known[node] = int(node.op.reference(*operands))
    return known[root]
