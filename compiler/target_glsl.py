"""The GLSL target: fragment shaders over textures, run here through EGL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.codegen_glsl import backend
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.ir.fuse.options import FRAGMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.artifact import GpuProgram
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Program


@dataclass(frozen=True, eq=False, slots=True)
class GlslArtifact:
    """Shaders, and the values of the constant buffers."""

    program: GpuProgram
    constants: tuple[np.ndarray[Any, Any], ...]


class GlslFunction:
    """An artifact on the device of this process."""

    def __init__(self, artifact: GlslArtifact, runtime: Runtime) -> None:
        from tilewright.codegen_glsl.run import LoadedGlProgram

        self._loaded = LoadedGlProgram(runtime.webgl, artifact.program, artifact.constants)

    def __call__(
        self,
        inputs: Sequence[np.ndarray[Any, Any]],
        outputs: Sequence[np.ndarray[Any, Any] | None] | None = None,
    ) -> list[np.ndarray[Any, Any]]:
        """Upload, draw, read back; results go into the arrays given, if any are."""
        results = list(self._loaded(inputs))
        for k, given in enumerate(outputs or ()):
            if given is not None:
                given[...] = results[k]
                results[k] = given
        return results


class GlslTargetDriver:
    """GLSL ES 3.00."""

    name = "glsl"
    stages = ("kernel", "schedule", "glsl")

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def fusion(self) -> FusionOptions:
        """Reductions followed by one element-wise result; few inputs."""
        return FRAGMENT

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> GlslArtifact:
        """Shaders for known shapes; needs no device."""
        glsl = GlslOptions(f64="f32" if options.f64 == "f32" else "error")
        made = backend.build(program, options.schedules, glsl, observe)
        constants = tuple(np.ascontiguousarray(array) for _, array in program.constants)
        return GlslArtifact(made, constants)

    def load(self, artifact: GlslArtifact) -> GlslFunction:
        """The shaders compiled by the driver."""
        return GlslFunction(artifact, self.runtime)

    def source(self, artifact: GlslArtifact, stages: Mapping[str, object]) -> str:
        """All shaders."""
        return backend.source(artifact.program)
