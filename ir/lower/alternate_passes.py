"""Passes that differ by their number alone -> two kernels in a loop, from one buffer to another.

However many passes there are, few kernels have to be compiled: a driver takes longer for that than
for the passes.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import build
from tilewright.ir.expr import Expr, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Repeat, Step

Pass = Callable[[Expr, Buffer, Buffer], Nest]
"""The number of the pass, what it reads, what it writes."""


def alternate_passes(
    count: int, buffers: tuple[Buffer, Buffer], make: Pass
) -> tuple[list[Step], Buffer]:
    """`count` passes, the first of which reads the first buffer; and the buffer written last."""
    one, other = buffers
    steps: list[Step] = []
    if count > 1:
        counter = Var("pair", count // 2)
        number = build.mul(counter, build.index(2))
        there = make(number, one, other)
        back = make(build.add(number, build.index(1)), other, one)
        steps.append(Repeat(counter, (there, back)))
    if count % 2 == 0:
        return steps, one
    return [*steps, make(build.index(count - 1), one, other)], other
