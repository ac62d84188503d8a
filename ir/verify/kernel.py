"""Rules of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, LaneReduce, Load, Source, Var, post_order
from tilewright.ir.kernel import (
    Barrier,
    Buffer,
    Exchange,
    For,
    If,
    Kernel,
    Stmt,
    Store,
    WhileLoop,
    expressions,
)
from tilewright.ir.printer import print_statement
from tilewright.ir.verify.bounds import check_kernel_bounds, judge
from tilewright.ir.verify.expressions import (
    broken,
    check_expressions,
    check_indices,
    check_shape,
    check_size,
)
from tilewright.ir.verify.races import check_loop

_CONCURRENT = ("parallel", "group", "fragment")
_EXPANDED = ("unroll", "vector")


def verify_kernel(kernel: Kernel, *, strict: bool = False) -> None:
    """Raise `IRError` if `kernel` breaks a rule. `strict`: also where an access that no condition
    guards is certain to be out of bounds."""
    try:
        KernelVerifier(kernel).verify()
        if strict:
            check_kernel_bounds(kernel.body)
    except IRError as error:
        notes = [*error.notes, (f"in kernel {kernel.name}", None)]
        raise IRError(error.message, loc=error.loc, notes=notes) from None


class KernelVerifier:
    """Walks the statements of one kernel with the loops around each."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.known: set[Var] = set(kernel.symbols)
        self.bound: set[Var] = set()
        self.loops: list[For] = []
        self.guards: list[Expr] = []
        self.storage = set(kernel.parameters) | set(kernel.locals)
        self.views: set[Buffer] = set()

    def verify(self) -> None:
        self._buffers()
        self._body(self.kernel.body)

    # Buffers.

    def _buffers(self) -> None:
        kernel = self.kernel
        declared = (*kernel.parameters, *kernel.locals)
        if len(set(declared)) != len(declared):
            broken("a buffer is declared twice")
        for buffer in declared:
            is_parameter = buffer in kernel.parameters
            if is_parameter != (buffer.space == "global"):
                kind = "parameter" if is_parameter else "local"
                broken(f"{buffer.name} is a {kind} of space {buffer.space}")
            check_shape(buffer.shape, self.known, buffer.name)
            if buffer.strides is not None and len(buffer.strides) != len(buffer.shape):
                broken(f"{buffer.name} has {len(buffer.strides)} strides")
            if buffer.space == "register" and not all(isinstance(s, int) for s in buffer.shape):
                broken(f"register {buffer.name} has a dimension that is not static")

    def _accessible(self, source: Source) -> str | None:
        """Why a source may not be accessed here, or None."""
        if not isinstance(source, Buffer):
            return f"a kernel reads {source.name}, which is no buffer"
        if source in self.storage or source in self.views:
            return None
        if source.base is None or source.root not in self.storage:
            return f"buffer {source.name} is neither a parameter nor a local"
        if source.root.space == "register":
            return f"{source.name} is a view of a register, which is no memory"
        check_shape(source.shape, self.known, source.name)
        self.views.add(source)
        return None

    # Statements.

    def _body(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            rule = _RULES.get(type(stmt))
            if rule is None:
                broken(f"{type(stmt).__name__} is no statement")
            try:
                check_expressions(expressions(stmt), self.known, self._accessible)
                self._registers(stmt)
            except IRError as error:
                raise self._located(error, stmt) from None
            rule(self, stmt)

    def _located(self, error: IRError, stmt: Stmt) -> IRError:
        places = [(f"in {print_statement(s)}", None) for s in (stmt, *reversed(self.loops))]
        return IRError(error.message, notes=[*error.notes, *places])

    def fail(self, message: str, stmt: Stmt) -> None:
        raise self._located(IRError(message), stmt)

    def _registers(self, stmt: Stmt) -> None:
        """Indices into registers are literals once the expanded loops are."""
        accesses = [
            (n.source, n.indices)
            for n in post_order(expressions(stmt))
            if isinstance(n, (Load, LaneReduce))
        ]
        if isinstance(stmt, Store):
            accesses.append((stmt.buffer, stmt.indices))
        for source, indices in accesses:
            if isinstance(source, Buffer) and source.space == "register":
                self._literal_indices(source, indices)

    def _literal_indices(self, buffer: Buffer, indices: Sequence[Expr]) -> None:
        expanded = {s.var for s in self.loops if s.kind in _EXPANDED or s.extent == 1}
        for node in post_order(indices):
            if isinstance(node, (Load, LaneReduce)) or (
                isinstance(node, Var) and node not in expanded
            ):
                used = node.name if isinstance(node, Var) else node.source.name
                broken(f"an index into register {buffer.name} is not a literal: it uses {used}")
        for axis, (index, size) in enumerate(zip(indices, buffer.shape, strict=False)):
            if judge(index, size, {}) == "disproved":
                broken(f"an index into register {buffer.name} is outside of axis {axis}: {size}")

    def store(self, stmt: Store) -> None:
        reason = self._accessible(stmt.buffer)
        if reason is not None:
            self.fail(reason.replace("reads", "writes"), stmt)
        check_indices(stmt.indices, stmt.buffer.name)

    def loop(self, stmt: For) -> None:
        var = stmt.var
        if var in self.bound or var in self.known:
            self.fail(f"loop variable {var.name} is bound twice", stmt)
        if var.dtype is not INDEX:
            self.fail(f"loop variable {var.name} has dtype {var.dtype}, not index", stmt)
        if isinstance(stmt.extent, int):
            check_size(stmt.extent, self.known, f"the extent of {var.name}")
        elif stmt.extent.dtype is not INDEX:
            self.fail(f"the extent of {var.name} has dtype {stmt.extent.dtype}, not index", stmt)
        self._nesting(stmt)
        self.bound.add(var)
        self.known.update(stmt.binds)
        self.loops.append(stmt)
        if isinstance(stmt.extent, Expr):
            self.guards.append(stmt.extent)
        self._body(stmt.body)
        if isinstance(stmt.extent, Expr):
            self.guards.pop()
        self.loops.pop()
        self.known.difference_update(stmt.binds)
        if stmt.kind in _CONCURRENT:
            check_loop(stmt)

    def _nesting(self, stmt: For) -> None:
        around = [s.kind for s in self.loops]
        if stmt.width is not None and stmt.width < 1:
            self.fail(f"a {stmt.kind} loop of width {stmt.width}", stmt)
        if stmt.kind in _CONCURRENT and set(around) & {"vector", "local", "fragment"}:
            self.fail(f"a {stmt.kind} loop inside of a {around[-1]} loop", stmt)
        if stmt.kind in ("vector", "parallel") and stmt.kind in around:
            self.fail(f"a {stmt.kind} loop inside of a {stmt.kind} loop", stmt)
        if stmt.subgroups is not None and stmt.kind != "local":
            self.fail(f"a {stmt.kind} loop that knows of subgroups", stmt)
        if stmt.kind == "local" and "local" in around and not self._perfect():
            self.fail("a local loop inside of another with more in it", stmt)
        self._uniform_in_vectors(expressions(stmt), stmt)

    def _perfect(self) -> bool:
        """Whether the loop around holds nothing but one loop."""
        return self.loops[-1].kind == "local" and len(self.loops[-1].body) == 1

    def branch(self, stmt: If) -> None:
        self._uniform_in_vectors((stmt.condition,), stmt)
        self.guards.append(stmt.condition)
        self._body(stmt.body)
        self._body(stmt.otherwise)
        self.guards.pop()

    def repeat(self, stmt: WhileLoop) -> None:
        self._uniform_in_vectors((stmt.condition,), stmt)
        self.guards.append(stmt.condition)
        self._body(stmt.body)
        self.guards.pop()

    def _uniform_in_vectors(self, roots: Sequence[Expr], stmt: Stmt) -> None:
        lanes = {s.var for s in self.loops if s.kind == "vector"}
        if any(node in lanes for node in post_order(roots)):
            self.fail("a condition or an extent that differs between lanes of a vector", stmt)

    def barrier(self, stmt: Barrier) -> None:
        self._reached_by_all(stmt, "a barrier")

    def exchange(self, stmt: Exchange) -> None:
        reason = self._accessible(stmt.buffer)
        if reason is not None:
            self.fail(reason.replace("reads", "writes"), stmt)
        self._reached_by_all(stmt, "an exchange")
        if not any(s.subgroups for s in self.loops):
            self.fail("an exchange where nothing is known of subgroups", stmt)
        if _differs((stmt.round,), self._varying()):
            self.fail("an exchange in rounds that differ between invocations", stmt)

    def _reached_by_all(self, stmt: Stmt, what: str) -> None:
        if not any(s.kind == "local" for s in self.loops):
            self.fail(f"{what} outside of local loops", stmt)
        for kind in ("vector", "parallel", "fragment"):
            if any(s.kind == kind for s in self.loops):
                self.fail(f"{what} inside of a {kind} loop", stmt)
        if _differs(self.guards, self._varying()):
            self.fail(f"{what} that not all invocations are certain to reach", stmt)

    def _varying(self) -> set[Var]:
        """The variables of the loops around that may differ between invocations."""
        varying = {s.var for s in self.loops if s.kind == "local"}
        varying |= {v for s in self.loops if s.subgroups for v in s.subgroups.private}
        return varying | {s.var for s in self.loops if _differs(expressions(s), varying)}


def _differs(roots: Sequence[Expr], varying: set[Var]) -> bool:
    """Whether invocations of a workgroup may see different values."""
    return any(node in varying or _is_private(node) for node in post_order(roots))


def _is_private(node: Expr) -> bool:
    source = getattr(node, "source", None)
    return isinstance(source, Buffer) and source.root.space in ("register", "scratch")


_RULES: dict[type, Callable[..., None]] = {
    Store: KernelVerifier.store,
    For: KernelVerifier.loop,
    If: KernelVerifier.branch,
    WhileLoop: KernelVerifier.repeat,
    Barrier: KernelVerifier.barrier,
    Exchange: KernelVerifier.exchange,
}
