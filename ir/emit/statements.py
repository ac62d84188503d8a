"""Emitting statements: loops are written out, become vectors, or stay loops.

Which text a loop or a branch becomes, and what a store does, is left to the targets.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from tilewright.ir.emit.environment import Lanes, Value
from tilewright.ir.emit.expressions import ExpressionEmitter, F
from tilewright.ir.errors import IRError
from tilewright.ir.kernel import Buffer, For, If, Stmt, Store, WhileLoop, stored_roots


class StatementWalk(ExpressionEmitter[F]):
    """The statements of one function, in order."""

    # What a target spells.

    @abstractmethod
    def store(self, stmt: Store) -> None:
        """A store to memory or to a register."""

    @abstractmethod
    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        """A loop that runs `extent` times and writes the roots `stored`."""

    def branch(self, stmt: If) -> None:
        """A branch on a condition that is the same for all lanes."""
        raise self.meaningless(stmt)

    def while_loop(self, stmt: WhileLoop) -> None:
        """A loop whose condition is computed anew for every round."""
        raise self.meaningless(stmt)

    def other_loop(self, stmt: For) -> None:
        """A loop of a kind that only this target has."""
        raise IRError(f"a {stmt.kind} loop cannot be emitted here")

    def other_statement(self, stmt: Stmt) -> None:
        """A statement that only this target has."""
        raise self.meaningless(stmt)

    def meaningless(self, stmt: Stmt) -> IRError:
        """The error for a statement that the target has not."""
        return IRError(f"{type(stmt).__name__} cannot be emitted here")

    def changed_roots(self, body: Sequence[Stmt]) -> tuple[Buffer, ...]:
        """The storage in memory whose contents may be others after `body` than before."""
        return stored_roots(body)

    # The walk.

    def block(self, body: Sequence[Stmt]) -> None:
        """Statements one after the other."""
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        """One statement."""
        self.begin_statement()
        match stmt:
            case Store():
                self.store(stmt)
            case For():
                self._for(stmt)
            case If():
                self.branch(stmt)
            case WhileLoop():
                self.while_loop(stmt)
            case _:
                self.other_statement(stmt)

    def _for(self, stmt: For) -> None:
        match stmt.kind:
            case "unroll":
                for k in range(static_extent(stmt)):
                    self.environment.bindings[stmt.var] = k
                    self.block(stmt.body)
            case "vector":
                self.vector(stmt)
            case "serial":
                self.serial(stmt)
            case _:
                self.other_loop(stmt)

    def vector(self, stmt: For) -> None:
        """Full vectors, then halves of them down to single elements: exact tails, no masks."""
        position, end = 0, static_extent(stmt)
        width = stmt.width or 1
        while position < end:
            while width > end - position:
                width //= 2
            self.environment.bindings[stmt.var] = Lanes(position, width)
            self.block(stmt.body)
            position += width

    def serial(self, stmt: For) -> None:
        """A loop in order; one of a single round is none."""
        if isinstance(stmt.extent, int):
            extent = Value(str(stmt.extent), 1, 0, stmt.extent)
        else:
            extent = self.named(stmt.extent)
        if extent.known is None or extent.known > 1:
            self.counted(stmt, extent, self.changed(stmt.body))
        elif extent.known == 1:
            self.environment.bindings[stmt.var] = 0
            self.block(stmt.body)

    def changed(self, body: Sequence[Stmt]) -> frozenset[Buffer]:
        """The roots that a loop over `body` changes; what was read from them is out of date."""
        roots = self.changed_roots(body)
        for root in roots:
            self.environment.stored(root)
        return frozenset(roots)


def static_extent(stmt: For) -> int:
    """The number of iterations of a loop that has no variable number of them."""
    if not isinstance(stmt.extent, int):
        raise IRError(f"{stmt.kind} loop over {stmt.var.name} has an extent that is not static")
    return stmt.extent
