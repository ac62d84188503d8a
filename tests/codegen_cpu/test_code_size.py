"""The estimated code of a nest under a schedule, against what is generated."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest

from tests.codegen_cpu.test_schedule import CASES
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.code_size import CodeSize
from tilewright.codegen_cpu.schedule_space import schedule_spaces
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir.program import Nest, Program
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.schedule_space import ScheduleSpace

MACHINE = cpu_target("x86-64-v4")
PLAIN = 400
"""Lines of text that a nest has in any case: loops, ends of rows, addresses."""


@cache
def spaces(case: str) -> tuple[Program, list[tuple[Nest, ScheduleSpace]]]:
    program = program_of(*CASES[case])
    return program, schedule_spaces(program, MACHINE)


def lines(program: Program, nest: Nest, schedule: Schedule) -> int:
    lowered = backend.lower(program, MACHINE, {nest.name: schedule})
    return backend.emit(lowered, MACHINE).count("\n")


@pytest.mark.parametrize("case", CASES)
def test_no_schedule_of_a_space_is_much_code(case: str) -> None:
    """The estimate may be wrong by a few times, and no more: it is what bounds the space."""
    rng = random.Random(case)
    program, found = spaces(case)
    for nest, space in found:
        size = CodeSize(nest, MACHINE)
        for _ in range(12):
            point = tuple(rng.randrange(len(knob.values)) for knob in space.knobs)
            schedule = space.schedule(point)
            if schedule is not None:
                estimate = size.instructions(schedule)
                assert lines(program, nest, schedule) < 6 * estimate + PLAIN, schedule


GROWING = {
    "points of a tile": ("map", [Schedule((t, 16), 1, 16) for t in (1, 2, 4)]),
    "vectors of a tile": ("map", [Schedule((1, n), 1, 4) for n in (4, 8, 16)]),
    "lanes apart": ("column sums", [Schedule((16,), k, 16) for k in (0, INNER)]),
    "expanded sums": ("window", [Schedule((1, 16), 1, 16, unroll_reduce=n) for n in (0, 3)]),
    "vectors of a row": ("row sums", [Schedule((1,), INNER, 2, n) for n in (4, 16)]),
    "rows of lanes": ("row sums", [Schedule((n,), INNER, 8) for n in (1, 2, 6)]),
}


@pytest.mark.parametrize("name", GROWING)
def test_what_is_more_code_is_estimated_as_more(name: str) -> None:
    case, schedules = GROWING[name]
    program, [(nest, _), *_] = spaces(case)
    estimates = [CodeSize(nest, MACHINE).instructions(s) for s in schedules]
    made = [lines(program, nest, s) for s in schedules]
    assert estimates == sorted(set(estimates))
    assert made == sorted(set(made))


def test_tiles_of_a_thousand_vectors_are_in_no_space() -> None:
    x = np.zeros((1080, 1920), np.float32)
    program = program_of(lambda a: (a[:-2] + a[1:-1] + a[2:]).T * 2, (x,))
    (_, space), *_ = schedule_spaces(program, MACHINE)
    largest = tuple(len(knob.values) - 1 if knob.is_ordered else 0 for knob in space.knobs)
    assert space.schedule(largest) is None
    assert space.schedule(space.default) is not None
