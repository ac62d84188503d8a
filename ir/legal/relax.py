"""Operations -> their fast forms, where ``numerics="fast"`` asks for them: before legalisation.

In: the statements of a kernel, and the machine. Out: statements that compute the same with fewer
digits. What positions are computed from stays as it is: an index that is off by one would not be
less precise but wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tilewright.ir.dtypes import INDEX
from tilewright.ir.elementary import fast_form, fast_power
from tilewright.ir.elementary.term import Machine
from tilewright.ir.expr import Expr, Load, post_order
from tilewright.ir.kernel import Stmt, expressions, map_expressions, statements
from tilewright.ir.traverse import rewrite

Form = Callable[[Expr, Machine], Expr | None]


def relax(body: Sequence[Stmt], machine: Machine) -> tuple[Stmt, ...]:
    """`body` with the fast form of every operation that has one."""
    return _with(fast_form, _with(fast_power, body, machine), machine)


def _with(form: Form, body: Sequence[Stmt], machine: Machine) -> tuple[Stmt, ...]:
    kept = _positions(e for s in statements(body) for e in expressions(s))
    memo: dict[Expr, Expr] = {}

    def rule(node: Expr) -> Expr | None:
        return None if node in kept else form(node, machine)

    return map_expressions(body, lambda root: rewrite(root, rule, memo))


def _positions(roots: Iterable[Expr]) -> set[Expr]:
    """What indices are computed from, of reads and of statements."""
    every = list(roots)
    indices = [root for root in every if root.dtype is INDEX]
    for node in post_order(every):
        if isinstance(node, Load):
            indices += node.indices
    return set(post_order(indices))
