"""Kernel level: loop nests over typed buffers.

A kernel is a list of statements over scalar expressions (`ir/expr.py`). Index expressions stay
logical: one per dimension of the buffer. Loops carry their kind until they are emitted:

* ``serial`` runs in order; ``parallel`` iterations are independent and each is one task of the
  thread pool; ``unroll`` and ``vector`` loops have a static extent and are expanded by the
  emitter: the variable becomes a literal, or a range of lanes. A vector loop's iterations are
  independent except for what they store to register buffers at the same lane.
* ``group``, ``local`` are the workgroups of a dispatch and the invocations of one workgroup;
  ``fragment`` are the texels that a draw call covers. Nests of them are flattened row-major.

Spaces: ``global`` buffers are bound from outside; ``scratch`` is memory private to a task (CPU)
or an invocation; ``workgroup`` is shared by the invocations of a workgroup; ``register`` buffers
are never memory: every index into one must be a literal once unroll and vector loops are expanded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load, Size, Source, Var, post_order
from tilewright.ir.subgroups import Subgroups

Space = Literal["global", "scratch", "workgroup", "register"]
LoopKind = Literal["serial", "parallel", "unroll", "vector", "group", "local", "fragment"]


class Buffer(Source):
    """Storage for a tensor.

    `strides` are in elements; None means row-major. `base` is set on a view: the same storage, in
    row-major order, under another shape.
    """

    __slots__ = ("base", "space", "strides")

    def __init__(
        self,
        name: str,
        shape: Sequence[Size],
        dtype: DType,
        space: Space = "global",
        strides: Sequence[Size] | None = None,
        base: Buffer | None = None,
    ) -> None:
        self.name = name
        self.shape = tuple(shape)
        self.dtype = dtype
        self.space = space
        self.strides = None if strides is None else tuple(strides)
        self.base = base

    def __repr__(self) -> str:
        return self.name

    @property
    def root(self) -> Buffer:
        """The buffer that owns the storage."""
        buffer = self
        while buffer.base is not None:
            buffer = buffer.base
        return buffer


class Stmt:
    """A statement of a kernel."""

    __slots__ = ()


class For(Stmt):
    """``for var in range(extent): body``.

    `extent` equals the variable's; legalisation may write it in other operations. `width` is the
    number of lanes of a vector loop; `subgroups` what a ``local`` loop binds where invocations
    exchange values.
    """

    __slots__ = ("body", "extent", "kind", "subgroups", "var", "width")

    def __init__(
        self,
        var: Var,
        kind: LoopKind,
        body: Sequence[Stmt],
        width: int | None = None,
        extent: Size | None = None,
        subgroups: Subgroups | None = None,
    ) -> None:
        if var.extent is None:
            raise IRError(f"loop variable {var.name} has no extent")
        if kind in ("unroll", "vector") and not isinstance(var.extent, int):
            raise IRError(f"{kind} loop over {var.name} has an extent that is not static")
        self.var = var
        self.extent: Size = var.extent if extent is None else extent
        self.kind = kind
        self.body = tuple(body)
        self.width = width
        self.subgroups = subgroups

    @property
    def binds(self) -> tuple[Var, ...]:
        """The variables that have values inside."""
        return (self.var, *(self.subgroups.variables if self.subgroups else ()))

    def with_body(self, body: Sequence[Stmt], extent: Size | None = None) -> For:
        """The same loop over other statements."""
        return For(self.var, self.kind, body, self.width, extent or self.extent, self.subgroups)


class Store(Stmt):
    """``buffer[indices] = value``."""

    __slots__ = ("buffer", "indices", "value")

    def __init__(self, buffer: Buffer, indices: Sequence[Expr], value: Expr) -> None:
        if len(indices) != len(buffer.shape):
            raise IRError(f"{len(indices)} indices write {buffer.name} of rank {len(buffer.shape)}")
        if value.dtype is not buffer.dtype:
            raise IRError(f"{value.dtype} stored to {buffer.name} of {buffer.dtype}")
        self.buffer = buffer
        self.indices = tuple(indices)
        self.value = value


class If(Stmt):
    """``if condition: body else: otherwise``. The condition is uniform inside vector loops."""

    __slots__ = ("body", "condition", "otherwise")

    def __init__(
        self, condition: Expr, body: Sequence[Stmt], otherwise: Sequence[Stmt] = ()
    ) -> None:
        if condition.dtype is not BOOL:
            raise IRError(f"a condition of dtype {condition.dtype}")
        self.condition = condition
        self.body = tuple(body)
        self.otherwise = tuple(otherwise)


class WhileLoop(Stmt):
    """Run the body while the condition holds; it is evaluated anew before every round."""

    __slots__ = ("body", "condition")

    def __init__(self, condition: Expr, body: Sequence[Stmt]) -> None:
        if condition.dtype is not BOOL:
            raise IRError(f"a condition of dtype {condition.dtype}")
        self.condition = condition
        self.body = tuple(body)


class Barrier(Stmt):
    """All invocations of a workgroup have finished what stands above (``local`` loops)."""

    __slots__ = ()


class Exchange(Stmt):
    """``buffer[] = value`` of the invocation whose place in the subgroup differs in bit `round`.

    `buffer` is a register without axes. All invocations of a workgroup are here at once.
    """

    __slots__ = ("buffer", "round", "value")

    def __init__(self, buffer: Buffer, value: Expr, round: Expr) -> None:
        if buffer.space != "register" or buffer.shape:
            raise IRError(f"values are exchanged into {buffer.name}, which is no single register")
        if value.dtype is not buffer.dtype:
            raise IRError(f"{value.dtype} exchanged into {buffer.name} of {buffer.dtype}")
        if round.dtype is not INDEX:
            raise IRError(f"the number of a round of exchanges has dtype {round.dtype}, not index")
        self.buffer = buffer
        self.value = value
        self.round = round


class Kernel(Struct, frozen=True, eq=False):
    """One function: global buffers and open sizes in, effects on the written buffers out."""

    name: str
    parameters: tuple[Buffer, ...]
    symbols: tuple[Var, ...]
    locals: tuple[Buffer, ...]
    body: tuple[Stmt, ...]

    def __str__(self) -> str:
        from tilewright.ir.printer import print_kernel

        return print_kernel(self)

    @property
    def written(self) -> tuple[Buffer, ...]:
        """The global buffers (roots) that the kernel stores to, in parameter order."""
        stored = set(stored_roots(self.body))
        return tuple(p for p in self.parameters if p.root in stored)


def children(stmt: Stmt) -> tuple[Stmt, ...]:
    """The statements directly inside `stmt`."""
    match stmt:
        case For() | WhileLoop():
            return stmt.body
        case If():
            return stmt.body + stmt.otherwise
        case _:
            return ()


def statements(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """Every statement, outer before inner, in order."""
    for stmt in body:
        yield stmt
        yield from statements(children(stmt))


def expressions(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions that `stmt` itself evaluates (not those of the statements inside it)."""
    match stmt:
        case For():
            return (stmt.extent,) if isinstance(stmt.extent, Expr) else ()
        case Store():
            return (*stmt.indices, stmt.value)
        case Exchange():
            return (stmt.value, stmt.round)
        case If() | WhileLoop():
            return (stmt.condition,)
        case _:
            return ()


