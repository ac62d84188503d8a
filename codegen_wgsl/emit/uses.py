"""How often expressions are used: one that is used once is written where it is used."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.emit.environment import Environment
from tilewright.ir.expr import Expr, Var, post_order
from tilewright.ir.kernel import For, Stmt, children, expressions, statements

_EXPANDED = ("unroll", "vector")


class CountingEnvironment(Environment):
    """An environment that has counted the uses of every expression of a kernel's `body`."""

    def __init__(self, body: Sequence[Stmt]) -> None:
        super().__init__()
        self.uses: dict[Expr, int] = {}
        self._expanded = frozenset(
            s.var for s in statements(body) if isinstance(s, For) and s.kind in _EXPANDED
        )
        self._counted: set[Expr] = set()
        self._count_uses(body, frozenset())

    def _count_uses(self, body: Sequence[Stmt], around: frozenset[Var]) -> None:
        for stmt in body:
            for root in expressions(stmt):
                self._use(root, around)
                self._count_operands(root)
            inside = around
            if isinstance(stmt, For) and stmt.kind in _EXPANDED:
                inside = around | {stmt.var}
            self._count_uses(children(stmt), inside)

    def _count_operands(self, root: Expr) -> None:
        for node in post_order((root,)):
            if node in self._counted:
                continue
            self._counted.add(node)
            expanded = self._expanded.intersection(self.facts(node).variables)
            for operand in node.operands:
                self._use(operand, expanded)

    def _use(self, node: Expr, expanded: frozenset[Var]) -> None:
        """Used where the loops over `expanded` are unrolled: more than once if it does not vary."""
        once = expanded <= set(self.facts(node).variables)
        self.uses[node] = self.uses.get(node, 0) + (1 if once else 2)
