"""The WebGPU target: WGSL shaders, run through wgpu or in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from tilewright.codegen_wgsl.artifact import WgslArtifact
from tilewright.codegen_wgsl.demote import has_dtype
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.compiler.gpu_results import GpuFunction
from tilewright.compiler.target_errors import refuse_reproducible
from tilewright.ir import dtypes
from tilewright.ir.errors import DeviceError
from tilewright.ir.gpu_encoding import decode_program, encode_program
from tilewright.ir.kernel import Buffer, Kernel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.analysis.program_figures import ProgramFigures
    from tilewright.ir.expr import Var
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Nest, Program
    from tilewright.ir.schedule_space import ScheduleSpace


class WgslTargetDriver:
    """WebGPU: compiled for the device of this process, or for any."""

    name = "wgsl"
    stages = ("kernel", "schedule", "wgsl")

    cacheable = False
    has_float64 = False

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def fusion(self) -> FusionOptions:
        """Rows in workgroup memory, eight buffers."""
        from tilewright.ir.fuse.options import WORKGROUP

        return WORKGROUP

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> WgslArtifact:
        """Shaders for this process's device, or for any."""
        from tilewright.codegen_wgsl import backend  # saved kernels run without it

        refuse_reproducible(self.name, options)
        return backend.build(program, self._chosen(program, options), options.schedules, observe)

    def schedule_spaces(
        self, program: Program, options: BuildOptions
    ) -> list[tuple[Nest, ScheduleSpace]]:
        """Forms and their sizes, within the device's limits."""
        from tilewright.codegen_wgsl import backend
        from tilewright.codegen_wgsl.schedule_space import schedule_space

        chosen = self._chosen(program, options)
        nests = backend.tunable_nests(program, chosen)
        return [(nest, schedule_space(nest, default, chosen)) for nest, default in nests]

    def finish(self, made: WgslArtifact) -> WgslArtifact:
        """What `build` made is complete."""
        return made

    def pack(self, artifact: WgslArtifact) -> tuple[dict[str, Any], list[bytes]]:
        """Shaders and constants."""
        described, blobs = encode_program(artifact.program, artifact.constants)
        return {**described, "notes": artifact.notes}, blobs

    def unpack(
        self, described: dict[str, Any], blobs: Sequence[bytes], symbols: Sequence[Var]
    ) -> WgslArtifact:
        """Shaders and constants; schedules are not kept."""
        program, constants = decode_program(described, blobs)
        return WgslArtifact(program, constants, (), tuple(described["notes"]))

    def load(self, artifact: WgslArtifact, names: Sequence[str]) -> GpuFunction:
        """The shaders as pipelines on this process's device."""
        device = self.runtime.webgpu
        return GpuFunction(device.load(artifact.program, artifact.constants, names))

    def upload(self, array: np.ndarray) -> Any:
        """A storage buffer with the array's elements, laid out as kernels read them."""
        from tilewright.codegen_wgsl.storage import Storage

        dtype = dtypes.from_numpy(array.dtype)
        assert dtype is not None
        buffer = Buffer("array", array.shape, dtype)
        return self.runtime.webgpu.upload(array, Storage().declare(buffer, "input"))

    def figures(self, artifact: WgslArtifact, stages: Mapping[str, object]) -> ProgramFigures:
        """What one call does, counted."""
        from tilewright.ir.analysis.program_figures import gpu_figures

        kernels = cast("tuple[Kernel, ...]", stages["kernel"])
        return gpu_figures(artifact.program, kernels)

    def source(self, artifact: WgslArtifact, stages: Mapping[str, object]) -> str:
        """All shaders as one text."""
        return str(stages["wgsl"])

    def _chosen(self, program: Program, options: BuildOptions) -> WgslOptions:
        f64: Literal["error", "f32"] = "f32" if options.f64 == "f32" else "error"
        chosen = WgslOptions(f64=f64, fast=options.numerics == "fast")
        if options.portable:
            return chosen
        try:
            device = self.runtime.webgpu
            halves = has_dtype(program, dtypes.F16) and device.computes_halves
            return chosen.on(device.info, native_half=halves)
        except DeviceError:  # whoever wants to run it hears of that, after what is wrong with it
            return chosen
