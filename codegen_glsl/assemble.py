"""A program of legal kernels -> a `GpuProgram`: textures for its buffers, a shader per kernel."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_glsl.emit.shader import emit_shader
from tilewright.codegen_glsl.machine_types import stored_dtype
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.codegen_glsl.texture import layout_for, texture_of
from tilewright.ir.artifact import BufferSpec, CopyBuffer, GpuProgram, Role, ShaderLaunch
from tilewright.ir.artifact import Repeat as ArtifactRepeat
from tilewright.ir.artifact import Step as ArtifactStep
from tilewright.ir.dtypes import F64
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Size
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.program import Copy, Launch, Program, Repeat, RepeatWhile, Step


def assemble(program: Program, options: GlslOptions) -> GpuProgram:
    """Inputs, constants and outputs come first, in this order."""
    return _Assembly(program, options).run()


class _Assembly:
    """The buffers so far, by the buffer that owns the storage."""

    def __init__(self, program: Program, options: GlslOptions) -> None:
        self.program = program
        self.options = options
        self.specs: list[BufferSpec] = []
        self.numbers: dict[Buffer, int] = {}

    def run(self) -> GpuProgram:
        program = self.program
        roles: tuple[tuple[Role, Sequence[Buffer]], ...] = (
            ("input", program.inputs),
            ("constant", [buffer for buffer, _ in program.constants]),
            ("output", program.outputs),
        )
        for role, buffers in roles:
            for buffer in buffers:
                self._add(buffer.root, role)
        steps = self._steps(program.steps, None)
        return GpuProgram(
            "glsl",
            tuple(self.specs),
            tuple(self.numbers[b.root] for b in program.inputs),
            tuple(self.numbers[b.root] for b in program.outputs),
            tuple(steps),
        )

    # Buffers.

    def _add(self, buffer: Buffer, role: Role) -> int:
        if buffer in self.numbers:
            raise IRError(f"buffer {buffer.name} has two roles in {self.program.name}")
        if buffer.dtype is F64 and self.options.f64 == "error":
            raise UnsupportedError(
                f"{self.program.name} has the float64 {role} {buffer.name}, and target 'glsl' has "
                "no float64",
                help='use float32, or pass f64="f32" to compute in float32',
            )
        shape = tuple(self._static(size, buffer.name) for size in buffer.shape)
        size = 1
        for extent in shape:
            size *= extent
        storage = stored_dtype(buffer.dtype).name
        options = self.options
        layout = layout_for(
            size, storage, width=options.texture_width, max_size=options.max_texture_size
        )
        self.numbers[buffer] = len(self.specs)
        self.specs.append(BufferSpec(role, buffer.dtype.name, storage, shape, size, texture=layout))
        return self.numbers[buffer]

    def _static(self, size: Size | None, name: str) -> int:
        if isinstance(size, int):
            return size
        raise UnsupportedError(
            f"{name} has the open size {size}, and target 'glsl' needs known sizes",
            help="compile for given shapes on this target",
        )

    def _number(self, buffer: Buffer) -> int:
        """The buffer's number; temporaries get theirs when they first occur."""
        found = self.numbers.get(buffer.root)
        return self._add(buffer.root, "temporary") if found is None else found

    # Steps.

    def _steps(self, steps: Sequence[Step], repeat: Repeat | None) -> list[ArtifactStep]:
        made: list[ArtifactStep] = []
        for step in steps:
            match step:
                case Launch():
                    made += self._launch(step.kernel, repeat)
                case Copy():
                    made += self._copy(step)
                case Repeat():
                    count = self._static(step.counter.extent, step.counter.name)
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

    def _launch(self, kernel: Kernel, repeat: Repeat | None) -> list[ArtifactStep]:
        numbers = {buffer: self._number(buffer) for buffer in kernel.parameters}
        layouts = {buffer: texture_of(self.specs[k]) for buffer, k in numbers.items()}
        shader = emit_shader(kernel, layouts)
        self._check_counter(kernel, repeat)
        targets: list[int] = []
        copies: list[ArtifactStep] = []
        for output in shader.outputs:
            targets.append(numbers[output])
            if output in shader.inputs:
                targets[-1] = self._number(_twin(output))
                copies.append(CopyBuffer(targets[-1], numbers[output]))
        layout = layouts[shader.outputs[0]]
        launch = ShaderLaunch(
            kernel.name,
            shader.source,
            "main",
            tuple(numbers[buffer] for buffer in shader.inputs),
            tuple(targets),
            (layout.width, layout.height, 1),
            (0,) if shader.counter is not None else (),
        )
        return [launch, *copies]

    def _check_counter(self, kernel: Kernel, repeat: Repeat | None) -> None:
        for symbol in kernel.symbols:
            if repeat is None or symbol is not repeat.counter:
                raise UnsupportedError(
                    f"{kernel.name} depends on {symbol.name}, the counter of an outer loop, and "
                    "target 'glsl' hands on only that of the innermost",
                    help="carry the outer counter as a state of the inner loop",
                )


def _twin(root: Buffer) -> Buffer:
    """A temporary like `root`, for a shader that reads what it writes: no texture may be both."""
    return Buffer(f"{root.name}_new", root.shape, root.dtype)
