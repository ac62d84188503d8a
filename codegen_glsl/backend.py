"""A program -> shaders over textures.

In: a `Program` whose steps are nests, copies, sorts, scatters and counted repeats. Out: a
`GpuProgram` for `codegen_glsl.run` or for a browser. What a fragment shader cannot do in one go (a
scan, a sort, a scatter, a long reduction) is first rewritten into nests that gather.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tilewright.codegen_glsl.emit.shader import emit_shader
from tilewright.codegen_glsl.legalize import legalize
from tilewright.codegen_glsl.machine_types import Float64Mode, stored_dtype
from tilewright.codegen_glsl.schedule import default_schedule
from tilewright.codegen_glsl.texture import DEFAULT_WIDTH, layout_for
from tilewright.ir.artifact import BufferSpec, CopyBuffer, GpuProgram, Role, ShaderLaunch
from tilewright.ir.artifact import Repeat as ArtifactRepeat
from tilewright.ir.artifact import Step as ArtifactStep
from tilewright.ir.dtypes import F64
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.lower.fragment_grid import lower_to_fragments
from tilewright.ir.lower.gather_only import gather_only
from tilewright.ir.program import (
    Copy,
    Nest,
    Program,
    Repeat,
    RepeatWhile,
    Step,
)
from tilewright.ir.schedule import Schedule


@dataclass(frozen=True, slots=True)
class GlslOptions:
    """What the code is compiled for.

    `f64` says what becomes of float64: an error, or float32. Textures have at most
    `max_texture_size` texels in one direction, and at most `texture_width` where that suffices.
    """

    f64: Float64Mode = "error"
    max_texture_size: int = DEFAULT_WIDTH * 8
    texture_width: int = DEFAULT_WIDTH


def build(
    program: Program,
    schedules: Mapping[str, Schedule] | None = None,
    options: GlslOptions | None = None,
) -> GpuProgram:
    """`schedules` are by the names of nests; the others get the default one."""
    if program.symbols:
        names = ", ".join(symbol.name for symbol in program.symbols)
        raise UnsupportedError(
            f"{program.name} has open dimensions ({names}), and target 'glsl' needs known sizes",
            help="compile for given shapes on this target",
        )
    return _Builder(program, schedules or {}, options or GlslOptions()).build()


class _Builder:
    """State of one build: the buffers so far."""

    def __init__(
        self, program: Program, schedules: Mapping[str, Schedule], options: GlslOptions
    ) -> None:
        self.program = program
        self.schedules = schedules
        self.options = options
        self.specs: list[BufferSpec] = []
        self.numbers: dict[Buffer, int] = {}
        self._kernels = 0

    def build(self) -> GpuProgram:
        program = self.program
        for role, buffers in (
            ("input", program.inputs),
            ("constant", tuple(buffer for buffer, _ in program.constants)),
            ("output", program.outputs),
        ):
            for buffer in buffers:
                self._add(buffer, role)  # type: ignore[arg-type]
        steps = self._steps(gather_only((*program.init, *program.steps)), None)
        return GpuProgram(
            "glsl",
            tuple(self.specs),
            tuple(self.numbers[b.root] for b in program.inputs),
            tuple(self.numbers[b.root] for b in program.outputs),
            tuple(steps),
        )

    # Buffers.

    def _add(self, buffer: Buffer, role: Role) -> int:
        root = buffer.root
        if root in self.numbers:
            raise IRError(f"buffer {buffer.name} has two roles in {self.program.name}")
        if root.dtype is F64 and self.options.f64 == "error":
            raise UnsupportedError(
                f"{self.program.name} has the float64 {role} {buffer.name}, and target 'glsl' has "
                "no float64",
                help='use float32, or pass f64="f32" to compute in float32',
            )
        shape = tuple(self._static(size, buffer) for size in root.shape)
        size = 1
        for extent in shape:
            size *= extent
        storage = stored_dtype(root.dtype).name
        layout = layout_for(
            size,
            storage,
            width=self.options.texture_width,
            max_size=self.options.max_texture_size,
        )
        spec = BufferSpec(role, root.dtype.name, storage, shape, size, texture=layout)
        self.numbers[root] = len(self.specs)
        self.specs.append(spec)
        return self.numbers[root]

    def _static(self, size: object, buffer: Buffer) -> int:
        if isinstance(size, int):
            return size
        raise UnsupportedError(
            f"{buffer.name} has the open dimension {size}, and target 'glsl' needs known sizes",
            help="compile for given shapes on this target",
        )

    def _number(self, buffer: Buffer) -> int:
        """The buffer's number; temporaries get theirs when they first occur."""
        found = self.numbers.get(buffer.root)
        return self._add(buffer.root, "temporary") if found is None else found

    def _twin(self, buffer: Buffer) -> Buffer:
        """A temporary like `buffer`, for a shader that reads what it writes."""
        root = buffer.root
        return Buffer(f"{root.name}_new", root.shape, root.dtype)

    # Steps.

    def _steps(self, steps: Sequence[Step], repeat: Repeat | None) -> list[ArtifactStep]:
        made: list[ArtifactStep] = []
        for step in steps:
            match step:
                case Nest():
                    made += self._launch(step, repeat)
                case Copy():
                    made += self._copy(step)
                case Repeat():
                    count = self._static(step.counter.extent, step.counter)  # type: ignore[arg-type]
                    made.append(ArtifactRepeat(count, tuple(self._steps(step.steps, step))))
                case RepeatWhile():
                    raise UnsupportedError(
                        f"{self.program.name} loops until a condition on data holds, which target "
                        "'glsl' cannot do",
                        help="use a fixed number of steps (tw.loop), or target 'cpu'",
                    )
                case _:
                    raise IRError(f"{type(step).__name__} cannot become a fragment shader")
        return made

    def _copy(self, step: Copy) -> list[ArtifactStep]:
        source, target = step.source.root, step.target.root
        if source.dtype is not target.dtype:
            raise IRError(f"a copy of {source.dtype} to {target.dtype}")
        return [CopyBuffer(self._number(source), self._number(target))]

    def _launch(self, nest: Nest, repeat: Repeat | None) -> list[ArtifactStep]:
        schedule = self.schedules.get(nest.name) or default_schedule(nest)
        name = f"{self.program.name}_{self._kernels}_{nest.name}"
        self._kernels += 1
        kernel = legalize(lower_to_fragments(nest, schedule, name), self.options.f64)
        return self._emit(kernel, repeat)

    def _emit(self, kernel: Kernel, repeat: Repeat | None) -> list[ArtifactStep]:
        numbers = {buffer: self._number(buffer) for buffer in kernel.parameters}
        layouts = {}
        for buffer, number in numbers.items():
            layout = self.specs[number].texture
            assert layout is not None
            layouts[buffer] = layout
        shader = emit_shader(kernel, layouts)
        self._check_counter(kernel, repeat)
        output = numbers[shader.output]
        target = output
        if shader.output in shader.inputs:
            target = self._number(self._twin(shader.output))
        layout = layouts[shader.output]
        launch = ShaderLaunch(
            kernel.name,
            shader.source,
            "main",
            tuple(numbers[buffer] for buffer in shader.inputs),
            (target,),
            (layout.width, layout.height, 1),
            (0,) if shader.counter is not None else (),
        )
        return [launch] if target == output else [launch, CopyBuffer(target, output)]

    def _check_counter(self, kernel: Kernel, repeat: Repeat | None) -> None:
        for symbol in kernel.symbols:
            if repeat is None or symbol is not repeat.counter:
                raise UnsupportedError(
                    f"{kernel.name} depends on {symbol.name}, the counter of an outer loop, and "
                    "target 'glsl' hands on only that of the innermost",
                    help="carry the outer counter as a state of the inner loop",
                )
