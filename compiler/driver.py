"""From a traced function to something to call: the one file that knows every stage.

trace -> graph passes -> fusion -> the target's lowering, legalisation and emission -> load.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from tilewright.compiler.interface import Interface
from tilewright.compiler.specialization import Specialization
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.ir.errors import CacheWarning, LimitError, ShapeError
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.passes import run_passes
from tilewright.ir.signature import ArgumentSpec, StaticSpec
from tilewright.ir.text.print_graph import print_graph
from tilewright.ir.text.style import CANONICAL

if TYPE_CHECKING:
    from tilewright.compiler.runtime import Runtime
    from tilewright.compiler.target import Target
    from tilewright.compiler.targets import Observer
    from tilewright.compiler.trace.run import Traced
    from tilewright.ir.graph import Graph
    from tilewright.ir.program import Program


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
    tuned = _with_tuning(traced, target_name, options, runtime)
    if tuned is not options:
        try:
            return _compile(traced, target_name, tuned, runtime)
        except (LimitError, ShapeError) as error:  # a record that somebody has edited
            message = f"a tuning record does not fit its kernel and is not used: {error.message}"
            warnings.warn(message, CacheWarning, stacklevel=2)
    return _compile(traced, target_name, options, runtime)


def _compile(
    traced: Traced, target_name: str, options: BuildOptions, runtime: Runtime
) -> Specialization:
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


def _with_tuning(
    traced: Traced, target: str, options: BuildOptions, runtime: Runtime
) -> BuildOptions:
    """The options, with schedules from tuning where the user gave none."""
    if options.schedules is not None or runtime.tuning_stamp() == (0, 0):
        return options
    from tilewright.compiler.tune.lookup import tuned_schedules

    found = tuned_schedules(traced.graph, target, options, runtime)
    return replace(options, schedules=found) if found else options


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


class Prepared(Struct, frozen=True, eq=False):
    """A traced function and its program on a target: what schedules do not change."""

    traced: Traced
    target: Target
    graph: Graph
    program: Program

    def compile(self, options: BuildOptions) -> Specialization:
        """As `compile_traced`, without caches and tuning records."""
        stages = StageRecord({}, {})
        made = _build(self.graph, self.program, self.target, options, stages)
        return Specialization(
            interface=Interface.of(self.traced),
            target=self.target,
            artifact=self.target.finish(made),
            options=options,
            trace=lambda: self.traced,
            stages=stages.values,
            timings=stages.milliseconds,
        )


def prepare(traced: Traced, target_name: str, runtime: Runtime) -> Prepared:
    """For those who compile one function with many schedules."""
    target = open_target(target_name, runtime)
    return Prepared(traced, target, *to_program(traced.graph, target, lambda *_: None))


def build(traced: Traced, target: Target, options: BuildOptions, stages: StageRecord) -> Any:
    """Graph passes, fusion, and the target's own stages, all remembered in `stages`."""
    graph, program = to_program(traced.graph, target, stages)
    return _build(graph, program, target, options, stages)


def _build(
    graph: Graph, program: Program, target: Target, options: BuildOptions, stages: StageRecord
) -> Any:
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


def to_program(graph: Graph, target: Target, observe: Observer) -> tuple[Graph, Program]:
    """Graph passes and fusion: the graph as it is compiled, and its program."""
    if not target.has_float64:  # nor 64-bit integers
        from tilewright.compiler.while_loops import refuse_while_loops
        from tilewright.ir.passes.narrow_positions import narrow_positions
        from tilewright.ir.passes.narrow_scalars import narrow_scalars

        refuse_while_loops(graph, target.name)
        from tilewright.ir.passes.saturate_positions import saturate_positions

        graph = saturate_positions(narrow_scalars(narrow_positions(graph)))
    graph = run_passes(graph)
    observe("optimized", graph)
    program = build_program(graph, target.fusion, "program")
    observe("program", program)
    return graph, program


def _check_names(options: BuildOptions, stages: dict[str, Any]) -> None:
    """A schedule under a name that no nest has would be ignored, which nobody means."""
    known = [name for name, _ in stages.get("schedule", ())]
    given = options.schedules or {}
    for name in given:
        # Of the passes of a reduction, its last one's schedule says how many there are.
        last = name.split("_parts")[0]
        chosen = last in given and given[last].reduce_block
        if name not in known and not chosen:
            raise ShapeError(
                f"there is a schedule for {name!r}, but no such nest",
                help=f"the nests of this kernel are {', '.join(known)}",
            )


def _cache_key(traced: Traced, target: Target, options: BuildOptions, runtime: Runtime) -> str:
    """Everything that decides the artifact: the graph without names, the options, the target."""
    schedules = sorted((n, repr(s)) for n, s in (options.schedules or {}).items())
    chosen = repr((target.name, options.numerics, options.f64, schedules))
    return runtime.cache.key_for(chosen, print_graph(traced.graph, CANONICAL))
