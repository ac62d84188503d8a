"""Emitting statements: loops become blocks and phis, register contents become SSA values."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tilewright.codegen_cpu.emit import turned
from tilewright.codegen_cpu.emit.function import Block, FunctionText
from tilewright.codegen_cpu.emit.memory import MemoryEmitter
from tilewright.codegen_cpu.emit.registers import Chunk, Row
from tilewright.ir.emit.environment import Value
from tilewright.ir.emit.statements import StatementWalk
from tilewright.ir.errors import IRError
from tilewright.ir.kernel import Buffer, For, If, Stmt, Store, WhileLoop, statements, stored_roots


class Carried(Struct):
    """One register chunk that lives through a loop: its phi, and where the line is."""

    row: Row
    chunk: Chunk
    kind: str
    phi: str
    initial: str
    position: int


class StatementEmitter(MemoryEmitter, StatementWalk[FunctionText]):
    """Statements of one function. `parallel` is supplied by the kernel emitter."""

    def region(self, body: Sequence[Stmt]) -> None:
        """The body of a loop or a branch: what waits to be stored is stored where it begins and
        ends."""
        self.block(body)
        self.fill_gaps()

    def block(self, body: Sequence[Stmt]) -> None:
        around = self.runs
        if len(body) >= turned.SIDE:
            self.runs = around | turned.runs_of_loads(body, self.environment)
        super().block(body)
        self.runs = around

    def parallel(self, stmt: For) -> None:
        """Run the iterations as tasks."""
        raise NotImplementedError

    def other_loop(self, stmt: For) -> None:
        if stmt.kind != "parallel":
            raise IRError(f"a {stmt.kind} loop has no meaning on a CPU")
        self.fill_gaps()
        self.parallel(stmt)

    # Serial loops.

    def serial(self, stmt: For) -> None:
        self.fill_gaps()
        super().serial(stmt)

    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        if extent.known is not None:
            self._at_least_once(stmt, extent.text, stored)
        else:
            self._guarded(stmt, extent, stored)

    def _guarded(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        """A loop that may not run at all stands in a branch of its own."""
        function = self.function
        before = function.current
        runs = function.assign(f"icmp sgt {self.types.index} {extent.text}, 0")
        inside, after = function.new_block("some"), function.new_block("done")
        before.terminator = f"br i1 {runs}, label %{inside.name}, label %{after.name}"
        old = self.registers.snapshot()
        function.begin("loads", stored)
        function.open(inside)
        self._at_least_once(stmt, extent.text, stored)
        last = function.current
        last.terminator = f"br label %{after.name}"
        function.leave()
        function.open(after)
        self._merge(before, old, last, self.registers.snapshot())

    def _at_least_once(self, stmt: For, extent: str, stored: frozenset[Buffer]) -> None:
        """A loop that is tested at the end."""
        function, index = self.function, self.types.index
        before, body, after = (
            function.current,
            function.new_block("loop"),
            function.new_block("end"),
        )
        function.begin("nothing", stored)
        before.terminator = f"br label %{body.name}"
        function.open(body)
        counter = function.name()
        body.lines.append("")
        carried = self._phis(stmt.body, body)
        self.environment.bindings[stmt.var] = Value(counter, 1, function.depth)
        self.region(stmt.body)
        following = function.assign(f"add nuw nsw {index} {counter}, 1")
        again = function.assign(f"icmp slt {index} {following}, {extent}")
        latch = function.current
        body.lines[0] = f"{counter} = phi {index} [0, %{before.name}], [{following}, %{latch.name}]"
        self._close_phis(carried, body, before, latch)
        latch.terminator = f"br i1 {again}, label %{body.name}, label %{after.name}"
        function.leave()
        function.open(after)

    def _phis(self, body: Sequence[Stmt], block: Block) -> list[Carried]:
        """Phis for every register chunk that the body may change."""
        changed = _registers(body)
        carried = []
        for row, chunks in self.registers.rows.items():
            if row[0] not in changed:
                continue
            for chunk in chunks:
                kind = self.types.value(row[0].dtype, chunk.count)
                phi = self.function.name()
                carried.append(Carried(row, chunk, kind, phi, chunk.text, len(block.lines)))
                block.lines.append("")
                chunk.text = phi
        # The body may cut rows into other chunks: remember the shape that the phis have.
        for item in carried:
            item.chunk = Chunk(item.chunk.start, item.chunk.count, item.phi)
        return carried

    def _close_phis(
        self, carried: list[Carried], block: Block, before: Block, latch: Block
    ) -> None:
        for item in carried:
            final = self.registers.read(item.row, item.chunk.start, item.chunk.count)
            block.lines[item.position] = (
                f"{item.phi} = phi {item.kind} "
                f"[{item.initial}, %{before.name}], [{final}, %{latch.name}]"
            )

    # Branches.

    def branch(self, stmt: If) -> None:
        self.fill_gaps()
        function = self.function
        condition = self.evaluate(stmt.condition)
        if condition.lanes != 1:
            raise IRError("a branch on a condition that differs between lanes")
        yes, no, after = (function.new_block(n) for n in ("then", "else", "join"))
        before = function.current
        before.terminator = f"br i1 {condition.text}, label %{yes.name}, label %{no.name}"
        old = self.registers.snapshot()
        last_yes = self._branch(stmt.body, before, yes, after)
        contents_yes = self.registers.snapshot()
        self.registers.rows = old
        last_no = self._branch(stmt.otherwise, before, no, after)
        contents_no = self.registers.snapshot()
        function.open(after)
        self._merge(last_yes, contents_yes, last_no, contents_no)

    def _branch(self, body: Sequence[Stmt], before: Block, first: Block, after: Block) -> Block:
        function = self.function
        function.current = before
        function.begin("loads", frozenset(stored_roots(body)))
        function.open(first)
        self.region(body)
        last = function.current
        last.terminator = f"br label %{after.name}"
        function.leave()
        return last

    def _merge(
        self,
        one: Block,
        contents_one: dict[Row, list[Chunk]],
        two: Block,
        contents_two: dict[Row, list[Chunk]],
    ) -> None:
        """Join what registers hold at the ends of two ways into the current block."""
        merged: dict[Row, list[Chunk]] = {}
        for row in contents_one:
            if row not in contents_two:
                continue
            pairs = zip(contents_one[row], contents_two[row], strict=False)
            merged[row] = [self._merged(row, one, a, two, b) for a, b in pairs]
        self.registers.rows = merged

    def _merged(self, row: Row, one: Block, a: Chunk, two: Block, b: Chunk) -> Chunk:
        if (a.start, a.count) != (b.start, b.count):
            raise IRError(f"register {row[0].name} is cut differently on two ways")
        if a.text == b.text:
            return a
        kind = self.types.value(row[0].dtype, a.count)
        phi = self.function.assign(f"phi {kind} [{a.text}, %{one.name}], [{b.text}, %{two.name}]")
        return Chunk(a.start, a.count, phi)

    # While loops.

    def while_loop(self, stmt: WhileLoop) -> None:
        self.fill_gaps()
        function = self.function
        stored = self.changed(stmt.body)
        before, test = function.current, function.new_block("test")
        body, after = function.new_block("body"), function.new_block("end")
        function.begin("loads", stored)
        before.terminator = f"br label %{test.name}"
        function.open(test)
        carried = self._phis(stmt.body, test)
        self.begin_statement()
        condition = self.evaluate(stmt.condition)
        tested = function.current
        tested.terminator = f"br i1 {condition.text}, label %{body.name}, label %{after.name}"
        at_test = self.registers.snapshot()
        function.open(body)
        self.region(stmt.body)
        latch = function.current
        self._close_phis(carried, test, before, latch)
        latch.terminator = f"br label %{test.name}"
        function.leave()
        self.registers.rows = at_test
        function.open(after)


def _registers(body: Sequence[Stmt]) -> set[Buffer]:
    return {
        s.buffer for s in statements(body) if isinstance(s, Store) and s.buffer.space == "register"
    }
