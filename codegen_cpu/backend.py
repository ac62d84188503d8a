"""Programs -> object code for a CPU (or a wasm32 object): lower, legalise, plan memory, emit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.codegen_cpu.artifact import CpuArtifact, TensorSpec
from tilewright.codegen_cpu.emit.module import emit_program
from tilewright.codegen_cpu.jit import compile_object
from tilewright.codegen_cpu.legalize import legalize
from tilewright.codegen_cpu.poll_rounds import first_poll
from tilewright.codegen_cpu.schedule import default_schedule, shows_order
from tilewright.codegen_cpu.target import CpuTarget
from tilewright.codegen_cpu.task_count import tasks_for
from tilewright.ir.expr import Size, Var
from tilewright.ir.kernel import Buffer, For, Kernel, statements
from tilewright.ir.lower.accesses import work
from tilewright.ir.lower.branch_on_positions import branch_on_positions
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.lower.share_expressions import share_expressions
from tilewright.ir.passes.plan_memory import plan_memory
from tilewright.ir.program import (
    Launch,
    Nest,
    Ordered,
    Program,
    SortRows,
    Step,
    kernels,
    map_steps,
)
from tilewright.ir.schedule import INNER, Schedule

if TYPE_CHECKING:
    from tilewright.ir.lower.bands import Band

MOST_FIELDS = 8
Observer = Callable[[str, object], None]


class Lowered(Struct, frozen=True, eq=False):
    """A program of kernels, the schedule of each, and where temporaries lie.

    `nests` are those whose schedule may be chosen, as they are lowered, with what they have.
    """

    program: Program
    schedules: tuple[tuple[str, Schedule], ...]
    nests: tuple[tuple[Nest, Schedule], ...]
    offsets: Mapping[Buffer, Size]
    workspace: Size


def lower(
    program: Program, target: CpuTarget, schedules: Mapping[str, Schedule] | None = None
) -> Lowered:
    """Every step as a legal kernel. `schedules` overrides the default by nest name."""
    return _Lowering(program, target, schedules or {}).run()


def emit(lowered: Lowered, target: CpuTarget) -> str:
    """The program as LLVM IR text."""
    return emit_program(lowered.program, lowered.offsets, target, first_poll(lowered.program))


def build(
    program: Program,
    target: CpuTarget,
    schedules: Mapping[str, Schedule] | None = None,
    observe: Observer | None = None,
) -> CpuArtifact:
    """Compile a program. `observe(stage, value)` sees ``kernel``, ``schedule`` and ``llvm``."""
    lowered = lower(program, target, schedules)
    if observe:
        observe("kernel", lowered.program)
        observe("schedule", lowered.schedules)
    text = emit(lowered, target)
    if observe:
        observe("llvm", text)
    return CpuArtifact(
        compile_object(text, target),
        tuple(TensorSpec(b.shape, b.dtype) for b in program.inputs),
        tuple(TensorSpec(b.shape, b.dtype) for b in program.outputs),
        tuple(np.ascontiguousarray(a) for _, a in program.constants),
        program.symbols,
        lowered.workspace,
        target.has_threads and _is_parallel(lowered.program),
        tuple(TensorSpec(b.shape, b.dtype) for b in lowered.program.packed),
        first_poll(lowered.program) > 0,
    )


def _is_parallel(program: Program) -> bool:
    """Whether a kernel of the program has a parallel loop."""
    return any(
        isinstance(stmt, For) and stmt.kind == "parallel"
        for kernel in kernels((*program.init, *program.steps))
        for stmt in statements(kernel.body)
    )


def _has_fields(buffer: Buffer) -> bool:
    """Whether a buffer may be one of records: few elements side by side."""
    last = buffer.shape[-1] if len(buffer.shape) > 1 else 1
    return isinstance(last, int) and 1 < last <= MOST_FIELDS


class _Lowering:
    """Lowers the steps of one program, and collects what lowering adds to it."""

    def __init__(
        self, program: Program, target: CpuTarget, schedules: Mapping[str, Schedule]
    ) -> None:
        self.program = program
        self.target = target
        self.given = schedules
        self.used: list[tuple[str, Schedule]] = []
        self.nests: list[tuple[Nest, Schedule]] = []
        self.temporaries: list[Buffer] = []
        self.has_records = any(map(_has_fields, (*program.inputs, *program.temporaries)))

    def run(self) -> Lowered:
        program = self.program
        if len(program.steps) == 1 and isinstance(program.steps[0], Nest):  # no neighbours
            banded: frozenset[Buffer] = frozenset()
            steps = map_steps(program.steps, self._step)
        else:
            steps, banded = self._in_bands(program)
        temporaries = (*(t for t in program.temporaries if t not in banded), *self.temporaries)
        lowered = replace(program, steps=steps, temporaries=temporaries)
        if program.constants and self.target.architecture != "wasm32":  # modules have one entry
            from tilewright.ir.passes.hoist_constant_steps import hoist_constant_steps

            lowered = hoist_constant_steps(lowered)
        plan = plan_memory(lowered)
        return Lowered(lowered, tuple(self.used), tuple(self.nests), plan.offsets, plan.size)

    def _in_bands(self, program: Program) -> tuple[tuple[Step, ...], frozenset[Buffer]]:
        """The steps with bands as launches, those inside of repeats too, and the temporaries that
        bands do without."""
        from tilewright.codegen_cpu.stencil_schedule import band_limits
        from tilewright.ir.lower.bands import Band, find_bands

        result: list[Step] = []
        replaced: list[Buffer] = []
        for step in find_bands(program, band_limits(self.target)):
            if isinstance(step, Band):
                result.append(self._band(step))
                replaced += step.replaced
            else:
                result += map_steps((step,), self._step)
        return tuple(result), frozenset(replaced)

    def _band(self, band: Band) -> Launch:
        from tilewright.ir.lower.lower_bands import lower_band

        name = f"k{len(self.used)}"
        nests = [collapse_axes(n, kept=n.outer[0]) for n in band.nests]
        schedules = [self._inside_band(n) for n in nests]
        self.used += zip((n.name for n in nests), schedules, strict=True)
        bands = band.counter.extent
        assert isinstance(bands, int)
        lanes = min(s.width for s in schedules)
        tasks = tasks_for(bands * sum(map(work, nests)), lanes) if self.target.has_threads else 1
        return self._launch(lower_band(replace(band, nests=tuple(nests)), schedules, tasks, name))

    def _inside_band(self, nest: Nest) -> Schedule:
        """Tasks take whole bands; no axis of a nest has to come first for them."""
        schedule = replace(self._schedule(nest), chunks=1)
        return schedule if nest.name in self.given else replace(schedule, order=())

    def _step(self, step: Step) -> list[Step]:
        if isinstance(step, Nest):
            return self._packed_nest(step)
        name = f"k{len(self.used)}"
        match step:
            case Ordered():
                from tilewright.ir.lower.ordered import lower_ordered

                kernel = lower_ordered(step, name)
            case SortRows():
                from tilewright.ir.lower.elements_read import elements_read
                from tilewright.ir.lower.sorting.sort_rows import VectorUnit, lower_sort

                unit = VectorUnit(self.target.vector_bits, self.target.vector_registers)
                read = elements_read(self.program, step.target, step.axis)
                sorted_rows = lower_sort(step, name, unit=unit, read=read)
                kernel = sorted_rows.kernel
                self.temporaries += sorted_rows.temporaries
            case _:
                return [step]
        self.used.append((step.name, Schedule()))
        return [self._launch(kernel)]

    def _packed_nest(self, nest: Nest) -> list[Step]:
        copies: tuple[Nest, ...] = ()
        packed: tuple[Buffer, ...] = ()
        if any(stage.reduce_axes for stage in nest.stages):
            nest, copies, packed = self._packed_operands(nest)
        if not copies and len(nest.outer) > 1 and self.has_records:
            from tilewright.ir.lower.pack_interleaved import pack_interleaved

            nest, copies, packed = pack_interleaved(nest, MOST_FIELDS)
        self.temporaries += packed
        return [launch for n in (*copies, nest) for launch in self._nest(n)]

    def _packed_operands(self, nest: Nest) -> tuple[Nest, tuple[Nest, ...], tuple[Buffer, ...]]:
        from tilewright.codegen_cpu.product_axis import product_axis
        from tilewright.ir.lower.pack_operands import contraction, pack_operands

        axis, stage = product_axis(nest, self.target), contraction(nest)
        if axis is None or stage is None:
            return nest, (), ()
        return pack_operands(nest, axis if isinstance(axis, Var) else stage.reduce_axes[-1])

    def _schedule(self, nest: Nest) -> Schedule:
        given = self.given.get(nest.name)
        if given is None:
            schedule = default_schedule(nest, self.target)
        else:
            schedule = self._given(nest, given)
        self.nests.append((nest, schedule))
        return schedule

    def _given(self, nest: Nest, schedule: Schedule) -> Schedule:
        """A schedule of the user's, if it fits; what would change rounding is left out."""
        from tilewright.ir.lower.check_schedule import check_schedule

        check_schedule(nest, schedule)
        if not (self.target.reproducible and shows_order(nest)):
            return schedule
        vector = None if schedule.vector == INNER else schedule.vector
        return replace(schedule, vector=vector, reduce_block=0, share_windows=False)

    def _nest(self, nest: Nest) -> list[Step]:
        name = f"k{len(self.used)}"
        nest = collapse_axes(nest)
        schedule = self._schedule(nest)
        self.used.append((nest.name, schedule))
        if schedule.lines:
            return self._row_product(nest, schedule, name)
        launches: list[Step] = []
        if schedule.pack:
            nest = self._in_panels(nest, schedule, name, launches)
        if len(nest.stages) > 1:
            from tilewright.ir.lower.turn_rows import turn_rows

            nest = turn_rows(nest, schedule)
        kernel = lower_nest(nest, schedule, name)
        if nest.name in self.given:
            from tilewright.ir.lower.check_schedule import check_stack

            check_stack(nest, kernel, self.target.scratch_bytes)
        return [*launches, self._launch(kernel)]

    def _in_panels(self, nest: Nest, schedule: Schedule, name: str, launches: list[Step]) -> Nest:
        """The nest reading copies of its operands; `launches` gets what makes them."""
        from tilewright.ir.lower.pack_panels import pack_panels

        nest, copies = pack_panels(nest, schedule)
        for k, copy in enumerate(copies):
            self.temporaries.append(copy.buffer)
            self.used.append((copy.nest.name, copy.schedule))
            launches.append(self._launch(lower_nest(copy.nest, copy.schedule, f"{name}p{k}")))
        return nest

    def _row_product(self, nest: Nest, schedule: Schedule, name: str) -> list[Step]:
        from tilewright.ir.lower.row_products import in_parts, lower_row_product

        if schedule.chunks == 1:
            return [self._launch(lower_row_product(nest, schedule, name))]
        nest, added, between = in_parts(nest, schedule.chunks)
        self.temporaries.append(between)
        return [self._launch(lower_row_product(nest, schedule, name)), *self._nest(added)]

    def _launch(self, kernel: Kernel) -> Launch:
        body = branch_on_positions(share_expressions(kernel.body))
        return Launch(legalize(replace(kernel, body=body), self.target))