def map_expressions(body: Sequence[Stmt], change: Callable[[Expr], Expr]) -> tuple[Stmt, ...]:
    """The statements with every expression replaced by ``change(expression)``."""
    result: list[Stmt] = []
    for stmt in body:
        match stmt:
            case For():
                inner = map_expressions(stmt.body, change)
                extent = change(stmt.extent) if isinstance(stmt.extent, Expr) else stmt.extent
                result.append(stmt.with_body(inner, extent))
            case Store():
                indices = tuple(change(i) for i in stmt.indices)
                result.append(Store(stmt.buffer, indices, change(stmt.value)))
            case Exchange():
                result.append(Exchange(stmt.buffer, change(stmt.value), change(stmt.round)))
            case If():
                yes = map_expressions(stmt.body, change)
                no = map_expressions(stmt.otherwise, change)
                result.append(If(change(stmt.condition), yes, no))
            case WhileLoop():
                inner = map_expressions(stmt.body, change)
                result.append(WhileLoop(change(stmt.condition), inner))
            case _:
                result.append(stmt)
    return tuple(result)


def loaded_buffers(body: Sequence[Stmt]) -> tuple[Buffer, ...]:
    """The buffers that are read, in order of first use."""
    found: dict[int, Buffer] = {}
    for stmt in statements(body):
        for node in post_order(expressions(stmt)):
            source = getattr(node, "source", None)
            if isinstance(source, Buffer):
                found.setdefault(id(source), source)
    return tuple(found.values())


def stored_roots(body: Sequence[Stmt]) -> tuple[Buffer, ...]:
    """The storage in memory that the statements write, in order of the first store."""
    found = {s.buffer.root: None for s in statements(body) if isinstance(s, Store)}
    return tuple(root for root in found if root.space != "register")


__all__ = [
    "Barrier",
    "Buffer",
    "Exchange",
    "For",
    "If",
    "Kernel",
    "Load",
    "LoopKind",
    "Space",
    "Stmt",
    "Store",
    "WhileLoop",
    "children",
    "expressions",
    "loaded_buffers",
    "map_expressions",
    "statements",
    "stored_roots",
]
