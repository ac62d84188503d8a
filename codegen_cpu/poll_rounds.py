"""A lowered program -> after how many rounds of its loops to look at the clock first.

See `poll`. Each look takes 10 ns, so short loops must not begin with one, and loops of long rounds
must not put it off. What the rounds read and write says how long they take at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from tilewright.codegen_cpu.poll import MOST_ROUNDS
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Copy, Launch, Program, Repeat, RepeatWhile, Step

BYTES_BEFORE_FIRST_POLL: Final = 1 << 16
"""A core moves them in some microseconds."""
_ROUND_BYTES: Final = 64
"""What a round costs that touches nothing, as bytes."""
_OPEN: Final = 1024
"""Stands for sizes that are not known."""


def first_poll(program: Program) -> int:
    """The number of rounds; 0 if all loops together have no more, and need no polls."""
    loops = [step for step in program.steps if isinstance(step, (Repeat, RepeatWhile))]
    if not loops:
        return 0
    wait = BYTES_BEFORE_FIRST_POLL // (_ROUND_BYTES + sum(map(_bytes, loops)))
    wait = max(1, min(wait, MOST_ROUNDS))
    rounds = _rounds(loops)
    return 0 if rounds is not None and rounds < wait else wait


def _rounds(steps: Sequence[Step]) -> int | None:
    """How many rounds all loops of `steps` have; None where that is not known."""
    total = 0
    for step in steps:
        if isinstance(step, RepeatWhile):
            return None
        if isinstance(step, Repeat):
            extent, inner = step.counter.extent, _rounds(step.steps)
            if not isinstance(extent, int) or inner is None:
                return None
            total += extent * (1 + inner)
    return total


def _bytes(step: Step) -> int:
    """What one round of every loop in `step` reads and writes."""
    match step:
        case Repeat():
            return sum(map(_bytes, step.steps))
        case RepeatWhile():
            return sum(map(_bytes, (*step.test, *step.body)))
        case Launch():
            return sum(map(_size, step.kernel.parameters))
        case Copy():
            return 2 * _size(step.source)
        case _:
            return 0


def _size(buffer: Buffer) -> int:
    sizes = (size if isinstance(size, int) else _OPEN for size in buffer.shape)
    return prod(sizes) * buffer.dtype.itemsize
