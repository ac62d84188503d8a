"""What a compiler stage made -> text."""

from __future__ import annotations

from tilewright.ir.artifact import GpuProgram, ShaderLaunch, launches
from tilewright.ir.graph import Graph
from tilewright.ir.kernel import Kernel
from tilewright.ir.printer import print_graph, print_kernel, print_program, print_schedule
from tilewright.ir.program import Program
from tilewright.ir.schedule import Schedule
from tilewright.ir.text.style import FULL, READABLE


def stage_text(stage: object, locations: bool = False) -> str:
    """The value of a `Specialization.stage`; `locations` adds the user's lines to IR."""
    style = FULL if locations else READABLE
    match stage:
        case Graph():
            return print_graph(stage, style)
        case Program():
            return print_program(stage, style)
        case GpuProgram():
            return "\n".join(_shader_text(launch) for launch in launches(stage.steps))
        case tuple() if stage and isinstance(stage[0], Kernel):
            return "\n".join(print_kernel(kernel, style) for kernel in stage)
        case tuple():
            return _schedule_text(stage)
    return str(stage)


def _shader_text(launch: ShaderLaunch) -> str:
    grid = "×".join(map(str, launch.grid))
    # A comment in front of GLSL's #version line would make it invalid, so it follows.
    return f"{launch.source.rstrip()}\n// launch {launch.name}, grid {grid}\n"


def _schedule_text(schedules: tuple[tuple[str, Schedule], ...]) -> str:
    return "".join(f"{name}: {print_schedule(schedule)}\n" for name, schedule in schedules)
