"""The CPU target: programs become object code in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.execute import CpuFunction
from tilewright.codegen_cpu.jit import assembly
from tilewright.codegen_cpu.target import host_target
from tilewright.compiler.targets import no_device_memory
from tilewright.ir.fuse.options import CPU

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from tilewright.codegen_cpu.artifact import CpuArtifact
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Program


class CpuTargetDriver:
    """LLVM for the processor at hand."""

    name = "cpu"
    stages = ("kernel", "schedule", "llvm", "asm")

    cacheable = True
    has_float64 = True

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.machine = host_target()

    @property
    def fusion(self) -> FusionOptions:
        """Rows in scratch memory, any number of buffers."""
        return CPU

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> CpuArtifact:
        """Object code for this processor."""
        machine = self.machine
        if options.numerics == "reproducible":
            machine = machine.with_reproducible_results()
        compile_text = self.runtime.cache.compile_cached
        return backend.build(program, machine, options.schedules, observe, compile_text)

    def finish(self, made: CpuArtifact) -> CpuArtifact:
        """What `build` made is complete."""
        return made

    def load(self, artifact: CpuArtifact) -> CpuFunction:
        """The artifact in executable memory."""
        pool = self.runtime.pool.runtime if artifact.parallel else 0
        return CpuFunction(artifact, self.runtime.loader, pool)

    def upload(self, array: np.ndarray) -> NoReturn:
        """There is no device."""
        raise no_device_memory(self.name)

    def source(self, artifact: CpuArtifact, stages: Mapping[str, object]) -> str:
        """The assembly text."""
        return assembly(str(stages["llvm"]), self.machine)
