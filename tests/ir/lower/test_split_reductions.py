"""Long reductions in passes: the same results, and every part has the stages that it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Size, Var, post_order
from tilewright.ir.fuse.options import WORKGROUP
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.split_reductions import (
    BLOCK,
    FEW_POINTS,
    LONGEST,
    _block,
    split_reductions,
)
from tilewright.ir.program import Nest, Program, Stage, nests

REDUCTIONS: dict[str, tuple[Callable[..., Any], np.ndarray]] = {
    "sum": (lambda x: x.sum(axis=1), numbers(2, 600)),
    "of columns": (lambda x: x.sum(axis=0), numbers(600, 3)),
    "odd sum": (lambda x: x.sum(axis=1), np.abs(numbers(2, 601)) + 1),
    "odd length": (lambda x: x.max(axis=1), numbers(2, 601)),
    "product": (lambda x: np.prod(np.where(x > 3, 2, 1), axis=1), numbers(1, 521)),
    "all axes": (lambda x: x.sum(), numbers(30, 40)),
    "two stages": (lambda x: (x - x.max(axis=1, keepdims=True)).sum(axis=1), numbers(2, 700)),
    "three stages": (
        lambda x: (
            (x - x.max(axis=1, keepdims=True))
            * (x - x.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
        ).min(axis=1),
        numbers(2, 540),
    ),
    "by way of a short stage": (
        lambda x: (
            x * (x.max(axis=1, keepdims=True) * np.arange(-2, 3)).max(axis=1, keepdims=True)
        ).min(axis=1),
        numbers(2, 540),
    ),
}


def split(program: Program, at_a_time: int = 0) -> tuple[list[Nest], Program]:
    steps = tuple(n for nest in nests(program.steps) for n in split_reductions(nest, at_a_time))
    inside = {*program.outputs, *program.temporaries}
    made = dict.fromkeys(s.target for n in steps for s in n.stages if s.target not in n.locals)
    parts = tuple(b for b in made if b not in inside)
    temporaries = (*program.temporaries, *parts)
    whole = Program(
        program.name, program.symbols, program.inputs, program.outputs, program.constants,
        temporaries, steps,
    )  # fmt: skip
    return list(steps), whole


@pytest.mark.parametrize("name", REDUCTIONS)
def test_the_same_in_passes(name: str) -> None:
    function, x = REDUCTIONS[name]
    program = program_of(function, [x], WORKGROUP)
    steps, whole = split(program)
    assert len(steps) > len(list(nests(program.steps)))
    (found,) = interpret_program(whole, [x])
    np.testing.assert_array_equal(found, np.asarray(function(x)).reshape(found.shape))


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("at_a_time", [2, 30, 100])
def test_passes_are_as_long_as_is_said(name: str, at_a_time: int) -> None:
    function, x = REDUCTIONS[name]
    steps, whole = split(program_of(function, [x], WORKGROUP), at_a_time)
    (found,) = interpret_program(whole, [x])
    np.testing.assert_array_equal(found, np.asarray(function(x)).reshape(found.shape))
    for stage in (stage for nest in steps for stage in nest.stages):
        sizes = [a.extent for a in stage.reduce_axes if isinstance(a.extent, int)]
        assert np.prod(sizes, dtype=int) <= 2 * at_a_time


def test_what_is_said_to_fit_stays_whole() -> None:
    function, x = REDUCTIONS["sum"]
    program = program_of(function, [x], WORKGROUP)
    assert len(split(program, 300)[0]) == len(nests(program.steps))
    assert len(split(program, 299)[0]) == len(nests(program.steps)) + 1


@pytest.mark.parametrize("name", REDUCTIONS)
def test_no_pass_is_long_and_each_has_what_it_reads(name: str) -> None:
    function, x = REDUCTIONS[name]
    steps, _ = split(program_of(function, [x], WORKGROUP))
    for nest in steps:
        for place, stage in enumerate(nest.stages):
            sizes = [a.extent for a in stage.reduce_axes if isinstance(a.extent, int)]
            assert np.prod(sizes, dtype=int) <= 2 * BLOCK
            before = {s.target for s in nest.stages[:place]}
            loads = [n.source for n in post_order((stage.value,)) if isinstance(n, Load)]
            assert {s for s in loads if s in nest.locals} <= before


def summed(points: int, elements: Size) -> Nest:
    i, r = Var("i", points), Var("r", elements)
    source, total = Buffer("x", (points, elements), F32), Buffer("t", (), F32)
    out = Buffer("y", (points,), F32)
    first = Stage((), (r,), "add", Load(source, (i, r)), total, ())
    return Nest("sum", (i,), (first, Stage((), (), None, Load(total, ()), out, (i,))), (total,))


@pytest.mark.parametrize(
    ("points", "elements", "is_long"),
    [
        (1, 2 * BLOCK, False),
        (1, 2 * BLOCK + 1, True),
        (FEW_POINTS - 1, 2 * BLOCK + 1, True),
        (FEW_POINTS, 2 * BLOCK + 1, False),
        (FEW_POINTS, LONGEST, False),
        (FEW_POINTS, LONGEST + 1, True),
        (0, LONGEST + 1, False),
    ],
)
def test_what_is_long(points: int, elements: int, is_long: bool) -> None:
    assert (len(split_reductions(summed(points, elements))) > 1) == is_long


def test_an_open_reduction_is_left_alone() -> None:
    nest = summed(2, Var("N"))
    (found,) = split_reductions(nest)
    assert found.stages == nest.stages


@pytest.mark.parametrize(
    ("size", "wanted", "block"),
    [
        (1024, 256, 256),  # as wanted, and parts and elements in fours
        (4000, 256, 200),  # 20 parts
        (601, 256, 256),  # a prime: the last part is smaller
        (100, 256, 100),
        (1000, 1, 2),
    ],
)
def test_parts_are_of_one_size_where_they_can_be(size: int, wanted: int, block: int) -> None:
    assert _block(size, wanted) == block


def test_partial_results_lie_as_the_elements_do() -> None:
    """Neighbouring points read neighbouring elements, and find neighbouring partial results."""
    columns, _ = split(program_of(lambda x: x.sum(axis=0), [numbers(600, 3)], WORKGROUP))
    rows, _ = split(program_of(lambda x: x.sum(axis=1), [numbers(3, 600)], WORKGROUP))
    assert columns[0].stages[-1].target.shape[-1] == 3
    assert rows[0].stages[-1].target.shape[0] == 3
