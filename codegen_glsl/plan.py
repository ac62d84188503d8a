"""When each texture of a program is needed.

In: a `GpuProgram`. Out: its top-level steps, each with the buffers that must get a texture before
it and those whose texture is free after it: buffers that do not live at the same time share one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir.artifact import CopyBuffer, Repeat, ShaderLaunch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.ir.artifact import GpuProgram, Step


class PlannedStep(Struct, frozen=True):
    """A step, the buffers first used by it, and the buffers last used by it."""

    step: Step
    acquire: tuple[int, ...]
    release: tuple[int, ...]


def plan_textures(program: GpuProgram) -> tuple[PlannedStep, ...]:
    """Texture lifetimes; outputs are never released, inputs and constants never acquired.

    A repeat counts as one step: what one iteration writes, the next may read.
    """
    used = [tuple(dict.fromkeys(buffers_of(step))) for step in program.steps]
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for position, buffers in enumerate(used):
        for buffer in buffers:
            first.setdefault(buffer, position)
            last[buffer] = position
    given = {i for i, spec in enumerate(program.buffers) if spec.role in ("input", "constant")}
    return tuple(
        PlannedStep(
            step,
            tuple(b for b in used[k] if first[b] == k and b not in given),
            tuple(b for b in used[k] if last[b] == k and b not in program.outputs),
        )
        for k, step in enumerate(program.steps)
    )


def buffers_of(step: Step) -> Iterator[int]:
    """Every buffer that a step reads or writes, with repetitions."""
    match step:
        case ShaderLaunch():
            yield from step.bindings
            yield from step.outputs
        case CopyBuffer():
            yield step.source
            yield step.destination
        case Repeat():
            for inner in step.steps:
                yield from buffers_of(inner)
