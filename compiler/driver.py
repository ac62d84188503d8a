"""From a traced function to something to call: the one file that knows every stage.

trace -> graph passes -> fusion -> the target's lowering, legalisation and emission -> load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.compiler.interface import Interface
from tilewright.compiler.specialization import Specialization
from tilewright.compiler.targets import BuildOptions, Target, open_target
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes
from tilewright.ir.passes.narrow_positions import narrow_positions
from tilewright.ir.printer import print_graph
from tilewright.ir.text.style import CANONICAL

if TYPE_CHECKING:
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.trace.run import Traced


def compile_traced(
    traced: Traced, target_name: str, options: BuildOptions, runtime: Runtime
) -> Specialization:
    """Compile a traced function for a target, or take the result from the cache."""
    with runtime.lock:
        target = open_target(target_name, runtime)
        stages: dict[str, object] = {}

        def make() -> Any:
            return build(traced, target, options, stages)

        key = None
        if target.cacheable:
            key = _cache_key(traced, target, options, runtime)
            made = runtime.cache.artifact(key, traced.graph.symbols, make)
        else:
            made = make()
        return Specialization(
            interface=Interface.of(traced),
            target=target,
            artifact=target.finish(made),
            options=options,
            trace=lambda: traced,
            dependencies=traced.dependencies,
            stages=stages,
            key=key,
        )


def build(traced: Traced, target: Target, options: BuildOptions, stages: dict[str, object]) -> Any:
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
