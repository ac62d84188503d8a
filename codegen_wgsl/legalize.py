"""Makes any kernel expressible in WGSL: first its stores, then its dtypes, then its operations."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_wgsl.emit.operations import LEGAL, VALUES
from tilewright.codegen_wgsl.pack_stores import pack_stores
from tilewright.codegen_wgsl.retype import retype
from tilewright.codegen_wgsl.rules import MACHINE, Rules
from tilewright.codegen_wgsl.storage import Storage
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.kernel import (
    Exchange,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    expressions,
    statements,
)
from tilewright.ir.legal.relax import relax
from tilewright.ir.lower.finish_kernel import finish_kernel
from tilewright.ir.lower.simplify_indices import simplify_indices
from tilewright.ir.traverse import rewrite_to_fixpoint


def legalize(kernel: Kernel, storage: Storage, *, fast: bool = False) -> Kernel:
    """`kernel` with only operations and dtypes that the emitter spells; `fast`: in their fast
    forms."""
    words = storage.words_of(kernel)
    typed = retype(pack_stores(kernel, words) if words else kernel, storage)
    relaxed = relax(typed.body, MACHINE) if fast else typed.body
    body = _Legalizer().block(simplify_indices(relaxed))
    check_legal(body, storage.native_half)
    return finish_kernel(kernel.name, body, typed.locals)


class _Legalizer:
    """Applies the rules to every expression, extents of loops included."""

    def __init__(self) -> None:
        self.rules = Rules().all()
        self.memo: dict[Expr, Expr] = {}

    def expr(self, root: Expr) -> Expr:
        return rewrite_to_fixpoint(root, self.rules, self.memo)

    def block(self, body: Sequence[Stmt]) -> list[Stmt]:
        return [self._statement(s) for s in body]

    def _statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Store():
                indices = tuple(self.expr(i) for i in stmt.indices)
                return Store(stmt.buffer, indices, self.expr(stmt.value))
            case For():
                var, body = self._variable(stmt.var), self.block(stmt.body)
                return For(var, stmt.kind, body, stmt.width, subgroups=stmt.subgroups)
            case Exchange():
                return Exchange(stmt.buffer, self.expr(stmt.value), self.expr(stmt.round))
            case If():
                yes, no = self.block(stmt.body), self.block(stmt.otherwise)
                return If(self.expr(stmt.condition), yes, no)
            case _:
                return stmt

    def _variable(self, var: Var) -> Var:
        """A loop variable whose extent is an expression is replaced by one of a legal extent."""
        if not isinstance(var.extent, Expr):
            return var
        extent = self.expr(var.extent)
        size = build.known(extent)
        fresh = Var(var.name, extent if size is None else size)
        self.memo[var] = self.memo[fresh] = fresh
        return fresh


def check_legal(body: Sequence[Stmt], native_half: bool = False) -> None:
    """Raise `IRError` for what the emitter cannot spell."""
    values = VALUES | {F16} if native_half else VALUES
    roots = [e for s in statements(body) for e in expressions(s)]
    for node in post_order(roots):
        if isinstance(node, Apply) and node.op not in LEGAL:
            raise IRError(f"{node.op.name} on {node.operands[0].dtype} was not legalised for WGSL")
        through_half = isinstance(node, Apply) and node.op in (ops.CAST, ops.BITCAST)
        if node.dtype not in values and not (through_half and node.dtype is F16):
            raise IRError(f"a value of dtype {node.dtype} was not legalised for WGSL")
