"""Walks over the steps of programs."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir.dtypes import BOOL, F32
from tilewright.ir.expr import Var
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.program import (
    Copy,
    Launch,
    Nest,
    Repeat,
    RepeatWhile,
    Step,
    extents,
    kernels,
    leaves,
    map_steps,
    nests,
)

A, B, FLAG = Buffer("a", (4,), F32), Buffer("b", (4,), F32), Buffer("f", (), BOOL)
COPIES = [Copy(A, B) for _ in range(5)]
NEST, LAUNCH = Nest("n", (), (), ()), Launch(Kernel("k", (), (), (), ()))
COUNTER = Var("c", 3)
LOOP = Repeat(COUNTER, (COPIES[1], NEST))
WHILE = RepeatWhile((COPIES[2], LAUNCH), FLAG, (LOOP, COPIES[3]))
STEPS: tuple[Step, ...] = (COPIES[0], WHILE, COPIES[4])


def test_leaves_in_the_order_in_which_they_are_written() -> None:
    inside = [COPIES[2], LAUNCH, COPIES[1], NEST, COPIES[3]]
    assert list(leaves(STEPS)) == [COPIES[0], *inside, COPIES[4]]
    assert list(nests(STEPS)) == [NEST]
    assert kernels(STEPS) == [LAUNCH.kernel]


def test_leaves_are_replaced_by_any_number_of_steps() -> None:
    seen: list[Step] = []

    def change(step: Step) -> Sequence[Step]:
        seen.append(step)
        return (step, step) if step is NEST else () if step is COPIES[3] else (step,)

    first, loop, last = map_steps(STEPS, change)
    assert seen == list(leaves(STEPS))
    assert (first, last) == (COPIES[0], COPIES[4])
    assert isinstance(loop, RepeatWhile)
    assert loop.condition is FLAG
    assert loop.test == (COPIES[2], LAUNCH)
    (inner,) = loop.body
    assert isinstance(inner, Repeat)
    assert (inner.counter, inner.steps) == (COUNTER, (COPIES[1], NEST, NEST))


def test_sizes_of_axes() -> None:
    assert extents((COUNTER, Var("i", 4))) == (3, 4)
    assert extents(()) == ()
