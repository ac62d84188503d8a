"""Rows that several stages read are copied once, and only where that is safe and worth it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.turn_rows import turn_rows
from tilewright.ir.program import Nest, map_steps, nests
from tilewright.ir.schedule import INNER, Schedule

X, Y = numbers(40, 21), numbers(40, 9, seed=1)
LANES = Schedule(tile=(8,), vector=0, width=8)


def shifted(x, y):
    """Two stages that read each row of `x`; `y` is not needed."""
    return np.abs(x - x.max(axis=1, keepdims=True)).sum(axis=1)


def first_best(x, y):
    return np.argmax(x, axis=1)


def once(x, y):
    return x.max(axis=1)


def chosen(x, y):
    """Rows of a part of the positions: the whole of them does not exist."""
    z = np.concatenate([x, y], axis=1)
    return np.abs(z - z.max(axis=1, keepdims=True)).sum(axis=1)


def turned(function: Any, schedule: Schedule = LANES, x: Any = X) -> tuple[Any, int]:
    """The program with rows turned, and how many were."""
    program = program_of(function, [x, Y])
    count = 0

    def step(nest: Any) -> list[Any]:
        nonlocal count
        if not isinstance(nest, Nest):
            return [nest]
        changed = turn_rows(collapse_axes(nest), schedule)
        count += len(changed.stages) - len(nest.stages)
        return [changed]

    steps = map_steps(program.steps, step)
    return replace(program, steps=steps), count


@pytest.mark.parametrize("function", [shifted, first_best])
def test_rows_with_two_readers_are_copied(function: Any) -> None:
    program, count = turned(function)
    assert count == 1
    (nest,) = nests(program.steps)
    assert nest.locals[0].shape == (21,)
    copy, first, *_ = nest.stages
    assert (copy.label, copy.loc) == (first.label, first.loc)  # of who reads it first


@pytest.mark.parametrize("function", [once, chosen])
def test_others_are_not(function: Any) -> None:
    assert turned(function)[1] == 0


@pytest.mark.parametrize(
    "schedule",
    [Schedule(vector=INNER, width=8), Schedule(tile=(4096,), vector=0, width=8), Schedule()],
)
def test_nor_rows_along_lanes_nor_rows_that_fill_the_cache(schedule: Schedule) -> None:
    assert turned(shifted, schedule)[1] == 0


def test_nor_elements_that_are_shuffled_out_of_whole_vectors() -> None:
    assert turned(shifted, x=numbers(40, 4))[1] == 0
    assert turned(shifted, x=numbers(40, 5))[1] == 1


@pytest.mark.parametrize("function", [shifted, first_best, once, chosen])
def test_as_numpy(function: Any) -> None:
    program, _ = turned(function)
    (found,) = interpret_program(program, [X, Y])
    np.testing.assert_array_equal(found, function(X, Y))
