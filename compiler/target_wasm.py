"""The WebAssembly target: the CPU's code generator for wasm32, run by wasmtime here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.codegen_cpu.artifact import decode, workspace_bytes
from tilewright.codegen_cpu.encode_artifact import encode
from tilewright.codegen_cpu.target import cpu_target
from tilewright.codegen_cpu.wasm_module import MAXIMUM_PAGES, PAGE, WasmModule, link_module
from tilewright.compiler.target_errors import no_device_memory
from tilewright.ir.errors import LimitError
from tilewright.ir.sizes import bind_symbols, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tilewright.codegen_cpu.artifact import CpuArtifact
    from tilewright.codegen_cpu.wasm_run import WasmInstance
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.targets import BuildOptions, Observer
    from tilewright.ir.analysis.program_figures import ProgramFigures
    from tilewright.ir.expr import Var
    from tilewright.ir.fuse.options import FusionOptions
    from tilewright.ir.program import Nest, Program
    from tilewright.ir.schedule_space import ScheduleSpace


class WasmArtifact(Struct, frozen=True, eq=False):
    """A linked module, and what its caller must know."""

    module: WasmModule
    program: CpuArtifact


class WasmFunction:
    """An artifact instantiated in this process. Calls may come from many threads at once, and from
    signal handlers during a call: each uses an instance of its own."""

    def __init__(self, artifact: WasmArtifact) -> None:
        self.artifact = artifact
        self._idle = [self._instantiate()]

    def _instantiate(self) -> WasmInstance:
        from tilewright.codegen_cpu.wasm_run import WasmInstance

        program = self.artifact.program
        return WasmInstance(self.artifact.module, constants=program.constants, polls=program.polls)

    def __call__(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray | None] | None = None
    ) -> list[np.ndarray]:
        """Run on contiguous arrays, which are copied into and out of the linear memory."""
        program = self.artifact.program
        names = [f"argument {k}" for k in range(len(inputs))]
        symbols = bind_symbols([s.shape for s in program.inputs], [i.shape for i in inputs], names)
        results = [
            np.empty([evaluate(s, symbols) for s in spec.shape], spec.dtype.numpy)
            if given is None
            else given
            for spec, given in zip(
                program.outputs, outputs or [None] * len(program.outputs), strict=True
            )
        ]
        sizes = [symbols[s] for s in program.symbols]
        workspace = workspace_bytes(program, symbols)
        try:
            instance = self._idle.pop()
        except IndexError:
            instance = self._instantiate()
        instance.run(list(inputs), results, symbols=sizes, workspace_size=workspace)
        self._idle.append(instance)  # one whose call failed is dropped
        return results


def _check_memory(program: Program) -> None:
    """Sizes that are known now need not wait for a call to be refused."""
    needed = 0
    for buffer in (*program.inputs, *program.outputs):
        sizes = [s for s in buffer.shape if isinstance(s, int)]
        if len(sizes) == len(buffer.shape):
            needed += math.prod(sizes) * buffer.dtype.itemsize
    if needed > PAGE * MAXIMUM_PAGES:
        raise LimitError(
            f"arguments and results of {needed} bytes are more than wasm memory can hold"
            f" ({PAGE * MAXIMUM_PAGES})",
            help="split the arrays, or run this kernel on the 'cpu' target",
        )


class WasmTargetDriver:
    """wasm32 with SIMD128."""

    name = "wasm"
    stages = ("kernel", "schedule", "llvm", "wat")

    cacheable = True
    has_float64 = True

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.machine = cpu_target("wasm32-simd128")

    @property
    def fusion(self) -> FusionOptions:
        """As on the CPU."""
        from tilewright.ir.fuse.options import CPU

        return CPU

    def build(self, program: Program, options: BuildOptions, observe: Observer) -> CpuArtifact:
        """A relocatable object."""
        from tilewright.codegen_cpu import backend

        _check_memory(program)
        machine = self.machine.with_numerics(options.numerics)
        made = backend.build(program, machine, options.schedules, observe)
        observe("wat", _Text(made.code))
        return made

    def schedule_spaces(
        self, program: Program, options: BuildOptions
    ) -> list[tuple[Nest, ScheduleSpace]]:
        """Around the defaults."""
        from tilewright.codegen_cpu.schedule_space import schedule_spaces

        return schedule_spaces(program, self.machine.with_numerics(options.numerics))

    def finish(self, made: CpuArtifact) -> WasmArtifact:
        """A module that exports ``tw_main`` and its memory."""
        return WasmArtifact(link_module(made.code), made)

    def pack(self, artifact: WasmArtifact) -> tuple[dict[str, Any], list[bytes]]:
        """The linked module."""
        facts = {name: getattr(artifact.module, name) for name in WasmModule.__struct_fields__}
        module = facts.pop("binary")
        facts["features"] = sorted(facts["features"])
        return facts, [encode(replace(artifact.program, code=b"")), module]

    def unpack(
        self, described: dict[str, Any], blobs: Sequence[bytes], symbols: Sequence[Var]
    ) -> WasmArtifact:
        """The module, and what its caller must know."""
        facts = {**described, "features": frozenset(described["features"])}
        program = decode(blobs[0], symbols)
        if program is None:
            raise ValueError("its description cannot be read")
        return WasmArtifact(WasmModule(binary=blobs[1], **facts), program)

    def load(self, artifact: WasmArtifact, names: Sequence[str]) -> WasmFunction:
        """The module instantiated by wasmtime."""
        return WasmFunction(artifact)

    def upload(self, array: np.ndarray) -> NoReturn:
        """There is no device."""
        raise no_device_memory(self.name)

    def figures(self, artifact: WasmArtifact, stages: Mapping[str, object]) -> ProgramFigures:
        """What one call does, counted."""
        from tilewright.ir.analysis.program_figures import program_figures

        return program_figures(cast("Program", stages["kernel"]), {})

    def source(self, artifact: WasmArtifact, stages: Mapping[str, object]) -> str:
        """The module in WebAssembly's text format."""
        from tilewright.codegen_cpu.wasm_text import wat

        return wat(artifact.module.binary)


class _Text:
    """The text of a module, made when it is printed."""

    def __init__(self, code: bytes) -> None:
        self._code = code

    def __str__(self) -> str:
        from tilewright.codegen_cpu.wasm_text import wat

        return wat(link_module(self._code).binary)
