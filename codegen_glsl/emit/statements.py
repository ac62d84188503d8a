"""Emitting statements: loops, and register buffers as variables of the shader.

A register buffer's elements are variables, one vector for the four lanes of a row. Unroll loops
are written out; the vector loop is one pass with all lanes at once.
"""

from __future__ import annotations

from tilewright.codegen_glsl.emit.function import Block, FunctionText
from tilewright.codegen_glsl.emit.loads import LoadEmitter
from tilewright.codegen_glsl.emit.types import COMPONENTS, type_name
from tilewright.codegen_glsl.emit.values import LANES
from tilewright.ir.emit.environment import Lanes, Value
from tilewright.ir.emit.statements import StatementWalk, static_extent
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load
from tilewright.ir.kernel import Buffer, For, Store


class StatementEmitter(LoadEmitter, StatementWalk[FunctionText]):
    """Statements of one shader; what becomes of stores to the output is left to the shader."""

    def store_output(self, stmt: Store) -> None:
        raise NotImplementedError

    # Loops.

    def vector(self, stmt: For) -> None:
        if static_extent(stmt) != LANES:
            raise IRError(f"a vector of {stmt.extent} lanes in a fragment shader")
        super().vector(stmt)

    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        counter = self.function.name("i")
        self.function.enter(Block("nothing", stored))
        self.environment.bindings[stmt.var] = Value(counter, 1, self.function.depth)
        self.block(stmt.body)
        head = f"for (int {counter} = 0; {counter} < {extent.text}; ++{counter})"
        self.function.close_loop(head)

    # Registers.

    def store(self, stmt: Store) -> None:
        if stmt.buffer.space != "register":
            self.store_output(stmt)
            return
        key, laned = self._row(stmt.buffer, stmt.indices)
        value = self.evaluate_lanes(stmt.value) if laned else self._scalar(stmt.value)
        name = self.function.declared(key)
        if name is None:
            name = self.function.name("r")
            self.function.stack[-1].registers[key] = name
            kind = type_name(stmt.buffer.dtype, LANES if laned else 1)
            self.function.write(f"{kind} {name}", value)
        else:
            self.function.write(name, value)

    def _scalar(self, node: Expr) -> str:
        value = self.evaluate(node)
        if value.lanes != 1:
            raise IRError("a vector is stored to a register without lanes")
        return value.text

    def read_register(self, node: Load) -> Value:
        assert isinstance(node.source, Buffer)
        key, laned = self._row(node.source, node.indices)
        name = self.function.declared(key)
        if name is None and not laned and len(key) > 1:
            name = self._component(key)
        if name is None:
            raise IRError(
                f"register {node.source.name}{list(key[1:])} is read before it is written"
            )
        return Value(name, LANES if laned else 1, self.function.depth)

    def _component(self, key: tuple[object, ...]) -> str | None:
        """One lane of a register that holds all of them."""
        *row, lane = key
        name = self.function.declared(tuple(row))
        return f"{name}.{COMPONENTS[lane]}" if name and isinstance(lane, int) else None

    def _row(self, buffer: Buffer, indices: tuple[Expr, ...]) -> tuple[tuple[object, ...], bool]:
        """The key of a register variable, and whether it holds all lanes."""
        if indices and isinstance(self.environment.bindings.get(indices[-1]), Lanes):
            return (buffer, *self._static_indices(indices[:-1])), True
        return (buffer, *self._static_indices(indices)), False

    def _static_indices(self, indices: tuple[Expr, ...]) -> tuple[int, ...]:
        known = [self.evaluate(index).known for index in indices]
        if any(k is None for k in known):
            raise IRError("the index of a register is not a literal")
        return tuple(k for k in known if k is not None)
