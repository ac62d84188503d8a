"""Emitting statements: loops, and register buffers as variables of the shader.

A register buffer's elements are variables, one vector for the four lanes of a row. Unroll loops
are written out; the vector loop is one pass with all lanes at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_glsl.emit.block import Value
from tilewright.codegen_glsl.emit.loads import LoadEmitter
from tilewright.codegen_glsl.emit.types import COMPONENTS, literal, type_name
from tilewright.codegen_glsl.emit.values import ALL_LANES, LANES, Lanes
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load
from tilewright.ir.kernel import Buffer, For, Stmt, Store


class StatementEmitter(LoadEmitter):
    """Statements of one shader; what becomes of stores to the output is left to the shader."""

    def block(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            match stmt:
                case Store():
                    self._store(stmt)
                case For():
                    self._for(stmt)
                case _:
                    raise IRError(f"{type(stmt).__name__} has no meaning in a fragment shader")

    def store_output(self, stmt: Store) -> None:
        raise NotImplementedError

    # Loops.

    def _for(self, stmt: For) -> None:
        match stmt.kind:
            case "unroll":
                for k in range(_static(stmt)):
                    self.bindings[stmt.var] = k
                    self.block(stmt.body)
            case "vector":
                if _static(stmt) != LANES:
                    raise IRError(f"a vector of {stmt.extent} lanes in a fragment shader")
                self.bindings[stmt.var] = ALL_LANES
                self.block(stmt.body)
            case "serial":
                self._serial(stmt)
            case _:
                raise IRError(f"a {stmt.kind} loop has no meaning in a fragment shader")

    def _serial(self, stmt: For) -> None:
        self.begin_statement()
        extent = (
            literal(stmt.extent, stmt.var.dtype)
            if isinstance(stmt.extent, int)
            else self.evaluate(stmt.extent).text
        )
        if extent == "0":
            return
        if extent == "1":
            self.bindings[stmt.var] = 0
            self.block(stmt.body)
            return
        counter = self.function.name("i")
        self.function.open_loop()
        self.bindings[stmt.var] = Value(counter, 1, self.function.depth)
        self.block(stmt.body)
        self.function.close_loop(f"for (int {counter} = 0; {counter} < {extent}; ++{counter})")

    # Registers.

    def _store(self, stmt: Store) -> None:
        self.begin_statement()
        if stmt.buffer.space != "register":
            self.store_output(stmt)
            return
        key, laned = self._row(stmt.buffer, stmt.indices)
        value = self.evaluate_lanes(stmt.value) if laned else self._scalar(stmt.value)
        name = self.function.declared(key)
        if name is None:
            name = self.function.name("r")
            self.function.blocks[-1].registers[key] = name
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
        if indices and isinstance(self.bindings.get(indices[-1]), Lanes):  # type: ignore[call-overload]
            return (buffer, *self._static_indices(indices[:-1])), True
        return (buffer, *self._static_indices(indices)), False

    def _static_indices(self, indices: tuple[Expr, ...]) -> tuple[int, ...]:
        known = [self.evaluate(index).known for index in indices]
        if any(k is None for k in known):
            raise IRError("the index of a register is not a literal")
        return tuple(k for k in known if k is not None)


def _static(stmt: For) -> int:
    if not isinstance(stmt.extent, int):
        raise IRError(f"the {stmt.kind} loop over {stmt.var.name} has an open extent")
    return stmt.extent
