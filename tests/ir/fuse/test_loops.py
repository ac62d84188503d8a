"""Loops of tensors: rounds write back and forth between two sets of buffers."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.program import Copy, Repeat
from tilewright.ir.verify import verify_program

X, Y = numbers(5, 7), numbers(5, 7, seed=1)


def rounds(count):
    """Two states that change places, a constant, and the number of the round."""

    def run(x, y):
        table = np.arange(7, dtype=np.float32)

        def step(k, a, b):
            return b, a + np.roll(b, 1, axis=1) * table + k

        return tw.loop(count, step, x, y)

    return run


@pytest.mark.parametrize("count", range(6))
def test_every_number_of_rounds(count: int) -> None:
    program = program_of(rounds(count), [X, Y])
    verify_program(program, strict=True)
    for found, want in zip(interpret_program(program, [X, Y]), rounds(count)(X, Y), strict=True):
        np.testing.assert_array_equal(found, want)


def test_an_even_loop_copies_nothing_between_rounds() -> None:
    def smooth(x):
        return tw.loop(10, lambda _, a: (a + np.roll(a, 1, axis=0)) * 0.5, x)[0]

    (repeat,) = [s for s in program_of(smooth, [X]).steps if isinstance(s, Repeat)]
    assert repeat.counter.extent == 5
    assert not any(isinstance(s, Copy) for s in repeat.steps)


def test_loops_in_loops() -> None:
    def nested(x):
        def outer(k, a):
            return tw.loop(3, lambda j, b: b * 2 + np.float32(1) + k - j, a)[0]

        return tw.loop(5, outer, x)[0]

    program = program_of(nested, [X])
    verify_program(program, strict=True)
    np.testing.assert_array_equal(interpret_program(program, [X])[0], nested(X))
