"""Equal expressions of a kernel become one node: what is equal is computed once.

In: statements. Out: the same statements in which structurally equal expressions are one object.
Emitters remember values by node, together with what they depend on that changes (variables that
are expanded, storage that is written), so one node may stand in several statements.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load
from tilewright.ir.kernel import Stmt, map_expressions
from tilewright.ir.structure import literal_bits
from tilewright.ir.traverse import rewrite


def share_expressions(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The statements with one node for each expression."""
    known: dict[Hashable, Expr] = {}
    done: dict[Expr, Expr] = {}

    def rule(node: Expr) -> Expr | None:
        return known.setdefault(_key(node), node)

    return map_expressions(body, lambda e: rewrite(e, rule, done))


def shared(root: Expr) -> Expr:
    """One expression with one node for each part."""
    known: dict[Hashable, Expr] = {}
    return rewrite(root, lambda node: known.setdefault(_key(node), node))


def _key(node: Expr) -> Hashable:
    """Operands are shared already, so that they are compared by identity. Kinds of nodes are told
    apart by the types of the parts."""
    match node:
        case Const():
            return node.dtype, literal_bits(node)
        case Apply():
            return node.op, node.dtype, node.operands
        case Load():
            return node.source, node.indices
        case LaneReduce():
            return node.op, node.source, node.indices
    return node
