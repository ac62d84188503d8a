"""Rules of programs."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.dtypes import BOOL, I64
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Source, Var
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import Buffer, Kernel, loaded_buffers
from tilewright.ir.program import (
    Copy,
    Launch,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
    Step,
)
from tilewright.ir.verify.bounds import check_store_bounds
from tilewright.ir.verify.expressions import (
    broken,
    check_axes,
    check_combiner,
    check_expressions,
    check_indices,
    check_shape,
    check_size,
)
from tilewright.ir.verify.kernel import verify_kernel
from tilewright.ir.verify.races import Place, check_places, loaded_places


def verify_program(program: Program, *, strict: bool = False) -> None:
    """Raise `IRError` if `program` breaks a rule. `strict` also looks for accesses in its lowered
    kernels that are certain to be out of bounds."""
    try:
        ProgramVerifier(program, strict).verify()
    except IRError as error:
        notes = [*error.notes, (f"in program {program.name}", None)]
        raise IRError(error.message, loc=error.loc, notes=notes) from None


class ProgramVerifier:
    """Walks the steps with what is known there: variables, and buffers that hold something."""

    def __init__(self, program: Program, strict: bool) -> None:
        self.program = program
        self.strict = strict
        self.known: set[Var] = set(program.symbols)
        self.constants = {buffer for buffer, _ in program.constants}
        own = (*program.outputs, *program.temporaries, *program.packed)
        self.storage = {*program.inputs, *self.constants, *own}
        self.defined: set[Buffer] = set()
        self.writable: set[Buffer] = set()
        self.locals: set[Buffer] = set()
        self.kernels: set[int] = set()

    def verify(self) -> None:
        program = self.program
        self._buffers()
        self.defined = set(self.constants)
        self.writable = {*program.packed, *program.temporaries}
        self._steps(program.init)
        self.defined = {b for b in self.defined if b in program.packed or b in self.constants}
        self.defined |= set(program.inputs)
        self.writable = {b.root for b in (*program.outputs, *program.temporaries)}
        self.writable -= {*program.inputs, *self.constants}
        self._steps(program.steps)
        for output in program.outputs:
            if output.root not in self.defined:
                broken(f"output {output.name} is never written")
        for check in program.checks:
            check_size(check.size, self.known, "the size that a check names")

    def _buffers(self) -> None:
        program = self.program
        groups = (program.inputs, tuple(self.constants), program.temporaries, program.packed)
        buffers = [buffer for group in groups for buffer in group]
        if len(set(buffers)) != len(buffers) or len(self.constants) != len(program.constants):
            broken("a buffer belongs to a program twice")
        for buffer in self.storage:
            check_shape(buffer.shape, self.known, buffer.name)
            if buffer.space != "global":
                broken(f"{buffer.name} of a program is in space {buffer.space}")
            if buffer.root not in self.storage:
                broken(f"{buffer.name} is a view of {buffer.root.name}, which is not there")
        for buffer, array in program.constants:
            if array.dtype != buffer.dtype.numpy or array.shape != buffer.shape:
                found = f"{array.dtype}{list(array.shape)}"
                broken(f"{buffer.name} of {buffer.dtype}{list(buffer.shape)} holds {found}")

    # Accesses.

    def _readable(self, source: Source) -> str | None:
        if not isinstance(source, Buffer):
            return f"a program reads {source.name}, which is no buffer"
        root = source.root
        if root not in self.storage and root not in self.locals:
            return f"buffer {source.name} belongs to no part of the program"
        if root not in self.defined:
            return f"{source.name} is read before it is written"
        return None

    def _read(self, buffer: Buffer) -> None:
        reason = self._readable(buffer)
        if reason is not None:
            broken(reason)

    def _write(self, buffer: Buffer) -> None:
        root = buffer.root
        if root not in self.storage and root not in self.locals:
            broken(f"buffer {buffer.name} belongs to no part of the program")
        if root in self.storage and root not in self.writable:
            broken(f"{buffer.name} is written, which may only be read")
        self.defined.add(root)

    # Steps.

    def _steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            try:
                self._step(step)
            except IRError as error:
                name = step.kernel.name if isinstance(step, Launch) else getattr(step, "name", "")
                where = f"in {type(step).__name__} {name}".rstrip()
                raise IRError(error.message, notes=[*error.notes, (where, None)]) from None

    def _step(self, step: Step) -> None:
        match step:
            case Nest():
                self._nest(step)
            case Ordered():
                self._ordered(step)
            case SortRows():
                self._sort(step)
            case Copy():
                self._copy(step)
            case Repeat():
                self._repeat(step)
            case RepeatWhile():
                self._while(step)
            case Launch():
                self._launch(step.kernel)
            case _:
                broken(f"{type(step).__name__} is no step of a program")

    def _nest(self, nest: Nest) -> None:
        outer = check_axes(nest.outer, self.known)
        self.locals = set(nest.locals)
        if self.locals & self.storage:
            broken("a local of a nest is a buffer of the program too")
        for stage in nest.stages:
            try:
                self._stage(stage, nest, outer)
            except IRError as error:
                where = f"in the stage that writes {stage.target.name} {stage.label}".rstrip()
                raise IRError(error.message, loc=stage.loc, notes=[(where, None)]) from None
        self._races(nest)
        self.defined -= self.locals
        self.locals = set()

    def _stage(self, stage: Stage, nest: Nest, outer: set[Var]) -> None:
        own = check_axes(stage.axes, outer)
        inside = check_axes(stage.reduce_axes, own)
        check_expressions((stage.value,), inside, self._readable)
        places = own - set(nest.outer) if stage.target.root in self.locals else own
        self._target(stage.target, stage.indices, places)
        dtype = stage.value.dtype
        if stage.combiner in ("argmin", "argmax"):
            dtype = I64
        elif stage.combiner is None:
            if stage.reduce_axes:
                broken("a stage with reduced axes and no combiner")
        elif stage.scans:
            self._scan(stage)
        else:
            check_combiner(stage.combiner, stage.value)
        if dtype is not stage.target.dtype:
            broken(f"{dtype} is stored to {stage.target.name} of {stage.target.dtype}")
        self._write(stage.target)

    def _scan(self, stage: Stage) -> None:
        combiner = stage.combined_by
        check_combiner(combiner, stage.value)
        if COMBINERS[combiner].op is None or not stage.axes or stage.reduce_axes:
            broken(f"{stage.combiner} needs an axis of its own to run along, and no reduced ones")

    def _target(self, target: Buffer, indices: Sequence[Expr], variables: set[Var]) -> None:
        if len(indices) != len(target.shape):
            broken(f"{len(indices)} indices write {target.name} of rank {len(target.shape)}")
        check_indices(indices, target.name)
        check_expressions(indices, variables, self._readable)
        if all(variable.extent != 0 for variable in variables):
            check_store_bounds(target, indices)

    def _races(self, nest: Nest) -> None:
        stores: list[Place] = []
        loads: list[Place] = []
        inside: list[Var] = []
        for stage in nest.stages:
            inside += (*stage.axes, *stage.reduce_axes)
            if stage.target.root not in self.locals:
                stores.append((stage.target, stage.indices))
            places = loaded_places((stage.value, *stage.indices))
            loads += [p for p in places if p[0].root not in self.locals]
        for axis in nest.outer:
            check_places(axis, (*nest.outer, *inside), stores, loads)

    def _ordered(self, step: Ordered) -> None:
        known = check_axes(step.axes, self.known)
        check_expressions((step.value,), known, self._readable)
        self._target(step.target, step.indices, known)
        if step.value.dtype is not step.target.dtype:
            broken(f"{step.value.dtype} is stored to {step.target.name} of {step.target.dtype}")
        if step.combiner is not None:
            check_combiner(step.combiner, step.value)
            if COMBINERS[step.combiner].op is None:
                broken(f"{step.combiner} cannot combine what is scattered")
            self._read(step.target)
        self._write(step.target)

    def _sort(self, step: SortRows) -> None:
        self._read(step.source)
        self._write(step.target)
        wanted = I64 if step.positions else step.source.dtype
        if step.target.dtype is not wanted:
            broken(f"{wanted} is sorted into {step.target.name} of {step.target.dtype}")
        _same_elements(step.source, step.target)
        if len(step.source.shape) != len(step.target.shape):
            broken(f"{step.source.name} and {step.target.name} differ in rank")
        if not 0 <= step.axis < len(step.source.shape):
            broken(f"axis {step.axis} of a buffer of rank {len(step.source.shape)}")
        if step.source.root is step.target.root:
            broken(f"{step.source.name} is sorted onto itself")

    def _copy(self, step: Copy) -> None:
        self._read(step.source)
        self._write(step.target)
        if step.source.dtype is not step.target.dtype:
            broken(f"{step.source.dtype} is copied to {step.target.name} of {step.target.dtype}")
        _same_elements(step.source, step.target)

    def _repeat(self, step: Repeat) -> None:
        known = self.known
        self.known = check_axes((step.counter,), known)
        before = set(self.defined)
        self._steps(step.steps)
        if not isinstance(step.counter.extent, int) or step.counter.extent < 1:
            self.defined = before  # it may not run at all
        self.known = known

    def _while(self, step: RepeatWhile) -> None:
        self._steps(step.test)
        self._read(step.condition)
        if step.condition.dtype is not BOOL or step.condition.shape:
            broken(f"the condition {step.condition.name} is no bool of rank 0")
        before = set(self.defined)
        self._steps((*step.body, *step.test))
        self.defined = before

    def _launch(self, kernel: Kernel) -> None:
        for symbol in kernel.symbols:
            if symbol not in self.known:
                broken(f"kernel {kernel.name} uses {symbol.name}, no symbol of the program")
        for parameter in kernel.parameters:
            if parameter.root not in self.storage:
                broken(f"parameter {parameter.name} is no buffer of the program")
        if id(kernel) not in self.kernels:
            self.kernels.add(id(kernel))
            verify_kernel(kernel, strict=self.strict)
        written = kernel.written
        for buffer in loaded_buffers(kernel.body):
            # What a kernel both reads and writes may have been written by itself.
            if buffer.root in self.storage and all(buffer.root is not w.root for w in written):
                self._read(buffer)
        for buffer in written:
            self._write(buffer)


def _same_elements(a: Buffer, b: Buffer) -> None:
    """Equal counts where both are static."""
    counts = []
    for buffer in (a, b):
        count = 1
        for size in buffer.shape:
            if not isinstance(size, int):
                return
            count *= size
        counts.append(count)
    if counts[0] != counts[1]:
        broken(f"{a.name} has {counts[0]} elements, {b.name} {counts[1]}")
