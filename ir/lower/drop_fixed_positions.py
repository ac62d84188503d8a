"""Kernels that differ only in which part of a buffer they work on are made equal.

In: a kernel. Out: the same over buffers without the leading axes at which every access has one and
the same literal (``weights[3, 1, i, j]``), and for each parameter how many elements further its
address is to be passed. Blocks of a network whose weights lie in one array then share their code.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from msgspec.structs import replace

from tilewright.ir.expr import Const, Expr, Load, post_order
from tilewright.ir.kernel import (
    Buffer,
    Exchange,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    WhileLoop,
    expressions,
    statements,
)
from tilewright.ir.traverse import substitute


def drop_fixed_positions(kernel: Kernel) -> tuple[Kernel, tuple[int, ...]]:
    """The kernel over parts of its parameters, and where these begin, in elements."""
    fixed = _fixed(kernel)
    smaller = {
        buffer: Buffer(buffer.name, buffer.shape[len(position) :], buffer.dtype)
        for buffer, position in fixed.items()
        if position
    }
    if not smaller:
        return kernel, (0,) * len(kernel.parameters)
    parameters = tuple(smaller.get(p, p) for p in kernel.parameters)
    offsets = tuple(_offset(p, fixed.get(p, ())) for p in kernel.parameters)
    body = _Replacing(smaller).statements(kernel.body)
    return replace(kernel, parameters=parameters, body=body), offsets


def _fixed(kernel: Kernel) -> dict[Buffer, tuple[int, ...]]:
    """The literals that lead all accesses to a parameter; only where its sizes are known, and
    nothing is known of its memory but its address."""
    possible = {
        p
        for p in kernel.parameters
        if p.base is None and p.strides is None and all(isinstance(size, int) for size in p.shape)
    }
    fixed: dict[Buffer, tuple[int, ...]] = {}
    for buffer, indices in _accesses(kernel):
        if buffer not in possible:
            fixed[buffer.root] = ()  # a view of it
            continue
        position = _leading(indices)
        fixed[buffer] = _common(fixed.get(buffer, position), position)
    return {buffer: position for buffer, position in fixed.items() if buffer in possible}


def _accesses(kernel: Kernel) -> Iterator[tuple[Buffer, tuple[Expr, ...]]]:
    for stmt in statements(kernel.body):
        if isinstance(stmt, Store):
            yield stmt.buffer, stmt.indices
        for node in post_order(expressions(stmt)):
            source = getattr(node, "source", None)
            if isinstance(source, Buffer):
                yield source, node.indices if isinstance(node, Load) else ()


def _leading(indices: tuple[Expr, ...]) -> tuple[int, ...]:
    found: list[int] = []
    for index in indices:
        if not isinstance(index, Const):
            break
        found.append(int(index.value))
    return tuple(found)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]


def _offset(buffer: Buffer, position: tuple[int, ...]) -> int:
    sizes = [size for size in buffer.shape if isinstance(size, int)]
    return sum(k * prod(sizes[axis + 1 :]) for axis, k in enumerate(position))


class _Replacing:
    """Rewrites statements over other buffers; what was one expression stays one."""

    def __init__(self, smaller: dict[Buffer, Buffer]) -> None:
        self._smaller = smaller
        self._memo: dict[Expr, Expr] = {}

    def statements(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        return tuple(map(self._statement, body))

    def _statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case For():
                extent = stmt.extent
                extent = self._expression(extent) if isinstance(extent, Expr) else extent
                return stmt.with_body(self.statements(stmt.body), extent)
            case If():
                yes, no = self.statements(stmt.body), self.statements(stmt.otherwise)
                return If(self._expression(stmt.condition), yes, no)
            case WhileLoop():
                return WhileLoop(self._expression(stmt.condition), self.statements(stmt.body))
            case Store():
                buffer = self._smaller.get(stmt.buffer, stmt.buffer)
                indices = stmt.indices[len(stmt.indices) - len(buffer.shape) :]
                value = self._expression(stmt.value)
                return Store(buffer, tuple(map(self._expression, indices)), value)
            case Exchange():
                value, number = map(self._expression, (stmt.value, stmt.round))
                return Exchange(stmt.buffer, value, number)
            case _:
                return stmt

    def _expression(self, node: Expr) -> Expr:
        return substitute(node, {}, self._load, self._memo)

    def _load(self, node: Load) -> Expr | None:
        buffer = self._smaller.get(node.source) if isinstance(node.source, Buffer) else None
        if buffer is None:
            return None
        return Load(buffer, node.indices[len(node.indices) - len(buffer.shape) :])
