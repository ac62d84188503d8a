"""A kernel compiled for one target and one set of argument types, ready to run.

Nothing here needs the tracer or a code generator: one that comes from the disk cache or from a file
runs without them, and is traced only when somebody asks for a stage of its compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from tilewright.compiler.interface import rebuild
from tilewright.compiler.runtime import once

if TYPE_CHECKING:
    import numpy as np

    from tilewright.compiler.cache.dependencies import Dependencies
    from tilewright.compiler.interface import Interface
    from tilewright.compiler.target import Target
    from tilewright.compiler.targets import BuildOptions, Executable
    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.analysis.program_figures import ProgramFigures


class Specialization(Struct, eq=False, dict=True):
    """What `compile_traced` made, or the cache or a file kept of it.

    `trace` gives the traced function, for those who want to see it; `stages` is what lay between
    it and the artifact, empty as long as nobody went that way in this process. `key` is where the
    cache holds the artifact, if it does, and `text` the generated code where it was kept; `seconds`
    is how long it took to make or to load, and `timings` how many milliseconds each stage did:
    "graph" is tracing, "code" what follows the last stage with a name, "cache" stands for all that
    was loaded instead.
    """

    interface: Interface
    target: Target
    artifact: Any
    options: BuildOptions
    trace: Callable[[], Traced]
    dependencies: Dependencies | None = None
    stages: dict[str, object] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    key: str | None = None
    text: str | None = None
    seconds: float | None = None

    @once
    def executable(self) -> Executable:
        """The artifact loaded on its device, at its first use: compiling needs no device."""
        names = [f"argument {name!r}" for name in self.interface.input_names]
        return self.target.load(self.artifact, names)

    @cached_property
    def traced(self) -> Traced:
        """The function as a graph."""
        return self.trace()

    def is_stale(self) -> bool:
        """Whether a global or captured value that the code was made from has changed since."""
        return self.dependencies is not None and self.dependencies.is_stale()

    def run(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray | None] | None = None
    ) -> list[np.ndarray]:
        """The outputs for contiguous input arrays; data checks are tested."""
        count = len(self.interface.outputs)
        checks = self.interface.checks
        if self.interface.symbols:
            self.interface.bind(inputs)  # what runs knows the arguments by number only
        given = None if outputs is None else [*outputs, *[None] * (2 * len(checks))]
        try:
            results = self.executable(inputs, given)
        except MemoryError as error:
            from tilewright.ir.errors import OutOfMemoryError

            raise OutOfMemoryError(
                f"a result or a temporary does not fit in memory: {error}",
                help="call the kernel on parts of its arguments",
            ) from error
        if checks:
            self._test(results[count:], inputs)
        return results[:count]

    def run_on_device(self, inputs: Sequence[Any]) -> list[Any]:
        """As `run`, with results left on the device; only data checks are read back."""
        count = len(self.interface.outputs)
        if self.interface.symbols:
            self.interface.bind(inputs)
        results: list[Any] = self.executable(inputs, None, on_device=True)
        if self.interface.checks:
            self._test([r.numpy() for r in results[count:]], inputs)
        return results[:count]

    def _test(self, extremes: Sequence[np.ndarray], inputs: Sequence[np.ndarray]) -> None:
        symbols = self.interface.bind(inputs) if self.interface.symbols else {}
        for number, check in enumerate(self.interface.checks):
            check.test(int(extremes[2 * number]), int(extremes[2 * number + 1]), symbols)

    def tested_result(self, outputs: Sequence[np.ndarray]) -> Any:
        """`result` of what the code has written, after data checks; without open dimensions."""
        count = len(self.interface.outputs)
        if self.interface.checks:
            self._test(outputs[count:], ())
        return self.result(outputs[:count])

    def result(self, outputs: Sequence[np.ndarray]) -> Any:
        """What the undecorated function would have returned for these outputs."""
        values = [self.value(number, array) for number, array in enumerate(outputs)]
        return rebuild(self.interface.structure, values)

    def value(self, number: int, array: np.ndarray) -> Any:
        """One output as the function would have returned it: an array, or a scalar."""
        kind = self.interface.outputs[number].kind
        if kind == "scalar":
            return array[()]
        return array.item() if kind == "python" else array

    def stage(self, name: str) -> object:
        """The IR or text at a stage: graph, optimized, program, kernel, schedule, llvm, asm, …"""
        if name == "graph":
            return self.traced.graph
        if not self.stages:  # the artifact came from the cache: go the whole way now
            from tilewright.compiler.driver import StageRecord, build

            record = StageRecord(self.stages, self.timings)
            build(self.traced, self.target, self.options, record)
        if name == "asm" and "llvm" in self.stages:
            return self.target.source(self.artifact, self.stages)
        if name not in self.stages:
            from tilewright.ir.errors import UnsupportedError

            known = ", ".join(["graph", *self.stages, *(["asm"] if "llvm" in self.stages else [])])
            raise UnsupportedError(
                f"target {self.target.name} has no stage {name!r}", help=f"the stages are {known}"
            )
        return self.stages[name]

    def figures(self) -> ProgramFigures | None:
        """What one call does, counted; None where dimensions are open."""
        if self.interface.symbols:
            return None
        self.stage("program")
        return self.target.figures(self.artifact, self.stages)

    @property
    def source(self) -> str:
        """The generated code as text: assembly, WGSL, GLSL or WAT."""
        if self.text is not None:
            return self.text
        self.stage("program")
        return self.target.source(self.artifact, self.stages)
