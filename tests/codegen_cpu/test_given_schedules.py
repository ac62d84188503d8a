"""Programs under schedules that are given: whatever a schedule adds to a program is there."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.execute import CpuFunction
from tilewright.codegen_cpu.loader import object_loader
from tilewright.codegen_cpu.target import host_target
from tilewright.ir.program import Nest, Program
from tilewright.ir.schedule import INNER, Schedule

ROW = [
    Schedule((16,), 0, 16, chunks=chunks, lines=lines) for chunks in (1, 2, 3) for lines in (1, 5)
]
PRODUCT = [
    Schedule((4, 16), 1, 8),
    Schedule((3, 8), 1, 8, chunks=2),
    Schedule((4, 16), 1, 8, pack=(1,)),
    Schedule((4, 16), 1, 8, pack=(0, 1), chunks=3),
    Schedule((4, 8), 1, 8, pack=(1,), cache_block=(8, 16), reduce_block=16),
    Schedule((2, 8), 1, 4, order=(1, 0), reduce_block=5),
    Schedule((8, 2), 0, 8),
    Schedule(vector=INNER, width=8, unroll=2),
    Schedule((1, 4), unroll_reduce=40),
]
ROWS = [
    Schedule(),
    Schedule((1,), INNER, 8, 4),
    Schedule((2,), INNER, 4, 1, chunks=2),
    Schedule((8,), 0, 8),
    Schedule((3,), None, reduce_block=7),
]


def results(program: Program, arrays: list[np.ndarray], schedule: Schedule) -> list[np.ndarray]:
    """What the program computes with this schedule for its first nest."""
    first = next(step for step in program.steps if isinstance(step, Nest))
    made = backend.build(program, host_target(), {first.name: schedule})
    return CpuFunction(made, object_loader(), 0)(arrays)


@pytest.mark.parametrize("schedule", ROW, ids=str)
def test_a_row_times_a_matrix(schedule: Schedule) -> None:
    row, matrix = numbers(36), numbers(36, 53, seed=1)
    program = program_of(lambda x, w: np.maximum(x @ w, 0), (row, matrix))
    (found,) = results(program, [row, matrix], schedule)
    np.testing.assert_array_equal(found, np.maximum(row @ matrix, 0))


@pytest.mark.parametrize("schedule", PRODUCT, ids=str)
@pytest.mark.parametrize("sizes", [(13, 37, 29), (16, 40, 32)])
def test_a_matrix_product(schedule: Schedule, sizes: tuple[int, int, int]) -> None:
    rows, depth, columns = sizes
    x, w, bias = numbers(rows, depth), numbers(depth, columns, seed=1), numbers(columns, seed=2)
    program = program_of(lambda x, w, b: x @ w + b, (x, w, bias))
    (found,) = results(program, [x, w, bias], schedule)
    np.testing.assert_array_equal(found, x @ w + bias)


@pytest.mark.parametrize("schedule", ROWS, ids=str)
def test_rows(schedule: Schedule) -> None:
    x = numbers(11, 45)
    program = program_of(lambda x: (x - x.max(1)[:, None], x.sum(1), (x * 2)[:, 3]), (x,))
    found = results(program, [x], schedule)
    for result, expected in zip(found, (x - x.max(1)[:, None], x.sum(1), x[:, 3] * 2), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_a_schedule_of_another_shape_is_refused() -> None:
    x, w = numbers(8, 8), numbers(8, 8, seed=1)
    program = program_of(lambda x, w: x @ w, (x, w))
    with pytest.raises(ValueError, match=r"tile|axes"):
        results(program, [x, w], Schedule((4, 4, 4)))
