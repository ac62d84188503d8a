"""Which part of a temporary a program reads: the rest need not be computed.

In: a program and one of its buffers. Out: an interval of indices along one axis.
"""

from __future__ import annotations

from tilewright.ir.analysis.effects import effects
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.expr import Expr, Load, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Ordered, Program, Repeat, RepeatWhile, Step


def elements_read(program: Program, buffer: Buffer, axis: int) -> tuple[int, int] | None:
    """The first and the last index along `axis` at which `buffer` is read, where that is known.

    None for what is not a temporary: the caller sees all of it.
    """
    if buffer not in program.temporaries:
        return None
    low, high = [], []
    for load in _loads(program.steps, buffer):
        if load is None or load.source is not buffer:
            return None
        first, last = interval(load.indices[axis])
        if first is None or last is None:
            return None
        low.append(first)
        high.append(last)
    return (min(low), max(high)) if low else None


def _loads(steps: tuple[Step, ...], buffer: Buffer) -> list[Load | None]:
    """The loads from the buffer or a view of it; None for a step that reads it as a whole."""
    found: list[Load | None] = []
    for step in steps:
        match step:
            case Repeat():
                found += _loads(step.steps, buffer)
            case RepeatWhile():
                found += [None] if step.condition.root is buffer else []
                found += _loads((*step.test, *step.body), buffer)
            case Nest() | Ordered():
                nodes = post_order(_expressions(step))
                found += [n for n in nodes if isinstance(n, Load) and _is_of(n, buffer)]
            case _:
                found += [
                    None for root, is_write in effects(step) if root is buffer and not is_write
                ]
    return found


def _expressions(step: Nest | Ordered) -> list[Expr]:
    if isinstance(step, Ordered):
        return [step.value, *step.indices]
    return [e for stage in step.stages for e in (stage.value, *stage.indices)]


def _is_of(load: Load, buffer: Buffer) -> bool:
    return isinstance(load.source, Buffer) and load.source.root is buffer
