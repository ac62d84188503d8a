"""Programs -> WGSL programs: lower, decide how arrays lie in memory, legalise, emit.

In: a `Program` whose shapes are static. Out: a `WgslArtifact`: shaders and what is bound to them,
as plain data, and the constants to load it with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct, field

from tilewright.codegen_wgsl.artifact import WgslArtifact
from tilewright.codegen_wgsl.check import WRITABLE
from tilewright.codegen_wgsl.choose_packing import choose_packing
from tilewright.codegen_wgsl.demote import check_dtypes
from tilewright.codegen_wgsl.emit import Shader, emit_kernel
from tilewright.codegen_wgsl.emit.shader import ENTRY_POINT
from tilewright.codegen_wgsl.legalize import legalize
from tilewright.codegen_wgsl.lower_program import ProgramLowering
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.storage import Storage, checked_shape
from tilewright.ir import artifact
from tilewright.ir import build as b
from tilewright.ir.artifact import BufferSpec, CopyBuffer, GpuProgram, Role, ShaderLaunch
from tilewright.ir.dtypes import F16
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.program import Copy, Launch, Nest, Program, Repeat, Stage, Step, kernels
from tilewright.ir.schedule import Schedule

Observer = Callable[[str, object], None]


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
    builder = _Builder(program, ProgramLowering(chosen, schedules or {}), chosen)
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
    builder = _Builder(program, ProgramLowering(chosen, {}), chosen)
    builder.run(check_dtypes(program, chosen))
    return tuple(builder.lowering.nests)


def source(program: GpuProgram) -> str:
    """Every distinct shader of a program, each below a line that names it."""
    texts: dict[str, str] = {}
    for launch in artifact.launches(program.steps):
        texts.setdefault(launch.source, launch.name)
    return "\n".join(f"// {name}\n{text}" for text, name in texts.items())


class _Builder(Struct):
    """State of one compilation."""

    program: Program
    lowering: ProgramLowering
    options: WgslOptions
    storage: Storage = field(default_factory=Storage)
    roles: dict[Buffer, Role] = field(default_factory=dict)
    indexes: dict[Buffer, int] = field(default_factory=dict)
    kernels: list[Kernel] = field(default_factory=list)
    counter: Var | None = None

    def run(self, notes: tuple[str, ...]) -> WgslArtifact:
        program = self.program
        if program.init:
            raise IRError("the WebGPU target was given a program with an init part")
        self._declare()
        lowered = self.lowering.steps(program.steps)
        for kernel in kernels(lowered):
            for buffer in kernel.parameters:
                self._add(buffer, "temporary")
        specs = self._place(lowered)
        steps = self._steps(lowered, specs)
        result = GpuProgram(
            "wgsl",
            specs,
            tuple(self.indexes[root.root] for root in program.inputs),
            tuple(self.indexes[root.root] for root in program.outputs),
            tuple(steps),
        )
        constants = tuple(np.ascontiguousarray(array) for _, array in program.constants)
        schedules = tuple((nest.name, schedule) for nest, schedule in self.lowering.nests)
        return WgslArtifact(result, constants, schedules, (*program.notes, *notes))

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
        checked_shape(buffer.root)
        self.roles.setdefault(buffer.root, role)

    def _place(self, lowered: Sequence[Step]) -> tuple[BufferSpec, ...]:
        """Number the buffers, and decide how each lies in memory."""
        native_half = self.options.native_half
        written = [
            root
            for root, role in self.roles.items()
            if role in WRITABLE and not (native_half and root.dtype is F16)
        ]
        self.storage = Storage(choose_packing(lowered, written), native_half)
        specs = tuple(self.storage.declare(root, role) for root, role in self.roles.items())
        for index, root in enumerate(self.roles):
            self.indexes[root] = self.indexes[self.storage.bound(root)] = index
        return specs

    # Steps.

    def _steps(self, steps: Sequence[Step], specs: Sequence[BufferSpec]) -> list[artifact.Step]:
        return [made for step in steps for made in self._step(step, specs)]

    def _step(self, step: Step, specs: Sequence[BufferSpec]) -> list[artifact.Step]:
        match step:
            case Launch():
                return self._launch(step.kernel)
            case Copy():
                return self._copy(step, specs)
            case Repeat():
                return self._repeat(step, specs)
            case _:
                raise IRError(f"a {type(step).__name__} was not lowered")

    def _copy(self, step: Copy, specs: Sequence[BufferSpec]) -> list[artifact.Step]:
        source, target = self.indexes[step.source.root], self.indexes[step.target.root]
        old, new = specs[source], specs[target]
        if (old.size, old.storage, old.packed) == (new.size, new.storage, new.packed):
            return [CopyBuffer(source, target)]
        return self._steps(self.lowering.nest(_copying_nest(step)), specs)

    def _repeat(self, step: Repeat, specs: Sequence[BufferSpec]) -> list[artifact.Step]:
        count = step.counter.extent
        if not isinstance(count, int):
            raise UnsupportedError(
                f"the WebGPU target needs a fixed number of loop steps, not {count}",
                help='pass the number as a Python int, or use target="cpu"',
            )
        outer, self.counter = self.counter, step.counter
        steps = self._steps(step.steps, specs)
        self.counter = outer
        return [artifact.Repeat(count, tuple(steps))] if count and steps else []

    # Launches.

    def _launch(self, kernel: Kernel) -> list[artifact.Step]:
        legal = legalize(kernel, self.storage, fast=self.options.fast)
        shader = emit_kernel(legal, native_half=self.options.native_half)
        if 0 in shader.grid or not shader.written:
            return []
        self.kernels.append(legal)
        self._check(shader, kernel.name)
        return [
            ShaderLaunch(
                kernel.name,
                shader.source,
                ENTRY_POINT,
                tuple(self.indexes[p] for p in shader.parameters),
                tuple(self.indexes[p] for p in shader.written),
                shader.grid,
                (0,) * len(shader.symbols),
                shader.subgroups,
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
