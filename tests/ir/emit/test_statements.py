"""The walk that emitters of all targets share, spelled for a machine of the test's own.

The toy's code is Python: what it makes is run, and its lines are looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec import field

from tilewright.ir import build as b
from tilewright.ir import ops
from tilewright.ir.dtypes import F32
from tilewright.ir.emit.environment import Environment, Lanes, Value, buffer_of
from tilewright.ir.emit.scopes import Scope, Scopes
from tilewright.ir.emit.statements import StatementWalk
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var
from tilewright.ir.kernel import Buffer, For, If, Stmt, Store

A, OUT = Buffer("a", (8, 8), F32), Buffer("out", (8, 8), F32)
ROW, COLUMN = Var("i", 8), Var("j", 8)
_SIGNS = {ops.ADD: "+", ops.SUB: "-", ops.MUL: "*"}


class Block(Scope, eq=False):
    lines: list[str] = field(default_factory=list)


class Toy(StatementWalk[Scopes[Block]]):
    """Elements of ``vector`` loops are NumPy arrays."""

    def __init__(self) -> None:
        super().__init__(Scopes(Block()), Environment())
        self.names = 0

    def literal(self, node: Const) -> str:
        return repr(node.value)

    def lane_numbers(self, lanes: Lanes) -> str:
        return f"np.arange({lanes.start}, {lanes.start + lanes.count})"

    def let(self, text: str, depth: int) -> str:
        self.names += 1
        self.function.stack[depth].lines.append(f"v{self.names} = {text}")
        return f"v{self.names}"

    def apply(self, node: Apply, values: list[Value]) -> Value:
        depth = self.depth_of(node)
        text = f" {_SIGNS[node.op]} ".join(v.text for v in values)
        return Value(self.let(text, depth), max(v.lanes for v in values), depth)

    def load(self, node: Load) -> Value:
        place, lanes = self.place(buffer_of(node), node.indices)
        depth = self.depth_of(node)
        return Value(self.let(f"{buffer_of(node).name}[{place}]", depth), lanes, depth)

    def place(self, buffer: Buffer, indices: tuple[Expr, ...]) -> tuple[str, int]:
        form = self.resolve(self.environment.offset(buffer, indices))
        parts = [f"{value.text} * {factor}" for value, factor in (*form.scalars, *form.vectors)]
        parts.append(str(form.constant))
        if form.lanes > 1:
            parts.append(f"np.arange({form.lanes}) * {form.step}")
        return " + ".join(parts), form.lanes

    def store(self, stmt: Store) -> None:
        value = self.evaluate(stmt.value)
        place, _ = self.place(stmt.buffer, stmt.indices)
        self.function.stack[-1].lines.append(f"{stmt.buffer.name}[{place}] = {value.text}")
        self.environment.stored(stmt.buffer.root)

    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        self.names += 1
        counter = f"i{self.names}"
        self.function.enter(Block("nothing", stored))
        self.environment.bindings[stmt.var] = Value(counter, 1, self.function.depth)
        self.block(stmt.body)
        self.leave(f"for {counter} in range({extent.text}):")

    def branch(self, stmt: If) -> None:
        condition = self.evaluate(stmt.condition)
        self.function.enter(Block("everything"))
        self.block(stmt.body)
        self.leave(f"if {condition.text}:")

    def leave(self, header: str) -> None:
        inner = self.function.leave()
        self.function.stack[-1].lines += [header, *(f"  {line}" for line in inner.lines)]


def emit(*body: Stmt) -> list[str]:
    toy = Toy()
    toy.block(body)
    (outermost,) = toy.function.stack
    return outermost.lines


def run(lines: list[str]) -> np.ndarray:
    a, out = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    exec("\n".join(lines), {"np": np, "a": a, "out": out})
    return out.reshape(8, 8)


def read(*indices: Expr) -> Expr:
    return Load(A, indices)


def loop(var: Var, *body: Stmt, kind: Any = "serial", width: int | None = None) -> For:
    return For(var, kind, body, width)


def test_what_does_not_change_stands_outside_of_the_loop() -> None:
    value = b.add(read(ROW, b.index(0)), read(ROW, COLUMN))
    lines = emit(loop(ROW, loop(COLUMN, Store(OUT, (ROW, COLUMN), value))))
    (position,) = [k for k, line in enumerate(lines) if line.lstrip() == "v3 = a[i1 * 8 + 0]"]
    assert lines[position].startswith("  v3")
    assert lines[position + 1].startswith("  for")
    a = np.arange(64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(run(lines), a + a[:, :1])


def test_a_value_is_computed_once() -> None:
    element = read(ROW, COLUMN)
    value = b.mul(element, element)
    lines = emit(loop(ROW, loop(COLUMN, Store(OUT, (ROW, COLUMN), b.add(value, value)))))
    assert sum("a[" in line for line in lines) == 1


def test_what_a_loop_stores_is_read_anew_in_it() -> None:
    first = Load(OUT, (b.index(0), b.index(0)))
    body = Store(OUT, (b.index(0), b.index(0)), b.add(first, b.const(1, F32)))
    lines = emit(body, loop(ROW, body))
    assert run(lines)[0, 0] == 9


def test_nothing_moves_out_of_a_branch() -> None:
    condition = Apply(ops.LT, (b.index(1), b.index(0)))
    toy = Toy()
    toy.environment.bindings[ROW] = 3
    toy.apply = lambda node, values: Value("False", 1, 0)  # type: ignore[method-assign]
    toy.block([If(condition, [Store(OUT, (ROW, ROW), read(ROW, ROW))])])
    assert toy.function.stack[0].lines[0] == "if False:"


@pytest.mark.parametrize("kind", ["unroll", "vector", "serial"])
def test_every_kind_of_loop_does_the_same(kind: str) -> None:
    value = b.add(read(ROW, COLUMN), b.const(1, F32))
    inner = loop(
        COLUMN, Store(OUT, (ROW, COLUMN), value), kind=kind, width=4 if kind == "vector" else None
    )
    wanted = np.arange(64, dtype=np.float32).reshape(8, 8) + 1
    np.testing.assert_array_equal(run(emit(loop(ROW, inner))), wanted)


def test_the_tail_of_a_vector_loop_is_halved() -> None:
    lane = Var("lane", 7)
    lines = emit(For(lane, "vector", [Store(OUT, (b.index(0), lane), read(b.index(0), lane))], 4))
    stores = [line for line in lines if line.startswith("out[")]
    assert [line.count("arange(4)") for line in stores] == [1, 0, 0]
    assert len(stores) == 3
    assert run(lines)[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]


def test_indices_of_loops_that_are_written_out_are_literals() -> None:
    column = b.floordiv(b.add(COLUMN, b.index(1)), b.index(2))
    lines = emit(
        For(COLUMN, "unroll", [Store(OUT, (b.index(0), COLUMN), read(b.index(0), column))])
    )
    assert all(line.startswith(("v", "out[")) for line in lines)
    assert run(lines)[0].tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


def test_loops_of_one_round_and_of_none() -> None:
    one, none = Var("one", 1), Var("none", 0)
    lines = emit(loop(one, loop(none, Store(OUT, (one, none), read(one, none)))))
    assert lines == []


def test_what_a_target_has_not_is_named() -> None:
    with pytest.raises(IRError, match="a group loop cannot be emitted here"):
        emit(loop(ROW, kind="group"))
    with pytest.raises(IRError, match="variable i is not bound here"):
        emit(Store(OUT, (b.index(0), b.index(0)), Apply(ops.CAST, (ROW,), F32)))
