"""The WebGL target: GLSL ES 3.00 fragment shaders, run through EGL or in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from tilewright.codegen_glsl.options import GlslOptions
from tilewright.compiler.gpu_results import GpuFunction
from tilewright.compiler.target_errors import refuse_reproducible
from tilewright.ir.gpu_encoding import decode_program, encode_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.analysis.program_figures import ProgramFigures
    from tilewright.ir.artifact import GpuProgram
    from tilewright.ir.expr import Var
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Nest, Program
    from tilewright.ir.schedule_space import ScheduleSpace


class GlslArtifact:
    """Shaders, and the constants to load them with."""

    def __init__(self, program: GpuProgram, constants: tuple[np.ndarray, ...]) -> None:
        self.program = program
        self.constants = constants


class GlslTargetDriver:
    """WebGL 2 with float render targets."""

    name = "glsl"
    stages = ("kernel", "schedule", "glsl")

    cacheable = False
    has_float64 = False

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def fusion(self) -> FusionOptions:
        """Reductions with an element-wise end, one result each."""
        from tilewright.ir.fuse.options import FRAGMENT

        return FRAGMENT

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> GlslArtifact:
        """Fragment shaders for any WebGL 2 device with float render targets."""
        from tilewright.codegen_glsl import backend  # saved kernels run without it

        refuse_reproducible(self.name, options)
        made = backend.build(program, options.schedules, _chosen(options), observe)
        return GlslArtifact(made, tuple(a for _, a in program.constants))

    def schedule_spaces(
        self, program: Program, options: BuildOptions
    ) -> list[tuple[Nest, ScheduleSpace]]:
        """Texels per fragment, copies of operands, passes of reductions, and how much of each is
        written out."""
        from tilewright.codegen_glsl import backend
        from tilewright.codegen_glsl.schedule_space import schedule_spaces

        return schedule_spaces(backend.lower(program, None, _chosen(options)).nests)

    def finish(self, made: GlslArtifact) -> GlslArtifact:
        """What `build` made is complete."""
        return made

    def pack(self, artifact: GlslArtifact) -> tuple[dict[str, Any], list[bytes]]:
        """Shaders and constants."""
        return encode_program(artifact.program, artifact.constants)

    def unpack(
        self, described: dict[str, Any], blobs: Sequence[bytes], symbols: Sequence[Var]
    ) -> GlslArtifact:
        """Shaders and constants."""
        return GlslArtifact(*decode_program(described, blobs))

    def load(self, artifact: GlslArtifact, names: Sequence[str]) -> GpuFunction:
        """The shaders as programs on this process's device."""
        device = self.runtime.webgl
        return GpuFunction(device.load(artifact.program, artifact.constants, names))

    def upload(self, array: np.ndarray) -> Any:
        """A texture with the array's elements, laid out as kernels read them."""
        return self.runtime.webgl.upload(array)

    def figures(self, artifact: GlslArtifact, stages: Mapping[str, object]) -> ProgramFigures:
        """What one call does, counted."""
        from tilewright.codegen_glsl.fetches import count_fetches
        from tilewright.ir.analysis.program_figures import gpu_figures
        from tilewright.ir.program import kernels

        launched = kernels(cast("Program", stages["kernel"]).steps)
        return gpu_figures(artifact.program, launched, [count_fetches(k) for k in launched])

    def source(self, artifact: GlslArtifact, stages: Mapping[str, object]) -> str:
        """All shaders as one text."""
        return str(stages["glsl"])


def _chosen(options: BuildOptions) -> GlslOptions:
    f64: Literal["error", "f32"] = "f32" if options.f64 == "f32" else "error"
    return GlslOptions(f64=f64, fast=options.numerics == "fast")
