"""One reduction in parts and their combination: the same results, in a fixed tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.fuse.options import WORKGROUP
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.lower.split_k import can_split, schedule_of_parts, split_k
from tilewright.ir.program import Nest, Program, nests
from tilewright.ir.schedule import INNER, Schedule

KERNELS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "product": (lambda a, b: a @ b, (numbers(6, 24), numbers(24, 5))),
    "relu of a product": (lambda a, b: np.maximum(a @ b + 1, 0), (numbers(6, 24), numbers(24, 5))),
    "vector": (lambda a, b: a @ b, (numbers(24), numbers(24, 9))),
    "greatest": (lambda x: x.max(axis=1), (numbers(7, 32),)),
    "least of integers": (lambda x: x.min(axis=0), (numbers(16, 9, dtype=np.int32),)),
    "odd length": (lambda x: (x * x).sum(axis=1), (numbers(3, 27),)),
}


def split(program: Program, parts: int) -> Program:
    (nest,) = nests(program.steps)
    steps = split_k(nest, parts)
    temporary = steps[0].stages[0].target
    return Program(
        program.name, program.symbols, program.inputs, program.outputs, program.constants,
        (*program.temporaries, temporary), steps,
    )  # fmt: skip


@pytest.mark.parametrize("parts", [2, 3, 4, 8])
@pytest.mark.parametrize("name", KERNELS)
def test_the_results_are_the_same(name: str, parts: int) -> None:
    function, arrays = KERNELS[name]
    program = program_of(function, arrays, WORKGROUP)
    (nest,) = nests(program.steps)
    if not can_split(nest, parts):
        assert (name, parts) in {
            *((n, 3) for n in ("greatest", "least of integers")),
            *(("odd length", n) for n in (2, 4, 8)),
        }
        return
    made = interpret_program(split(program, parts), arrays)
    np.testing.assert_array_equal(made[0], function(*arrays))


def only(function: Callable[..., Any], *arrays: np.ndarray) -> Nest:
    (nest,) = nests(program_of(function, arrays, WORKGROUP).steps)
    return nest


def test_parts_of_a_contraction_are_its_batch() -> None:
    parts, rest = split_k(only(lambda a, b: a @ b, numbers(6, 24), numbers(24, 5)), 4)
    found = match_contraction(parts)
    assert found is not None
    assert [a.extent for a in found.batch] == [4]
    assert [a.extent for a in found.stage.reduce_axes] == [6]
    assert not any(s.reduce_axes for s in rest.stages)


def test_what_is_not_split() -> None:
    softmax = only(lambda x: np.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1), numbers(4, 64))
    assert not can_split(softmax, 2)  # the second reduction needs the first one's result
    halves = only(lambda x: x.max(axis=1), numbers(4, 64, dtype=np.float16))
    assert not can_split(halves, 2)
    assert not can_split(only(lambda x: x * 2, numbers(4, 64)), 2)
    assert not can_split(only(lambda x: x.max(axis=1), numbers(4, 3)), 3)  # parts of one point


def test_the_schedule_of_the_parts() -> None:
    grid = Schedule(tile=(2, 4), vector=1, width=4, order=(1, 0), split_reduce=4)
    assert schedule_of_parts(grid) == Schedule(tile=(1, 2, 4), vector=2, width=4, order=(0, 2, 1))
    rows = Schedule(vector=INNER, workgroup=(64,), split_reduce=2)
    assert schedule_of_parts(rows) == Schedule(vector=INNER, workgroup=(64,))
    staged = Schedule(tile=(4, 4), workgroup=(8, 8), stage_tile=8, split_reduce=2)
    assert schedule_of_parts(staged).tile == (4, 4)
