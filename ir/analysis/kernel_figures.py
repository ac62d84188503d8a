"""What one run of a kernel does, counted without running it.

In: a kernel of known sizes. Out: its `KernelFigures`. The kernel is walked as the emitters walk it
(`ir/emit`), so that what they move out of loops or remember counts once here too.

A loop whose rounds differ from one invocation to the next counts with their mean, and a branch by
the part of the invocations that takes it; where data decide, a branch counts as taken, and a loop
that ends when its data say so as one round.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

from msgspec import Struct

from tilewright.ir import ops
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.analysis.rounds import Rounds
from tilewright.ir.emit.environment import Environment, Lanes, Value, buffer_of
from tilewright.ir.emit.scopes import Holds, Scope, Scopes
from tilewright.ir.emit.statements import StatementWalk
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var
from tilewright.ir.kernel import Barrier, Buffer, Exchange, For, If, Kernel, Stmt, Store, WhileLoop

# Operations that move a value or choose one, and so are no arithmetic.
FREE: Final = frozenset({ops.SELECT, ops.LIKELY, ops.CAST, ops.BITCAST})
_TWO_IN_ONE: Final = frozenset({ops.FMA, ops.MAD})
_MULTIPLIES: Final = frozenset({ops.MUL, *_TWO_IN_ONE})
_SPREAD: Final = ("group", "local", "fragment")


class KernelFigures(Struct, frozen=True):
    """One run of one kernel.

    `invocations` are those of all `groups` workgroups, or the texels that a shader makes; 1 on a
    CPU. `operations` are arithmetic on floats (a multiply-add is two), `multiplies` those of them
    that multiply. `bytes_read` and `bytes_written` are what all invocations together ask of global
    memory, whatever caches make of it. `barriers` is how often a workgroup waits for all its
    invocations, `workgroup_bytes` the memory that these share.
    """

    invocations: int
    groups: int
    operations: int
    multiplies: int
    bytes_read: int
    bytes_written: int
    barriers: int
    workgroup_bytes: int


def kernel_figures(kernel: Kernel, symbols: Mapping[Var, int] | None = None) -> KernelFigures:
    """The figures of `kernel`; `symbols` are the values of its open sizes."""
    walk = _CountingWalk({**dict.fromkeys(kernel.symbols, 0), **(symbols or {})})
    walk.block(kernel.body)
    shared = [b for b in kernel.locals if b.space == "workgroup" and b.base is None]
    return KernelFigures(
        invocations=walk.invocations,
        groups=walk.groups,
        operations=round(walk.operations),
        multiplies=round(walk.multiplies),
        bytes_read=round(walk.bytes_read),
        bytes_written=round(walk.bytes_written),
        barriers=round(walk.barriers / max(walk.invocations, 1)),
        workgroup_bytes=sum(_bytes(b) for b in shared),
    )


class _Counted(Scope, eq=False):
    """A scope, and how often it runs in all."""

    times: float = 1.0


class _CountingWalk(StatementWalk[Scopes[_Counted]]):
    """Counts instead of writing text: values have no names."""

    def __init__(self, symbols: Mapping[Var, int]) -> None:
        super().__init__(Scopes(_Counted()), Environment())
        self._rounds = Rounds(self.environment, symbols)
        self.environment.bindings.update({v: Value("", 1, 0) for v in symbols})
        self.invocations = self.groups = 1
        self.operations = self.multiplies = 0.0
        self.bytes_read = self.bytes_written = 0.0
        self.barriers = 0.0

    def _times(self, depth: int) -> float:
        return self.function.stack[depth].times

    # Values.

    def literal(self, node: Const) -> str:
        return ""

    def lane_numbers(self, lanes: Lanes) -> str:
        return ""

    def apply(self, node: Apply, values: list[Value]) -> Value:
        depth = self.depth_of(node)
        lanes = max(v.lanes for v in values)
        if node.dtype.is_float and node.op not in FREE:
            count = lanes * self._times(depth)
            self.operations += 2 * count if node.op in _TWO_IN_ONE else count
            self.multiplies += count if node.op in _MULTIPLIES else 0
        return Value("", lanes, depth)

    def likely(self, node: Apply) -> Value:
        return self.apply(node, [self.evaluate(o) for o in node.operands])

    def load(self, node: Load) -> Value:
        buffer = buffer_of(node)
        form, steps = self.by_lane(self.environment.offset(buffer, node.indices))
        offset = self.resolve(form)
        lanes = max(len(steps), offset.lanes)
        if buffer.space == "register":
            return Value("", lanes, self.function.depth)
        depth = self.depth_of(node)
        if buffer.space == "global":
            read = lanes
            if steps and not offset.vectors:
                places = {steps[k % len(steps)] + offset.step * k for k in range(lanes)}
                read = sum(self._is_new(buffer, form, place, depth) for place in places)
                lanes = lanes if len(places) > 1 else 1
            self.bytes_read += read * buffer.dtype.itemsize * self._times(depth)
        return Value("", lanes, depth)

    def _is_new(self, buffer: Buffer, form: Linear, step: int, depth: int) -> bool:
        """Whether a word of several elements has not been read here for another of them."""
        atoms = [(self._key(a, self.environment.facts(a)), c) for a, c in form.terms.items()]
        version = self.environment.versions.get(buffer.root, 0)
        key = (buffer.root, frozenset(atoms), form.constant + step, version)
        if self.function.name_of(key, depth) is not None:
            return False
        self.function.stack[depth].names[key] = ""
        return True

    def lane_reduce(self, node: LaneReduce) -> Value:
        row = buffer_of(node).shape[-1]
        if node.dtype.is_float and isinstance(row, int):
            self.operations += (row - 1) * self._times(self.function.depth)
        return Value("", 1, self.function.depth)

    def _lanes(self, buffer: Buffer, indices: tuple[Expr, ...]) -> int:
        return self.resolve(self.environment.offset(buffer, indices)).lanes

    # Statements.

    def store(self, stmt: Store) -> None:
        value = self.evaluate(stmt.value)
        buffer = stmt.buffer
        if buffer.space == "register":
            return
        lanes = max(value.lanes, self._lanes(buffer, stmt.indices))
        self.environment.stored(buffer.root)
        if buffer.space == "global":
            self.bytes_written += lanes * buffer.dtype.itemsize * self._times(self.function.depth)

    def counted(self, stmt: For, extent: Value, stored: frozenset[Buffer]) -> None:
        rounds = self._rounds.mean(stmt.extent) if extent.known is None else extent.known
        self._inside("everything" if extent.known is None else "nothing", rounds, stored)
        self.environment.bindings[stmt.var] = Value("", 1, self.function.depth)
        self.block(stmt.body)
        self.function.leave()

    def other_loop(self, stmt: For) -> None:
        if stmt.kind not in _SPREAD:
            self.serial(stmt)
            return
        extent = round(self._rounds.mean(stmt.extent))
        self.invocations *= extent
        if stmt.kind == "group":
            self.groups *= extent
        self.function.stack[0].times *= extent
        for variable in stmt.binds:
            self.environment.bindings[variable] = Value("", 1, 0)
        self.block(stmt.body)

    def branch(self, stmt: If) -> None:
        self.evaluate(stmt.condition)
        taken = self._rounds.mean(stmt.condition)
        for body, share in ((stmt.body, taken), (stmt.otherwise, 1 - taken if taken < 1 else 1)):
            self._inside("everything", share, frozenset())
            self.block(body)
            self.function.leave()

    def while_loop(self, stmt: WhileLoop) -> None:
        self._inside("everything", 1, self.changed(stmt.body))
        self.evaluate(stmt.condition)
        self.block(stmt.body)
        self.function.leave()

    def other_statement(self, stmt: Stmt) -> None:
        match stmt:
            case Barrier():
                self.barriers += self._times(self.function.depth)
            case Exchange():
                self.evaluate(stmt.value)
            case _:
                raise self.meaningless(stmt)

    def _inside(self, holds: Holds, times: float, stored: frozenset[Buffer]) -> None:
        inner = _Counted(holds, stored)
        inner.times = times * self._times(self.function.depth)
        self.function.enter(inner)


def _bytes(buffer: Buffer) -> int:
    return buffer.dtype.itemsize * prod(n for n in buffer.shape if isinstance(n, int))
