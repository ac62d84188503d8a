"""From a traced function to something to call: the one file that knows every stage.

trace -> graph passes -> fusion -> the target's lowering, legalisation and emission -> load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tilewright.compiler.runtime import Runtime
from tilewright.compiler.targets import BuildOptions, Executable, Target, open_target
from tilewright.compiler.trace.results import rebuild
from tilewright.compiler.trace.run import Traced
from tilewright.ir.errors import BoundsError, UnsupportedError
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.graph import Check
from tilewright.ir.passes import run_passes
from tilewright.ir.passes.narrow_positions import narrow_positions
from tilewright.ir.printer import print_graph
from tilewright.ir.sizes import bind_symbols, evaluate
from tilewright.ir.text.style import CANONICAL


@dataclass(eq=False)
class Specialization:
    """A kernel compiled for one target and one set of argument types."""

    traced: Traced
    target: Target
    artifact: Any
    options: BuildOptions
    stages: dict[str, object] = field(default_factory=dict)

    @cached_property
    def executable(self) -> Executable:
        """The artifact loaded on its device, at its first use: compiling needs no device."""
        return self.target.load(self.artifact)

    def run(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray | None] | None = None
    ) -> list[np.ndarray]:
        """The graph's outputs for contiguous input arrays; data checks are tested."""
        count = len(self.traced.graph.outputs)
        checks = self.traced.graph.checks
        given = None if outputs is None else [*outputs, *[None] * (2 * len(checks))]
        results = self.executable(inputs, given)
        if checks:
            self._test(checks, results[count:], inputs)
        return results[:count]

    def run_on_device(self, inputs: Sequence[Any]) -> list[Any]:
        """As `run`, with results left on the device; only data checks are read back."""
        count = len(self.traced.graph.outputs)
        results = self.executable(inputs, None, on_device=True)
        if self.traced.graph.checks:
            self._test(self.traced.graph.checks, [r.numpy() for r in results[count:]], inputs)
        return results[:count]

    def _test(
        self, checks: Sequence[Check], extremes: list[np.ndarray], inputs: Sequence[np.ndarray]
    ) -> None:
        graph = self.traced.graph
        symbols = bind_symbols(
            [t.shape for t in graph.inputs], [i.shape for i in inputs], self.traced.input_names
        )
        for number, check in enumerate(checks):
            least, most = (int(e) for e in extremes[2 * number : 2 * number + 2])
            size = evaluate(check.size, symbols)
            wrong = least if least < (-size if check.wraps else 0) else most
            if least <= most and (wrong is least or most >= size):
                raise BoundsError(
                    f"index {wrong} is out of bounds for axis {check.axis} with size {size}",
                    loc=check.loc,
                )

    def result(self, outputs: Sequence[np.ndarray]) -> Any:
        """What the undecorated function would have returned for these outputs."""
        values = [self.value(number, array) for number, array in enumerate(outputs)]
        return rebuild(self.traced.structure, values)

    def value(self, number: int, array: np.ndarray) -> Any:
        """One output as the function would have returned it: an array, or a scalar."""
        kind = self.traced.outputs[number].kind
        if kind == "scalar":
            return array[()]
        return array.item() if kind == "python" else array

    def stage(self, name: str) -> object:
        """The IR or text at a stage: graph, optimized, program, kernel, schedule, llvm, asm, …"""
        if name == "graph":
            return self.traced.graph
        if not self.stages:  # the artifact came from the cache: go the whole way now
            _build(self.traced, self.target, self.options, self.stages)
        if name == "asm" and "llvm" in self.stages:
            return self.target.source(self.artifact, self.stages)
        if name not in self.stages:
            known = ", ".join(["graph", *self.stages, *(["asm"] if "llvm" in self.stages else [])])
            raise UnsupportedError(
                f"target {self.target.name} has no stage {name!r}", help=f"the stages are {known}"
            )
        return self.stages[name]


def compile_traced(
    traced: Traced, target_name: str, options: BuildOptions, runtime: Runtime
) -> Specialization:
    """Compile a traced function for a target, or take the result from the cache."""
    with runtime.lock:
        target = open_target(target_name, runtime)
        stages: dict[str, object] = {}

        def make() -> Any:
            return _build(traced, target, options, stages)

        if target.cacheable:
            key = _cache_key(traced, target, options, runtime)
            made = runtime.cache.artifact(key, traced.graph.symbols, make)
        else:
            made = make()
        return Specialization(traced, target, target.finish(made), options, stages)


def _build(traced: Traced, target: Target, options: BuildOptions, stages: dict[str, object]) -> Any:
    """Graph passes, fusion, and the target's own stages, all remembered in `stages`."""
    graph = traced.graph if target.has_float64 else narrow_positions(traced.graph)
    graph = run_passes(graph)
    stages["optimized"] = graph
    program = build_program(graph, target.fusion, "program")
    stages["program"] = program
    return target.build(program, options, stages.__setitem__)


def _cache_key(traced: Traced, target: Target, options: BuildOptions, runtime: Runtime) -> str:
    """Everything that decides the artifact: the graph without names, the options, the target."""
    schedules = sorted((n, repr(s)) for n, s in (options.schedules or {}).items())
    chosen = repr((target.name, options.numerics, options.f64, schedules))
    return runtime.cache.key_for(chosen, print_graph(traced.graph, CANONICAL))
