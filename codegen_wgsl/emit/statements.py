"""Emitting loops, branches and barriers."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_wgsl.emit.function import FunctionText
from tilewright.codegen_wgsl.emit.memory import MemoryEmitter
from tilewright.ir.emit.environment import Value
from tilewright.ir.emit.statements import StatementWalk
from tilewright.ir.errors import IRError
from tilewright.ir.kernel import (
    Barrier,
    Buffer,
    Exchange,
    For,
    If,
    Stmt,
    statements,
    stored_roots,
)


class StatementEmitter(MemoryEmitter, StatementWalk[FunctionText]):
    """Statements of one shader. `shared` are the roots that invocations exchange data through."""

    shared: tuple[Buffer, ...] = ()

    def other_statement(self, stmt: Stmt) -> None:
        match stmt:
            case Barrier():
                self._barrier()
            case Exchange():
                self._exchange(stmt)
            case _:
                raise self.meaningless(stmt)

    def _exchange(self, stmt: Exchange) -> None:
        value, number = self.evaluate(stmt.value), self.evaluate(stmt.round)
        shuffled = f"subgroupShuffleXor({value.text}, 1u << u32({number.text}))"
        self.store_register(stmt.buffer, (), Value(shuffled, 1, value.depth))

    def _barrier(self) -> None:
        """The built-ins order one kind of memory each."""
        if any(root.space == "workgroup" for root in self.shared):
            self.function.line("workgroupBarrier();")
        if any(root.space == "global" for root in self.shared):
            self.function.line("storageBarrier();")
        for root in self.shared:
            self.environment.stored(root)

    # Loops.

    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        self.function.begin("everything" if extent.known is None else "nothing", stored)
        counter = f"j{self.function.name()[1:]}"  # not i: i32 is a type
        self.environment.bindings[stmt.var] = Value(counter, 1, self.function.depth)
        self.block(stmt.body)
        count = extent.text
        self.function.end(f"for (var {counter} = 0; {counter} < {count}; {counter}++) {{")

    def changed_roots(self, body: Sequence[Stmt]) -> tuple[Buffer, ...]:
        """At a barrier other invocations' stores become visible."""
        roots = stored_roots(body)
        if any(isinstance(s, Barrier) for s in statements(body)):
            roots = tuple(dict.fromkeys((*roots, *self.shared)))
        return roots

    # Branches.

    def branch(self, stmt: If) -> None:
        condition = self.evaluate(stmt.condition)
        if condition.lanes != 1:
            raise IRError("a branch on a condition that differs between lanes")
        self._branch(stmt.body, f"if ({condition.text}) {{", "}")
        if stmt.otherwise:
            self.function.stack[-1].lines.pop()
            self._branch(stmt.otherwise, "} else {", "}")

    def _branch(self, body: Sequence[Stmt], header: str, footer: str) -> None:
        self.function.begin("everything")
        self.block(body)
        self.function.end(header, footer)
