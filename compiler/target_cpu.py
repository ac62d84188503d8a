"""The CPU target: programs become object code in this process."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, cast

from tilewright.codegen_cpu.execute import CpuFunction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tilewright.codegen_cpu.artifact import CpuArtifact
    from tilewright.codegen_cpu.target import CpuTarget
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.analysis.program_figures import ProgramFigures
    from tilewright.ir.expr import Var
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Nest, Program
    from tilewright.ir.schedule_space import ScheduleSpace


class CpuTargetDriver:
    """LLVM for the processor at hand."""

    name = "cpu"
    stages = ("kernel", "schedule", "llvm", "asm")

    cacheable = True
    has_float64 = True

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @cached_property
    def machine(self) -> CpuTarget:
        """This processor. What comes from the cache is for it already, and does not ask."""
        from tilewright.codegen_cpu.target import host_target

        return host_target()

    @property
    def fusion(self) -> FusionOptions:
        """Rows in scratch memory, any number of buffers."""
        from tilewright.ir.fuse.options import CPU

        return CPU

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> CpuArtifact:
        """Object code for this processor."""
        from tilewright.codegen_cpu import backend  # 100 modules: not for what the cache holds

        machine = self.machine.with_numerics(options.numerics)
        return backend.build(program, machine, options.schedules, observe)

    def schedule_spaces(
        self, program: Program, options: BuildOptions
    ) -> list[tuple[Nest, ScheduleSpace]]:
        """Around the defaults."""
        from tilewright.codegen_cpu.schedule_space import schedule_spaces

        return schedule_spaces(program, self.machine.with_numerics(options.numerics))

    def finish(self, made: CpuArtifact) -> CpuArtifact:
        """What `build` made is complete."""
        return made

    def pack(self, artifact: CpuArtifact) -> tuple[dict[str, Any], list[bytes]]:
        """Object code, and the processor that it is for."""
        from tilewright.codegen_cpu.encode_artifact import encode

        machine = self.machine
        described = {"triple": machine.triple, "cpu": machine.cpu, "features": machine.features}
        return described, [encode(artifact)]

    def unpack(
        self, described: dict[str, Any], blobs: Sequence[bytes], symbols: Sequence[Var]
    ) -> CpuArtifact:
        """The artifact, if this processor can run it."""
        from tilewright.codegen_cpu.artifact import decode
        from tilewright.compiler.saved.machine import check_machine

        check_machine(described, self.machine)
        artifact = decode(blobs[0], symbols)
        if artifact is None:
            raise ValueError("its object code cannot be read")
        return artifact

    def load(self, artifact: CpuArtifact, names: Sequence[str]) -> CpuFunction:
        """The artifact in executable memory."""
        pool = self.runtime.pool.runtime if artifact.parallel else 0
        poll = self.runtime.signals if artifact.polls else None
        return CpuFunction(artifact, self.runtime.loader, pool, poll)

    def upload(self, array: np.ndarray) -> NoReturn:
        """There is no device."""
        from tilewright.compiler.target_errors import no_device_memory

        raise no_device_memory(self.name)

    def figures(self, artifact: CpuArtifact, stages: Mapping[str, object]) -> ProgramFigures:
        """What one call does, counted."""
        from tilewright.ir.analysis.program_figures import program_figures

        return program_figures(cast("Program", stages["kernel"]), {})

    def source(self, artifact: CpuArtifact, stages: Mapping[str, object]) -> str:
        """The assembly text."""
        from tilewright.codegen_cpu.jit import assembly

        return assembly(str(stages["llvm"]), self.machine)
