"""Moves what depends on constants alone into the `init` part of a program, which runs once.

In: a lowered program, before its memory plan. Out: the same program. The packed weights of a
contraction are the case that matters: made again at each call, they would be copied more often than
they are used. What such a step writes becomes `packed`: storage that lives as long as the program.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from tilewright.ir.analysis.effects import touched
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Launch, Program, Step


def hoist_constant_steps(program: Program) -> Program:
    """`program` with the launches of its first level that read nothing of a call in `init`."""
    if not program.constants:
        return program
    writers = Counter(buffer for step in program.steps for buffer in _written(step))
    known = {buffer for buffer, _ in program.constants}
    own = set(program.temporaries)
    init: list[Step] = []
    packed: list[Buffer] = []
    for step in program.steps:
        written = _written(step)
        if not isinstance(step, Launch) or step.kernel.symbols:
            continue
        if not _read(step) <= known | written or not written <= own:
            continue
        if any(writers[buffer] > 1 for buffer in written):
            continue
        init.append(step)
        packed += [b for b in program.temporaries if b in written]
        known |= written
    steps = tuple(step for step in program.steps if step not in init)
    temporaries = tuple(b for b in program.temporaries if b.root not in packed)
    return replace(
        program,
        init=(*program.init, *init),
        packed=(*program.packed, *packed),
        steps=steps,
        temporaries=temporaries,
    )


def _written(step: Step) -> set[Buffer]:
    return _touched(step, writes=True)


def _read(step: Step) -> set[Buffer]:
    return _touched(step, writes=False)


def _touched(step: Step, *, writes: bool) -> set[Buffer]:
    """The program's storage that a step reads or writes."""
    return {buffer for buffer in touched((step,), writes=writes) if buffer.space == "global"}
