"""A program -> shaders over textures: rewrite, lower, legalise, emit.

In: a `Program` whose steps are nests, copies, sorts, scatters and counted repeats. Out: a
`GpuProgram` for `codegen_glsl.run` or for a browser. What a fragment shader cannot do in one go (a
scan, a sort, a scatter, a long reduction) is first rewritten into nests that gather.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tilewright.codegen_glsl.assemble import assemble
from tilewright.codegen_glsl.legalize import legalize
from tilewright.codegen_glsl.machine_types import refuse_float64
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.codegen_glsl.schedule import default_schedule
from tilewright.codegen_glsl.share_shaders import share_shaders
from tilewright.ir.artifact import GpuProgram, launches
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.fragment.grid import lower_to_fragments
from tilewright.ir.lower.fragment.merge_reductions import merge_reductions
from tilewright.ir.lower.fragment.pad_operands import pad_operands
from tilewright.ir.lower.fragment.spread_tile import spread_tile
from tilewright.ir.lower.fragment.tiles import check_block, check_fragments, row_axis, targets_of
from tilewright.ir.lower.gather_only import gather_only
from tilewright.ir.lower.pad_rows import pad_rows
from tilewright.ir.lower.split_inputs import split_inputs
from tilewright.ir.program import Launch, Nest, Program, Step, map_steps
from tilewright.ir.schedule import Schedule

Observer = Callable[[str, object], None]
# A pass reads this many: every WebGL 2 device has 16, but phones get slow before that.
_MOST_TEXTURES = 8


class Lowered(Struct, frozen=True, eq=False):
    """A program of legal kernels, and the nests as they were lowered, with their schedules."""

    program: Program
    nests: tuple[tuple[Nest, Schedule], ...]

    @property
    def schedules(self) -> tuple[tuple[str, Schedule], ...]:
        """By the names of the nests."""
        return tuple((nest.name, schedule) for nest, schedule in self.nests)


def build(
    program: Program,
    schedules: Mapping[str, Schedule] | None = None,
    options: GlslOptions | None = None,
    observe: Observer | None = None,
) -> GpuProgram:
    """`schedules` are by the names of nests; `observe` sees ``kernel``, ``schedule``, ``glsl``."""
    options = options or GlslOptions()
    lowered = lower(program, schedules, options)
    made = share_shaders(assemble(lowered.program, options))
    if observe:
        observe("kernel", lowered.program)
        observe("schedule", lowered.schedules)
        observe("glsl", source(made))
    return made


def lower(
    program: Program, schedules: Mapping[str, Schedule] | None, options: GlslOptions
) -> Lowered:
    """Every nest as a legal kernel over fragments; `init` becomes part of the steps."""
    if program.symbols:
        names = ", ".join(symbol.name for symbol in program.symbols)
        raise UnsupportedError(
            f"{program.name} has open dimensions ({names}), and target 'glsl' needs known sizes",
            help="compile for given shapes on this target",
        )
    nests: list[tuple[Nest, Schedule]] = []

    def lower_step(step: Step) -> tuple[Step, ...]:
        if not isinstance(step, Nest):
            return (step,)
        if options.f64 == "error":
            refuse_float64(step)
        nest, schedule = _scheduled(step, schedules or {})
        copies, on_copies = _on_copies(nest, schedule)
        before = tuple(launched for copy in copies for launched in lower_step(copy))
        number = len(nests)
        nests.append((nest, schedule))
        if targets_of(schedule.tile) == 1:
            return (*before, launch(on_copies, schedule, number))
        spread, ordered = spread_tile(on_copies, schedule.tile)
        return (*before, launch(spread, schedule, number), *lower_step(ordered))

    def launch(nest: Nest, schedule: Schedule, number: int) -> Launch:
        kernel = lower_to_fragments(nest, schedule, f"k{number}_{nest.name}")
        return Launch(legalize(kernel, fast=options.fast))

    def at_a_time(name: str) -> int:
        given = (schedules or {}).get(name)
        return 0 if given is None else check_block(name, given)

    external = {b.root for b in (*program.inputs, *program.outputs)}
    narrow = map_steps(
        gather_only((*program.init, *program.steps), at_a_time),
        lambda s: split_inputs(s, _MOST_TEXTURES + 1) if isinstance(s, Nest) else (s,),
    )
    merged = merge_reductions(pad_rows(narrow, external), _MOST_TEXTURES)
    steps = map_steps(merged, lower_step)
    return Lowered(replace(program, steps=steps, init=()), tuple(nests))


def _scheduled(step: Nest, schedules: Mapping[str, Schedule]) -> tuple[Nest, Schedule]:
    """The nest with merged axes, which its schedule is about, and that schedule."""
    nest = collapse_axes(step)
    given = schedules.get(step.name)
    if given is None:
        return nest, default_schedule(nest)
    check_fragments(nest, given)
    return nest, given


def _on_copies(nest: Nest, schedule: Schedule) -> tuple[tuple[Nest, ...], Nest]:
    """Nests that copy operands, and the nest that reads those."""
    last = row_axis(nest)
    if last is None or not schedule.pack:
        return (), nest
    return pad_operands(nest, schedule.pack, last)


def source(program: GpuProgram) -> str:
    """All shaders of a program, each under its name."""
    shaders = (f"// {launch.name}\n{launch.source}" for launch in launches(program.steps))
    return "\n".join(shaders)
