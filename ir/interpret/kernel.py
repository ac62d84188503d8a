"""NumPy evaluation of a kernel, statement by statement: what every emitter must agree with.

In: a kernel, an array for each parameter, values of its symbols. Out: nothing; the arrays that the
kernel writes are changed in place.

All loops run in order. Each iteration of a parallel, group or fragment loop, and each invocation
of a local loop, has scratch and register buffers of its own, filled with poison at the start, so
that a kernel which relies on what another task left there does not get the right answer by luck.
The invocations of local loops that hold barriers are generators, advanced from barrier to barrier;
between two of these none may touch what another writes. At exchanges they meet as well. Neighbours
are in different subgroups, wherever that is possible: no kernel may know which are together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from tilewright.ir import ops
from tilewright.ir.dtypes import INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Size, Var, post_order
from tilewright.ir.interpret.conflicts import Conflicts
from tilewright.ir.interpret.values import apply_operation, bind_symbols, constant, halve
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
    children,
    expressions,
)

Value = Any  # a NumPy scalar, or an int where the dtype is index


SUBGROUP = 8
"""Invocations in a subgroup, unless somebody wants another number."""


def interpret_kernel(
    kernel: Kernel,
    arrays: Mapping[Buffer, np.ndarray],
    symbols: Mapping[Var, int] | None = None,
    subgroup: int = SUBGROUP,
) -> None:
    """Run `kernel` on `arrays`, which hold the elements of its parameters in row-major order, on a
    machine whose subgroups have `subgroup` invocations."""
    given = dict(symbols or {})
    shapes = [(p.shape, _array_of(p, arrays).shape, p.name) for p in kernel.parameters]
    values = bind_symbols(shapes, given)
    variables = {v: int(n) if v.dtype is INDEX else n for v, n in values.items()}
    frame = Frame(variables, {p: arrays[p] for p in kernel.parameters})
    machine = Machine(kernel, subgroup)
    machine.fresh(frame, ("register", "scratch", "workgroup"))
    machine.run(kernel.body, frame)


def _array_of(buffer: Buffer, arrays: Mapping[Buffer, np.ndarray]) -> np.ndarray:
    array = arrays.get(buffer)
    if array is None:
        raise IRError(f"parameter {buffer.name} was given no array")
    if array.dtype != buffer.dtype.numpy:
        raise IRError(f"parameter {buffer.name} of {buffer.dtype} was given {array.dtype}")
    if not array.flags.c_contiguous:
        raise IRError(f"the array of parameter {buffer.name} is not in row-major order")
    return array


class Frame:
    """What one task or invocation sees: values of variables, storage of buffers."""

    __slots__ = ("arrays", "variables")

    def __init__(self, variables: dict[Var, Value], arrays: dict[Buffer, np.ndarray]) -> None:
        self.variables = variables
        self.arrays = arrays

    def copy(self) -> Frame:
        return Frame(dict(self.variables), dict(self.arrays))


class Machine:
    """Executes statements of one kernel."""

    def __init__(self, kernel: Kernel, subgroup: int = SUBGROUP) -> None:
        self.kernel = kernel
        self.subgroup = subgroup
        self.tapes: dict[int, Tape] = {}
        self.sizes: dict[Expr, Tape] = {}
        self.barriers: dict[int, bool] = {}
        self.conflicts: Conflicts | None = None  # between the invocations that are running

    # Storage.

    def fresh(self, frame: Frame, spaces: Sequence[str]) -> None:
        """New storage, full of poison, for the kernel's own buffers of some spaces."""
        for buffer in self.kernel.locals:
            if buffer.space in spaces:
                shape = tuple(self.size(s, frame) for s in buffer.shape)
                frame.arrays[buffer] = np.full(shape, poison(buffer.dtype), buffer.dtype.numpy)
        for view in [b for b in frame.arrays if b.base is not None and b.root.space in spaces]:
            if view not in self.kernel.locals:
                del frame.arrays[view]

    def storage(self, buffer: Buffer, frame: Frame) -> np.ndarray:
        """The elements of a buffer; of a view, those of its base under another shape."""
        array = frame.arrays.get(buffer)
        if array is None:
            if buffer.base is None:
                raise IRError(f"buffer {buffer.name} is neither a parameter nor a local")
            shape = tuple(self.size(s, frame) for s in buffer.shape)
            array = frame.arrays[buffer] = self.storage(buffer.base, frame).reshape(shape)
        return array

    def size(self, size: Size, frame: Frame) -> int:
        if isinstance(size, int):
            return size
        tape = self.sizes.get(size)
        if tape is None:
            tape = self.sizes[size] = Tape((size,))
        return int(tape.run(self, frame)[0])

    # Statements without barriers.

    def run(self, body: Sequence[Stmt], frame: Frame) -> None:
        for stmt in body:
            self._run_one(stmt, frame)

    def _run_one(self, stmt: Stmt, frame: Frame) -> None:
        match stmt:
            case Store():
                *indices, value = self._values(stmt, frame)
                array = self.storage(stmt.buffer, frame)
                position = inside(stmt.buffer, array.shape, indices, "store to")
                if self.conflicts is not None:
                    self.conflicts.write(stmt.buffer, position, array.shape)
                array[position] = value
            case For():
                self._loop(stmt, frame)
            case If():
                holds = self._values(stmt, frame)[0]
                self.run(stmt.body if holds else stmt.otherwise, frame)
            case WhileLoop():
                while self._values(stmt, frame)[0]:
                    self.run(stmt.body, frame)
            case Barrier():
                raise IRError("a barrier outside of local loops")
            case Exchange():
                raise IRError("an exchange outside of local loops")
            case _:
                raise IRError(f"{type(stmt).__name__} cannot be interpreted")

    def _values(self, stmt: Stmt, frame: Frame) -> list[Value]:
        tape = self.tapes.get(id(stmt))
        if tape is None:
            tape = self.tapes[id(stmt)] = Tape(expressions(stmt))
        return tape.run(self, frame)

    def _loop(self, stmt: For, frame: Frame) -> None:
        if stmt.kind == "local":
            self._workgroup(stmt, frame)
            return
        private = stmt.kind in ("parallel", "group", "fragment")
        for k in range(self.size(stmt.extent, frame)):
            inner = frame
            if private:
                inner = frame.copy()
                self.fresh(inner, ("register", "scratch", "workgroup"))
            inner.variables[stmt.var] = k
            self.run(stmt.body, inner)

    # Workgroups.

    def _workgroup(self, stmt: For, frame: Frame) -> None:
        """All invocations of a nest of local loops, from barrier to barrier."""
        loops, body = _local_nest(stmt)
        running: dict[int, Generator[Stmt]] = {}
        frames: list[Frame] = []
        self.conflicts = Conflicts()
        extents = [range(self.size(loop.extent, frame)) for loop in loops]
        for number, position in enumerate(product(*extents)):
            inner = frame.copy()
            self.fresh(inner, ("register", "scratch"))
            inner.variables.update(zip((loop.var for loop in loops), position, strict=True))
            frames.append(inner)
            running[number] = self._until_barriers(body, inner)
        places = self._places(loops[-1], frames) if loops[-1].subgroups else []
        while running:
            reached = {self._advance(n, r) for n, r in running.items()}
            if len(reached) > 1:
                raise IRError("a barrier that some invocations reach and others do not")
            match reached.pop():
                case Exchange() as exchange:
                    self._exchange(exchange, frames, places)
                case Barrier():
                    self.conflicts.barrier()
                case _:
                    break
        self.conflicts = None

    def _advance(self, number: int, invocation: Iterator[Stmt]) -> Stmt | None:
        """The barrier or the exchange at which the invocation stops; None at its end."""
        assert self.conflicts is not None
        self.conflicts.invocation = number
        return next(invocation, None)

    def _places(self, loop: For, frames: Sequence[Frame]) -> list[int]:
        """Put the invocations into subgroups: their numbers by subgroup and place in it."""
        facts, size, threads = loop.subgroups, self.subgroup, len(frames)
        assert facts is not None
        if threads % size or size < facts.least:
            raise IRError(f"{threads} invocations in subgroups of {size}, at least {facts.least}")
        count = threads // size
        order = [place * count + number for number in range(count) for place in range(size)]
        for position, invocation in enumerate(order):
            values = (size.bit_length() - 1, size, count, position // size, position % size)
            frames[invocation].variables.update(zip(facts.variables, values, strict=True))
        return order

    def _exchange(self, stmt: Exchange, frames: Sequence[Frame], places: Sequence[int]) -> None:
        given = [self._values(stmt, frames[invocation]) for invocation in places]
        distance = 1 << int(given[0][1])
        if distance >= self.subgroup:
            raise IRError(f"an exchange over {distance} places of {self.subgroup}")
        for position, invocation in enumerate(places):
            array = self.storage(stmt.buffer, frames[invocation])
            array[()] = given[position ^ distance][0]

    def _until_barriers(self, body: Sequence[Stmt], frame: Frame) -> Generator[Stmt]:
        """Run statements; yields every barrier and every exchange."""
        for stmt in body:
            if not self.has_barrier(stmt):
                self._run_one(stmt, frame)
                continue
            match stmt:
                case Barrier() | Exchange():
                    yield stmt
                case For(kind="serial" | "unroll"):
                    for k in range(self.size(stmt.extent, frame)):
                        frame.variables[stmt.var] = k
                        yield from self._until_barriers(stmt.body, frame)
                case If():
                    holds = self._values(stmt, frame)[0]
                    yield from self._until_barriers(stmt.body if holds else stmt.otherwise, frame)
                case WhileLoop():
                    while self._values(stmt, frame)[0]:
                        yield from self._until_barriers(stmt.body, frame)
                case _:
                    raise IRError("a barrier inside of a loop that is neither serial nor unrolled")

    def has_barrier(self, stmt: Stmt) -> bool:
        found = self.barriers.get(id(stmt))
        if found is None:
            found = isinstance(stmt, (Barrier, Exchange)) or any(
                map(self.has_barrier, children(stmt))
            )
            self.barriers[id(stmt)] = found
        return found


def _local_nest(stmt: For) -> tuple[list[For], tuple[Stmt, ...]]:
    """Perfectly nested local loops, and what the innermost holds."""
    loops = [stmt]
    while len(loops[-1].body) == 1:
        only = loops[-1].body[0]
        if not isinstance(only, For) or only.kind != "local":
            break
        loops.append(only)
    return loops, loops[-1].body


def inside(
    buffer: Buffer, shape: tuple[int, ...], indices: Sequence[Value], what: str
) -> tuple[int, ...]:
    """`indices` as ints, all inside of `shape`: NumPy would wrap negative ones."""
    position = tuple(map(int, indices))
    for index, size in zip(position, shape, strict=True):
        if not 0 <= index < size:
            raise IRError(f"{what} {buffer.name}{list(position)} outside of shape {shape}")
    return position


def poison(dtype: DType) -> float | int | bool:
    """What uninitialised memory holds: NaN, the most negative or the largest integer, true."""
    if dtype.is_float:
        return float("nan")
    return dtype.min if dtype.is_signed else dtype.max


class Tape:
    """Expressions in evaluation order, so that a statement in a loop is walked only once."""

    def __init__(self, roots: Sequence[Expr]) -> None:
        order = list(post_order(roots))
        slots = {node: k for k, node in enumerate(order)}
        self.nodes = [(n, tuple(slots[o] for o in n.operands), _FAST.get(_fast(n))) for n in order]
        self.roots = [slots[root] for root in roots]

    def run(self, machine: Machine, frame: Frame) -> list[Value]:
        """The values of the roots."""
        values: list[Value] = []
        for node, slots, fast in self.nodes:
            operands = [values[k] for k in slots]
            if fast is not None:
                values.append(fast(*operands))
            else:
                values.append(_evaluate(node, operands, machine, frame))
        return [values[k] for k in self.roots]


def _fast(node: Expr) -> ops.Op | None:
    return node.op if isinstance(node, Apply) and node.dtype is INDEX else None


def _floordiv(a: int, b: int) -> int:
    return a // b if b else 0


def _mod(a: int, b: int) -> int:
    return a % b if b else 0


# Index arithmetic on Python's integers: most of what a kernel evaluates. (It cannot overflow.)
_FAST: Mapping[ops.Op | None, Callable[..., int]] = {
    ops.ADD: lambda a, b: a + b,
    ops.SUB: lambda a, b: a - b,
    ops.MUL: lambda a, b: a * b,
    ops.MIN: lambda a, b: min(a, b),
    ops.MAX: lambda a, b: max(a, b),
    ops.FLOORDIV: _floordiv,
    ops.MOD: _mod,
}


def _evaluate(node: Expr, operands: list[Value], machine: Machine, frame: Frame) -> Value:
    value: Value
    match node:
        case Const():
            value = constant(node)
        case Var():
            if node not in frame.variables:
                raise IRError(f"variable {node.name} has no value here")
            value = frame.variables[node]
        case Apply():
            exact = [np.int64(o) if isinstance(o, int) else o for o in operands]
            value = apply_operation(node, exact)
        case Load():
            value = _load(node, operands, machine, frame)
        case LaneReduce():
            value = _lane_reduce(node, operands, machine, frame)
        case _:
            raise IRError(f"{type(node).__name__} cannot be interpreted")
    return int(value) if node.dtype is INDEX else value


def _load(node: Load, indices: list[Value], machine: Machine, frame: Frame) -> Value:
    buffer = node.source
    if not isinstance(buffer, Buffer):
        raise IRError(f"a kernel reads {buffer.name}, which is no buffer")
    array = machine.storage(buffer, frame)
    position = inside(buffer, array.shape, indices, "load of")
    if machine.conflicts is not None:
        machine.conflicts.read(buffer, position, array.shape)
    return array[position]


def _lane_reduce(node: LaneReduce, indices: list[Value], machine: Machine, frame: Frame) -> Value:
    buffer = node.source
    if not isinstance(buffer, Buffer):
        raise IRError(f"a kernel reads {buffer.name}, which is no buffer")
    array = machine.storage(buffer, frame)
    row: np.ndarray = array[inside(buffer, array.shape[:-1], indices, "lanes of")]
    return halve(node.op, row)
