"""Rows that several stages read are copied once, and only where that is safe and worth it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import F32, F64, I64, INDEX, DType
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.turn_rows import turn_rows
from tilewright.ir.program import Nest, Program, Stage, map_steps, nests
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.traverse import substitute

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


POINT, ROW = Var("i", 40), Var("r", 21)
SOURCE = Buffer("x", (40, 21), F32)


def two_readers(node: Load, axis: Var = ROW) -> Nest:
    """Two reductions over the elements that `node` reads, `axis` being the row."""
    most, total, out = Buffer("m", (), F32), Buffer("t", (), F32), Buffer("o", (40,), F32)
    again = Var(axis.name, axis.extent)
    other = substitute(node, {axis: again})
    stages = (
        Stage((), (axis,), "max", node, most, ()),
        Stage((), (again,), "add", build.sub(other, Load(most, ())), total, ()),
        Stage((), (), None, Load(total, ()), out, (POINT,)),
    )
    return Nest("n", (POINT,), stages, (most, total))


def is_turned(nest: Nest, schedule: Schedule = LANES) -> bool:
    changed = turn_rows(nest, schedule)
    assert (changed is nest) == (len(changed.stages) == len(nest.stages))
    return changed is not nest


INDIRECT = build.cast(Load(Buffer("p", (40,), I64), (POINT,)), INDEX)
CLAMPED = build.maximum(build.minimum(INDIRECT, build.index(39)), build.index(0))


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((POINT, ROW), True),
        ((build.add(POINT, build.index(0)), ROW), True),
        ((build.sub(build.index(39), POINT), ROW), True),
        ((POINT, build.sub(build.index(20), ROW)), False),  # from the end: not side by side
        ((INDIRECT, ROW), False),
        ((CLAMPED, ROW), False),
        ((build.minimum(INDIRECT, build.index(39)), ROW), False),
        ((build.maximum(INDIRECT, build.index(0)), ROW), False),
        ((build.index(3), ROW), False),  # all lanes read one element
    ],
)
def test_rows_of_outer_points_are_copied(place: tuple[Expr, ...], expected: bool) -> None:
    assert is_turned(two_readers(Load(SOURCE, place))) == expected


@pytest.mark.parametrize(
    ("first", "columns", "expected"),
    [(0, 21, True), (-1, 21, False), (1, 21, False), (1, 22, True), (3, 24, True), (4, 24, False)],
)
def test_only_rows_that_exist_as_a_whole(first: int, columns: int, expected: bool) -> None:
    """A choice by position may have kept the reader from what does not."""
    source = Buffer("x", (40, columns), F32)
    place = build.add(ROW, build.index(first))
    assert is_turned(two_readers(Load(source, (POINT, place)))) == expected


def test_rows_of_open_tensors_are_not_copied() -> None:
    n = Var("N", least=1)
    opened = Buffer("x", (40, n), F32)
    assert not is_turned(two_readers(Load(opened, (POINT, ROW))))
    row = Var("r", n)
    assert not is_turned(two_readers(Load(opened, (POINT, row)), row))
    rows = Buffer("x", (n, 21), F32)
    assert not is_turned(two_readers(Load(rows, (POINT, ROW))))
    assert not is_turned(two_readers(Load(SOURCE, (POINT, Var("j", 21))), Var("r", n)))


def test_rows_that_the_nest_writes_are_not_copied() -> None:
    nest = two_readers(Load(SOURCE, (POINT, ROW)))
    *others, last = nest.stages
    stored = replace(last, target=SOURCE, indices=(POINT, build.index(0)))
    assert not is_turned(replace(nest, stages=(*others, stored)))


@pytest.mark.parametrize(
    ("length", "dtype", "expected"),
    [(64, F32, True), (65, F32, False), (32, F64, True), (33, F64, False)],
)
def test_copies_fit_half_of_a_small_cache(length: int, dtype: DType, expected: bool) -> None:
    """Of 16 KiB for 64 points."""
    axis, source = Var("r", length), Buffer("x", (40, length), dtype)
    value = build.cast(Load(source, (POINT, axis)), F32)
    schedule = Schedule(tile=(64,), vector=0, width=8)
    nest = two_readers(Load(SOURCE, (POINT, ROW)))
    first, second, last = nest.stages
    again = Var("r", length)
    nest = replace(
        nest,
        stages=(
            replace(first, reduce_axes=(axis,), value=value),
            replace(second, reduce_axes=(again,), value=substitute(value, {axis: again})),
            last,
        ),
    )
    assert is_turned(nest, schedule) == expected


@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 11])
def test_every_element_of_a_row_is_copied_once_but_the_last(length: int) -> None:
    source, axis = Buffer("x", (40, 21), F32), Var("r", length)
    nest = two_readers(Load(source, (POINT, axis)), axis)
    changed = turn_rows(nest, LANES)
    copy = changed.stages[0]
    assert [a.extent for a in copy.axes] == ([length] if length < 4 else [-(-length // 4), 4])
    x = numbers(40, 21)
    for steps in ((nest,), (changed,)):
        program = Program("p", (), (source,), (nest.stages[-1].target,), (), (), steps)
        part = x[:, :length]
        expected = (part - part.max(axis=1, keepdims=True)).sum(axis=1)
        np.testing.assert_array_equal(interpret_program(program, [x])[0], expected)
