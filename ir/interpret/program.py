"""NumPy evaluation of a program: what every schedule, target and memory plan must agree with.

In: a program (lowered or not) and an array for each input. Out: an array for each output.

Nests are evaluated on whole blocks of outer points at once. Sums and products of floats are
accumulated in float64 and rounded once, so that a lowered program is compared with something
better than itself. Kernels that were lowered already run through `ir/interpret/kernel.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, LaneReduce, Load, Size, Var, post_order
from tilewright.ir.interpret.kernel import interpret_kernel, poison
from tilewright.ir.interpret.nest import NestRun, check_bounds, is_uniform
from tilewright.ir.interpret.values import (
    UFUNCS,
    bind_symbols,
    evaluate,
    shape_value,
    size_value,
)
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import (
    Copy,
    Launch,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Step,
)


def interpret_program(
    program: Program, inputs: Sequence[np.ndarray], symbols: Mapping[Var, int] | None = None
) -> tuple[np.ndarray, ...]:
    """The outputs of `program`. Open dimensions follow from the inputs' shapes, other symbols
    (and dimensions that no input has) from `symbols`."""
    if len(inputs) != len(program.inputs):
        raise IRError(f"{program.name} has {len(program.inputs)} inputs, not {len(inputs)}")
    arrays = [np.asarray(a) for a in inputs]
    for buffer, array in zip(program.inputs, arrays, strict=True):
        if array.dtype != buffer.dtype.numpy:
            raise IRError(f"input {buffer.name} of {buffer.dtype} was given {array.dtype}")
    pairs = zip(program.inputs, arrays, strict=True)
    shapes = [(b.shape, a.shape, b.name) for b, a in pairs]
    given = {v: v.dtype.numpy.type(n) for v, n in (symbols or {}).items()}
    run = ProgramRun(program, bind_symbols(shapes, given))
    for buffer, array in zip(program.inputs, arrays, strict=True):
        run.storage[buffer] = np.array(array, order="C", copy=True)
    run.steps(program.init)
    run.steps(program.steps)
    return tuple(run.array(b) for b in program.outputs)


class ProgramRun:
    """Storage of buffers and values of symbols and counters while a program runs."""

    def __init__(self, program: Program, variables: dict[Var, Any]) -> None:
        self.variables = variables
        self.storage: dict[Buffer, np.ndarray] = {}
        for buffer, array in program.constants:
            self.storage[buffer] = np.array(array, order="C", copy=True)
        for buffer in (*program.outputs, *program.temporaries, *program.packed):
            if buffer.base is None and buffer not in self.storage:
                shape = shape_value(buffer.shape, variables)
                self.storage[buffer] = np.full(shape, poison(buffer.dtype), buffer.dtype.numpy)

    def array(self, buffer: Buffer) -> np.ndarray:
        """The elements of a buffer; of a view, those of its base under another shape."""
        found = self.storage.get(buffer)
        if found is not None:
            return found
        if buffer.base is None:
            raise IRError(f"buffer {buffer.name} belongs to no part of the program")
        return self.array(buffer.base).reshape(shape_value(buffer.shape, self.variables))

    def read(self, node: Load | LaneReduce, indices: tuple[Any, ...]) -> Any:
        """A load outside of nests."""
        if not isinstance(node, Load) or not isinstance(node.source, Buffer):
            raise IRError(f"{node.source.name} cannot be read in a program")
        array = self.array(node.source)
        check_bounds(node.source, array.shape, indices)
        return array[indices]

    def size(self, size: Size) -> int:
        return size_value(size, self.variables)

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        match step:
            case Nest():
                NestRun(step, self.variables, self.array).run()
            case Ordered():
                self._ordered(step)
            case SortRows():
                self._sort(step)
            case Copy():
                target = self.array(step.target)
                target[...] = self.array(step.source).reshape(target.shape)
            case Repeat():
                self._repeat(step)
            case RepeatWhile():
                self.steps(step.test)
                while self.array(step.condition)[()]:
                    self.steps(step.body)
                    self.steps(step.test)
            case Launch():
                kernel = step.kernel
                arrays = {p: self.array(p) for p in kernel.parameters}
                interpret_kernel(kernel, arrays, {s: self._symbol(s) for s in kernel.symbols})

    def _symbol(self, symbol: Var) -> Any:
        if symbol not in self.variables:
            raise IRError(f"symbol {symbol.name} has no value in the program")
        return self.variables[symbol]

    def _repeat(self, step: Repeat) -> None:
        assert step.counter.extent is not None, "a counter has an extent"
        for k in range(self.size(step.counter.extent)):
            self.variables[step.counter] = np.int64(k)
            self.steps(step.steps)
        self.variables.pop(step.counter, None)

    def _sort(self, step: SortRows) -> None:
        source, target = self.array(step.source), self.array(step.target)
        if step.positions:
            target[...] = np.argsort(source, axis=step.axis, kind="stable")
        else:
            target[...] = np.sort(source, axis=step.axis, kind="stable")

    def _ordered(self, step: Ordered) -> None:
        """A scatter: all values at once, unless they read what is being written."""
        target = self.array(step.target)
        if _reads(step.value, step.target.root) or not is_uniform(step.axes):
            for point in self._points(step.axes):
                self._scatter(step, target, point)
            return
        extents = [self.size(a.extent) for a in step.axes if a.extent is not None]
        grids = np.meshgrid(*map(np.arange, extents), indexing="ij") if extents else []
        flat = [g.reshape(-1) for g in grids] if grids else []
        self._scatter(step, target, dict(zip(step.axes, flat, strict=True)))

    def _points(self, axes: Sequence[Var]) -> Iterator[dict[Var, Any]]:
        """The points of nested axes in row-major order."""
        if not axes:
            yield {}
            return
        *before, last = axes
        assert last.extent is not None, "an axis has an extent"
        for point in self._points(before):
            for k in range(size_value(last.extent, {**self.variables, **point})):
                yield {**point, last: np.int64(k)}

    def _scatter(self, step: Ordered, target: np.ndarray, point: dict[Var, Any]) -> None:
        roots = (*step.indices, step.value)
        *indices, value = evaluate(roots, {**self.variables, **point}, self.read)
        count = next((len(p) for p in point.values() if np.ndim(p)), 1)
        places = tuple(np.broadcast_to(i, (count,)) for i in indices)
        check_bounds(step.target, target.shape, places)
        values = np.broadcast_to(value, (count,))
        if step.combiner is None:
            if count:
                _assign_in_order(target, places, values)
            return
        if step.combiner not in UFUNCS:
            raise IRError(f"{step.combiner} cannot combine what is scattered")
        combine = UFUNCS[step.combiner]
        with np.errstate(all="ignore"):
            if places:
                combine.at(target, places, values)
            else:
                for one in values:
                    target[()] = combine(target[()], one)


def _assign_in_order(
    target: np.ndarray, places: tuple[np.ndarray, ...], values: np.ndarray
) -> None:
    """``target[places] = values``, the last of several values for one place winning."""
    if not places:
        target[()] = values[-1]
        return
    flat = np.ravel_multi_index(places, target.shape)
    _, last = np.unique(flat[::-1], return_index=True)
    chosen = len(flat) - 1 - last
    target.reshape(-1)[flat[chosen]] = values[chosen]


def _reads(value: Expr, root: Buffer) -> bool:
    return any(
        isinstance(n, Load) and isinstance(n.source, Buffer) and n.source.root is root
        for n in post_order((value,))
    )
