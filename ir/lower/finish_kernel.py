"""Statements -> a kernel: its parameters, symbols and locals are what occurs in them."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.expr import Var, post_order
from tilewright.ir.kernel import (
    Buffer,
    For,
    Kernel,
    Stmt,
    Store,
    expressions,
    loaded_buffers,
    statements,
)


def finish_kernel(name: str, body: Sequence[Stmt], local: Sequence[Buffer]) -> Kernel:
    """The kernel of `body`; of the `local` buffers it keeps those that are used."""
    used: dict[Buffer, None] = {}
    for buffer in loaded_buffers(body):
        used[buffer.root] = None
    bound: set[Var] = set()
    free: dict[Var, None] = {}
    for stmt in statements(body):
        if isinstance(stmt, Store):
            used[stmt.buffer.root] = None
        if isinstance(stmt, For):
            bound.add(stmt.var)
        for node in post_order(expressions(stmt)):
            if isinstance(node, Var):
                free[node] = None
    parameters = tuple(b for b in used if b.space == "global")
    symbols = tuple(v for v in free if v not in bound)
    kept = tuple(b for b in local if b in used)
    return Kernel(name, parameters, symbols, kept, tuple(body))
