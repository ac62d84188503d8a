"""Choices by position that all lanes of a vector make alike become branches around loops.

``np.where(inside_rows, costly, border)`` reads as a select whose two sides are computed for every
element. Where the condition depends on outer loops alone, one side is enough.

In: statements. Out: statements that store the same values, with `If` around the innermost loops
that the condition does not depend on.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import ops
from tilewright.ir.expr import Apply, Const, Expr, Var, post_order
from tilewright.ir.kernel import For, If, Stmt, Store
from tilewright.ir.lower.accesses import operations

_LEAST_SAVED = 6
"""Operations that a branch must save: a cheap select costs less."""


def branch_on_positions(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The statements with selects on outer positions moved out of inner loops."""
    return tuple(_joined([_statement(stmt) for stmt in body]))


def _statement(stmt: Stmt) -> Stmt:
    match stmt:
        case Store():
            return _store(stmt)
        case For(kind="serial" | "unroll" | "vector"):
            return _loop(stmt)
        case For():
            return stmt.with_body(branch_on_positions(stmt.body))
        case _:
            return stmt


def _store(stmt: Store) -> Stmt:
    """One element (or vector) under a condition of positions: only one side is stored."""
    value = stmt.value
    chooses = isinstance(value, Apply) and value.op is ops.SELECT
    if stmt.buffer.space == "register" or not chooses:
        return stmt
    condition, yes, no = value.operands
    if not _of_positions(condition) or operations(yes) + operations(no) < _LEAST_SAVED:
        return stmt
    indices = stmt.indices
    return If(condition, [Store(stmt.buffer, indices, yes)], [Store(stmt.buffer, indices, no)])


def _loop(stmt: For) -> Stmt:
    """A branch moves out of a loop that its condition does not depend on. It may not stay in a
    vector loop, where lanes would differ."""
    body = branch_on_positions(stmt.body)
    match body:
        case (If() as branch,) if not _mentions(branch.condition, stmt.var):
            yes, no = (stmt.with_body(side) for side in (branch.body, branch.otherwise))
            return If(branch.condition, [yes], [no])
    if stmt.kind == "vector" and any(isinstance(s, If) for s in body):
        return stmt
    return stmt.with_body(body)


def _joined(body: list[Stmt]) -> list[Stmt]:
    """Neighbouring branches on one condition as one."""
    result: list[Stmt] = []
    for stmt in body:
        last = result[-1] if result else None
        if isinstance(stmt, If) and isinstance(last, If) and last.condition is stmt.condition:
            yes, no = last.body + stmt.body, last.otherwise + stmt.otherwise
            result[-1] = If(stmt.condition, yes, no)
        else:
            result.append(stmt)
    return result


def _of_positions(condition: Expr) -> bool:
    return all(isinstance(n, (Apply, Const, Var)) for n in post_order((condition,)))


def _mentions(node: Expr, variable: Var) -> bool:
    return any(n is variable for n in post_order((node,)))
