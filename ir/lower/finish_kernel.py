"""Statements -> a kernel: its parameters, symbols and locals are what occurs in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.ir.expr import Expr, Var, post_order
from tilewright.ir.kernel import (
    Buffer,
    Exchange,
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
    accessed = dict.fromkeys(loaded_buffers(body))
    bound: set[Var] = set()
    free: dict[Var, None] = {}
    for stmt in statements(body):
        if isinstance(stmt, (Store, Exchange)):
            accessed[stmt.buffer] = None
        if isinstance(stmt, For):
            bound.update(stmt.binds)
        for node in post_order(expressions(stmt)):
            if isinstance(node, Var):
                free[node] = None
    used = dict.fromkeys(buffer.root for buffer in accessed)
    free |= dict.fromkeys(v for buffer in (*accessed, *used) for v in _open_sizes(buffer))
    parameters = tuple(b for b in used if b.space == "global")
    symbols = tuple(v for v in free if v not in bound)
    kept = tuple(b for b in local if b in used)
    return Kernel(name, parameters, symbols, kept, tuple(body))


def _open_sizes(buffer: Buffer) -> Iterator[Var]:
    """The symbols that the addresses of a buffer's elements depend on."""
    sizes = [s for s in (*buffer.shape, *(buffer.strides or ())) if isinstance(s, Expr)]
    return (node for node in post_order(sizes) if isinstance(node, Var))
