"""Programs -> WGSL programs: lower, legalise, emit.

In: a `Program` whose shapes are static. Out: a `WgslArtifact`: shaders and what is bound to them,
as plain data, and the constants to load it with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct, field

from tilewright.codegen_wgsl.artifact import WgslArtifact
from tilewright.codegen_wgsl.demote import check_dtypes
from tilewright.codegen_wgsl.emit import Shader, emit_kernel
from tilewright.codegen_wgsl.emit.shader import ENTRY_POINT
from tilewright.codegen_wgsl.legalize import legalize
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedule import default_schedule, separate_axis
from tilewright.codegen_wgsl.storage import Storage, static_shape
from tilewright.ir import artifact
from tilewright.ir import build as b
from tilewright.ir.artifact import BufferSpec, CopyBuffer, GpuProgram, Role, ShaderLaunch
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.lower.check_schedule import check_schedule
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.gather_scatter import gather_scatter
from tilewright.ir.lower.sorting.sort_by_exchanges import sort_by_exchanges
from tilewright.ir.lower.sorting.sort_by_rank import sort_by_rank
from tilewright.ir.lower.split_inputs import split_inputs
from tilewright.ir.lower.split_k import schedule_of_parts, split_k
from tilewright.ir.lower.workgroup.lower import lower_to_workgroups
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
from tilewright.ir.schedule import Schedule

Observer = Callable[[str, object], None]
# The length of rows up to which every element is compared with all others.
_MOST_RANKED = 256


def build(
    program: Program,
    options: WgslOptions | None = None,
    schedules: Mapping[str, Schedule] | None = None,
    observe: Observer | None = None,
) -> WgslArtifact:
    """Compile a program; needs no device. `schedules` overrides the default by nest name;
    `observe(stage, value)` sees the legal kernels (``kernel``), the schedules (``schedule``) and
    the text of the shaders (``wgsl``)."""
    chosen = options or WgslOptions()
    notes = check_dtypes(program, chosen)
    builder = _Builder(program, chosen, schedules or {})
    result = builder.run(notes)
    if observe:
        observe("kernel", tuple(builder.kernels))
        observe("schedule", result.schedules)
        observe("wgsl", source(result.program))
    return result


def tunable_nests(
    program: Program, options: WgslOptions | None = None
) -> tuple[tuple[Nest, Schedule], ...]:
    """The nests whose schedule may be chosen, as they are lowered, with their default schedules."""
    chosen = options or WgslOptions()
    builder = _Builder(program, chosen, {})
    builder.run(check_dtypes(program, chosen))
    return tuple(builder.nests)


def source(program: GpuProgram) -> str:
    """Every distinct shader of a program, each below a line that names it."""
    texts: dict[str, str] = {}
    for launch in artifact.launches(program.steps):
        texts.setdefault(launch.source, launch.name)
    return "\n".join(f"// {name}\n{text}" for text, name in texts.items())


class _Builder(Struct):
    """State of one compilation."""

    program: Program
    options: WgslOptions
    given: Mapping[str, Schedule]
    storage: Storage = field(default_factory=Storage)
    specs: list[BufferSpec] = field(default_factory=list)
    indexes: dict[Buffer, int] = field(default_factory=dict)
    kernels: list[Kernel] = field(default_factory=list)
    nests: list[tuple[Nest, Schedule]] = field(default_factory=list)
    counter: Var | None = None

    def run(self, notes: tuple[str, ...]) -> WgslArtifact:
        program = self.program
        if program.init:
            raise IRError("the WebGPU target was given a program with an init part")
        self._declare()
        steps = self._steps(program.steps)
        result = GpuProgram(
            "wgsl",
            tuple(self.specs),
            tuple(self.indexes[root.root] for root in program.inputs),
            tuple(self.indexes[root.root] for root in program.outputs),
            tuple(steps),
        )
        constants = tuple(np.ascontiguousarray(array) for _, array in program.constants)
        return WgslArtifact(
            result, constants, tuple((n.name, s) for n, s in self.nests), (*program.notes, *notes)
        )

    # Buffers.

    def _declare(self) -> None:
        program = self.program
        for buffer in program.inputs:
            self._add(buffer, "input")
        for buffer, _ in program.constants:
            self._add(buffer, "constant")
        for buffer in program.outputs:
            self._add(buffer, "output")
        for buffer in (*program.temporaries, *program.packed):
            self._add(buffer, "temporary")

    def _add(self, buffer: Buffer, role: Role) -> None:
        root = buffer.root
        if root in self.indexes:
            return
        self.indexes[root] = len(self.specs)
        self.specs.append(self.storage.declare(root, role))
        self.indexes[self.storage.bound(root)] = self.indexes[root]

    # Steps.

    def _steps(self, steps: tuple[Step, ...]) -> list[artifact.Step]:
        return [made for step in steps for made in self._step(step)]

    def _step(self, step: Step) -> list[artifact.Step]:
        match step:
            case Nest():
                parts = split_inputs(step, self.options.storage_buffers)
                return [made for part in parts for made in self._nest(part)]
            case Ordered():
                return self._steps(gather_scatter(step))
            case SortRows():
                return self._sort(step)
            case Copy():
                return self._copy(step)
            case Launch():
                return self._launch(step.kernel, step.kernel.name)
            case Repeat():
                return self._repeat(step)
            case RepeatWhile():
                raise UnsupportedError(
                    "a loop that ends when its data say so cannot run on the WebGPU target, where "
                    "the host would have to read the condition back in every round",
                    help='use tw.loop with a fixed number of steps, or target="cpu"',
                )

    def _nest(self, nest: Nest) -> list[artifact.Step]:
        merged = collapse_axes(nest, kept=separate_axis(nest))
        schedule = self.given.get(nest.name)
        if schedule is None:
            schedule = default_schedule(merged, self.options)
        else:
            check_schedule(merged, schedule, self.options.workgroup_invocations)
        self.nests.append((merged, schedule))
        if schedule.split_reduce == 1:
            return self._lower(merged, schedule)
        parts, rest = split_k(merged, schedule.split_reduce)
        summed = self._lower(parts, schedule_of_parts(schedule))
        return [*summed, *self._lower(rest, default_schedule(rest, self.options))]

    def _lower(self, nest: Nest, schedule: Schedule) -> list[artifact.Step]:
        return self._launch(lower_to_workgroups(nest, schedule, nest.name), nest.name)

    def _sort(self, step: SortRows) -> list[artifact.Step]:
        length = static_shape(step.source)[step.axis]
        if length <= _MOST_RANKED:
            return self._steps(sort_by_rank(step))
        return self._steps(sort_by_exchanges(step))

    def _copy(self, step: Copy) -> list[artifact.Step]:
        source, target = self.indexes[step.source.root], self.indexes[step.target.root]
        old, new = self.specs[source], self.specs[target]
        if (old.size, old.storage, old.packed) == (new.size, new.storage, new.packed):
            return [CopyBuffer(source, target)]
        return self._nest(_copying_nest(step))

    def _repeat(self, step: Repeat) -> list[artifact.Step]:
        count = step.counter.extent
        if not isinstance(count, int):
            raise UnsupportedError(
                f"the WebGPU target needs a fixed number of loop steps, not {count}",
                help='pass the number as a Python int, or use target="cpu"',
            )
        outer, self.counter = self.counter, step.counter
        steps = self._steps(step.steps)
        self.counter = outer
        return [artifact.Repeat(count, tuple(steps))] if count and steps else []

    # Launches.

    def _launch(self, kernel: Kernel, name: str) -> list[artifact.Step]:
        for buffer in kernel.parameters:
            self._add(buffer, "temporary")
        legal = legalize(kernel, self.storage, fast=self.options.fast)
        shader = emit_kernel(legal)
        if 0 in shader.grid or not shader.written:
            return []
        self.kernels.append(legal)
        self._check(shader, name)
        return [
            ShaderLaunch(
                name,
                shader.source,
                ENTRY_POINT,
                tuple(self.indexes[p] for p in shader.parameters),
                tuple(self.indexes[p] for p in shader.written),
                shader.grid,
                (0,) * len(shader.symbols),
            )
        ]

    def _check(self, shader: Shader, name: str) -> None:
        if len(shader.parameters) > self.options.storage_buffers:
            raise UnsupportedError(
                f"{name} uses {len(shader.parameters)} arrays at once, but WebGPU binds at most "
                f"{self.options.storage_buffers}",
                help="stack some of the arrays into one",
            )
        for symbol in shader.symbols:
            if symbol is not self.counter:
                raise UnsupportedError(
                    f"{name} depends on {symbol.name}, which is not known before the launch",
                    help="give open dimensions a size, and do not use the step number of an outer "
                    "loop in an inner one",
                )


def _copying_nest(step: Copy) -> Nest:
    """A copy between buffers that are stored differently."""
    source, target = step.source, step.target
    size = b.product(source.shape)
    axis = Var("element", size)
    value = Load(Buffer(source.name, (size,), source.dtype, base=source), (axis,))
    view = Buffer(target.name, (size,), target.dtype, base=target)
    stage = Stage((), (), None, value, view, (axis,), "copy")
    return Nest("copy", (axis,), (stage,), ())
