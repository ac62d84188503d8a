"""From a traced function to something to call: the one file that knows every stage.

trace -> graph passes -> fusion -> the target's lowering, legalisation and emission -> load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tilewright.compiler.interface import Interface
from tilewright.compiler.specialization import Specialization
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.ir.errors import ShapeError
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes
from tilewright.ir.signature import ArgumentSpec, StaticSpec
from tilewright.ir.text.print_graph import print_graph
from tilewright.ir.text.style import CANONICAL

if TYPE_CHECKING:
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.target import Target
    from tilewright.compiler.trace.run import Traced


def trace_for(
    function: Callable[..., Any],
    specs: Mapping[str, ArgumentSpec],
    values: Mapping[str, int | float],
    target_name: str,
    runtime: Runtime,
) -> Traced:
    """The traced function, in the form in which the target can compute it.

    Arithmetic among Python floats is in float64. A target without it gets the result: the kernel
    is made for the values of those of its arguments.
    """
    from tilewright.compiler.trace.run import trace

    traced = trace(function, specs, values=values)
    if open_target(target_name, runtime).has_float64:
        return traced
    from tilewright.ir.passes.narrow_scalars import computed_scalars

    names = computed_scalars(traced.graph) & values.keys()
    if not names:
        return traced
    static = {name: StaticSpec(values[name]) for name in names}
    made = trace(function, {**specs, **static}, values=values)
    return replace(made, specialized=made.specialized | names)


def compile_traced(
    traced: Traced, target_name: str, options: BuildOptions, runtime: Runtime
) -> Specialization:
    """Compile a traced function for a target, or take the result from the cache."""
    with runtime.lock:
        target = open_target(target_name, runtime)
        stages = StageRecord({}, {"graph": traced.milliseconds})

        def make() -> Any:
            return build(traced, target, options, stages)

        key = None
        if target.cacheable:
            key = _cache_key(traced, target, options, runtime)
            made = runtime.cache.artifact(key, traced.graph.symbols, make)
        else:
            made = make()
        if not stages.values:
            stages.time("cache")
        return Specialization(
            interface=Interface.of(traced),
            target=target,
            artifact=target.finish(made),
            options=options,
            trace=lambda: traced,
            dependencies=traced.dependencies,
            stages=stages.values,
            timings=stages.milliseconds,
            key=key,
        )


class StageRecord:
    """What came out of each stage, and the time from the end of the stage before."""

    def __init__(self, values: dict[str, object], milliseconds: dict[str, float]) -> None:
        self.values = values
        self.milliseconds = milliseconds
        self._since = perf_counter()

    def __call__(self, stage: str, value: object) -> None:
        """The stage has ended, with this value."""
        self.time(stage)
        self.values[stage] = value

    def time(self, stage: str) -> None:
        """The stage has ended; its value is not kept."""
        now = perf_counter()
        self.milliseconds[stage] = (now - self._since) * 1e3
        self._since = now


def build(traced: Traced, target: Target, options: BuildOptions, stages: StageRecord) -> Any:
    """Graph passes, fusion, and the target's own stages, all remembered in `stages`."""
    graph = traced.graph
    if not target.has_float64:  # nor 64-bit integers
        from tilewright.compiler.while_loops import refuse_while_loops
        from tilewright.ir.passes.narrow_positions import narrow_positions
        from tilewright.ir.passes.narrow_scalars import narrow_scalars

        refuse_while_loops(graph, target.name)
        from tilewright.ir.passes.saturate_positions import saturate_positions

        graph = saturate_positions(narrow_scalars(narrow_positions(graph)))
    graph = run_passes(graph)
    stages("optimized", graph)
    program = build_program(graph, target.fusion, "program")
    stages("program", program)
    if not target.has_float64:
        from tilewright.compiler.float64 import refuse_float64
        from tilewright.compiler.narrowing import warn_of_narrowing

        if options.f64 != "f32":
            refuse_float64(graph, program, target.name)
        warn_of_narrowing(program, target.name)
    made = target.build(program, options, stages)
    stages.time("code")
    _check_names(options, stages.values)
    return made


def _check_names(options: BuildOptions, stages: dict[str, Any]) -> None:
    """A schedule under a name that no nest has would be ignored, which nobody means."""
    known = [name for name, _ in stages.get("schedule", ())]
    for name in options.schedules or {}:
        if name not in known:
            raise ShapeError(
                f"there is a schedule for {name!r}, but no such nest",
                help=f"the nests of this kernel are {', '.join(known)}",
            )


def _cache_key(traced: Traced, target: Target, options: BuildOptions, runtime: Runtime) -> str:
    """Everything that decides the artifact: the graph without names, the options, the target."""
    schedules = sorted((n, repr(s)) for n, s in (options.schedules or {}).items())
    chosen = repr((target.name, options.numerics, options.f64, schedules))
    return runtime.cache.key_for(chosen, print_graph(traced.graph, CANONICAL))
