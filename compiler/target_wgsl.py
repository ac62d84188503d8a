"""The WGSL target: WebGPU compute shaders, run here through wgpu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.codegen_wgsl import backend
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir.fuse.options import WORKGROUP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tilewright.codegen_wgsl.backend import WgslArtifact
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Program


class WgslFunction:
    """An artifact on the device of this process."""

    def __init__(self, artifact: WgslArtifact, runtime: Runtime) -> None:
        from tilewright.codegen_wgsl.run import LoadedProgram

        self._loaded = LoadedProgram(runtime.webgpu, artifact.program, artifact.constants)

    def __call__(
        self,
        inputs: Sequence[np.ndarray[Any, Any]],
        outputs: Sequence[np.ndarray[Any, Any] | None] | None = None,
    ) -> list[np.ndarray[Any, Any]]:
        """Upload, dispatch, read back; results go into the arrays given, if any are."""
        results = list(self._loaded(inputs))
        for k, given in enumerate(outputs or ()):
            if given is not None:
                given[...] = results[k]
                results[k] = given
        return results


class WgslTargetDriver:
    """WGSL for any WebGPU device: nothing beyond the limits that every device has."""

    name = "wgsl"
    stages = ("kernel", "schedule", "wgsl")

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def fusion(self) -> FusionOptions:
        """Rows in workgroup memory, few buffers at once."""
        return WORKGROUP

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> WgslArtifact:
        """Shaders for known shapes; needs no device."""
        wgsl = WgslOptions(f64="f32" if options.f64 == "f32" else "error")
        return backend.build(program, wgsl, options.schedules, observe)

    def load(self, artifact: WgslArtifact) -> WgslFunction:
        """The shaders compiled by the driver."""
        return WgslFunction(artifact, self.runtime)

    def source(self, artifact: WgslArtifact, stages: Mapping[str, object]) -> str:
        """All shaders."""
        return backend.source(artifact.program)
