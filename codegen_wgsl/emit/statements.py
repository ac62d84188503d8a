"""Emitting statements. Unrolled loops are expanded, vector loops become vectors."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_wgsl.emit.environment import Lanes, Value, stored_roots
from tilewright.codegen_wgsl.emit.memory import MemoryEmitter
from tilewright.ir.errors import IRError
from tilewright.ir.kernel import Barrier, Buffer, For, If, Stmt, Store, WhileLoop


class StatementEmitter(MemoryEmitter):
    """Statements of one shader. `shared` are the roots that invocations exchange data through."""

    shared: tuple[Buffer, ...] = ()

    def block(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        self.begin_statement()
        match stmt:
            case Store():
                self.store(stmt.buffer, stmt.indices, self.evaluate(stmt.value))
            case For():
                self._for(stmt)
            case If():
                self._if(stmt)
            case WhileLoop():
                self._while(stmt)
            case Barrier():
                self._barrier()
            case _:
                raise IRError(f"{type(stmt).__name__} cannot be emitted in WGSL")

    def _barrier(self) -> None:
        """The built-ins order one kind of memory each."""
        if any(root.space == "workgroup" for root in self.shared):
            self.scopes.line("workgroupBarrier();")
        if any(root.space == "global" for root in self.shared):
            self.scopes.line("storageBarrier();")
        for root in self.shared:
            self.environment.stored(root)

    # Loops.

    def _for(self, stmt: For) -> None:
        match stmt.kind:
            case "unroll":
                for k in range(_static(stmt)):
                    self.environment.bindings[stmt.var] = k
                    self.block(stmt.body)
            case "vector":
                self._vector_loop(stmt)
            case "serial":
                self._serial(stmt)
            case _:
                raise IRError(f"a {stmt.kind} loop inside of a WGSL entry point")

    def _vector_loop(self, stmt: For) -> None:
        """Full vectors, then halves of them down to single elements."""
        position, end = 0, _static(stmt)
        width = stmt.width or 1
        while position < end:
            while width > end - position:
                width //= 2
            self.environment.bindings[stmt.var] = Lanes(position, width)
            self.block(stmt.body)
            position += width

    def _serial(self, stmt: For) -> None:
        if stmt.extent == 0:
            return
        if stmt.extent == 1:
            self.environment.bindings[stmt.var] = 0
            self.block(stmt.body)
            return
        extent = self._extent(stmt)
        roots = self._changed(stmt.body)
        may_not_run = not isinstance(stmt.extent, int)
        self.scopes.enter(may_not_run, roots)
        counter = f"j{self.scopes.name()[1:]}"  # not i: i32 is a type
        self.environment.bindings[stmt.var] = Value(counter, 1, self.scopes.depth)
        self.block(stmt.body)
        self.scopes.leave(f"for (var {counter} = 0; {counter} < {extent}; {counter}++) {{")

    def _extent(self, stmt: For) -> str:
        if isinstance(stmt.extent, int):
            return str(stmt.extent)
        return self.named(stmt.extent).text

    def _changed(self, body: Sequence[Stmt]) -> frozenset[int]:
        """The roots that a loop over `body` changes; what was read from them is out of date."""
        roots = stored_roots(body)
        if _has_barrier(body):
            roots = tuple(dict.fromkeys((*roots, *self.shared)))
        for root in roots:
            self.environment.stored(root)
        return frozenset(id(root) for root in roots)

    def _while(self, stmt: WhileLoop) -> None:
        roots = self._changed(stmt.body)
        self.scopes.enter(True, roots)
        condition = self.evaluate(stmt.condition)
        self.scopes.line(f"if (!({condition.text})) {{ break; }}")
        self.block(stmt.body)
        self.scopes.leave("loop {")

    # Branches.

    def _if(self, stmt: If) -> None:
        condition = self.evaluate(stmt.condition)
        if condition.lanes != 1:
            raise IRError("a branch on a condition that differs between lanes")
        self._branch(stmt.body, f"if ({condition.text}) {{", "}")
        if stmt.otherwise:
            self.scopes.stack[-1].lines.pop()
            self._branch(stmt.otherwise, "} else {", "}")

    def _branch(self, body: Sequence[Stmt], header: str, footer: str) -> None:
        self.scopes.enter(True)
        self.block(body)
        self.scopes.leave(header, footer)


def _static(stmt: For) -> int:
    if not isinstance(stmt.extent, int):
        raise IRError(f"{stmt.kind} loop over {stmt.var.name} has an extent that is not static")
    return stmt.extent


def _has_barrier(body: Sequence[Stmt]) -> bool:
    for stmt in body:
        inner: tuple[Stmt, ...] = ()
        if isinstance(stmt, (For, WhileLoop)):
            inner = stmt.body
        elif isinstance(stmt, If):
            inner = (*stmt.body, *stmt.otherwise)
        if isinstance(stmt, Barrier) or _has_barrier(inner):
            return True
    return False
