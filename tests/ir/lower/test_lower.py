"""Nests lowered under many schedules, at sizes around those of vectors, compute what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.conftest import Golden
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.compiler.trace.run import trace
from tilewright.ir.fuse.options import CPU
from tilewright.ir.fuse.program_builder import build_program
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import For
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.passes import run_passes
from tilewright.ir.printer import print_kernel
from tilewright.ir.program import Launch, Nest, Program, Step, nests
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.verify import verify_program

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17)


def sums(x):
    return x.sum(axis=1)


def sums_of_columns(x):
    return x.sum(axis=0)


def total(x):
    return x.sum()


def greatest_and_sums(x):
    return x.max(axis=1) * 64 + x.sum(axis=1)


def centred(x):
    """Three stages over a row, the middle one kept."""
    e = x - x.max(axis=1, keepdims=True)
    return e * e - (e * e).sum(axis=1, keepdims=True)


def places_of_the_least(x):
    return x.argmin(axis=1), x.argmax(axis=1)


def place_of_the_least(x):
    return x.argmin(axis=1)


def place_of_the_greatest_integer(x):
    return x.astype(np.int32).argmax(axis=1)


def place_of_nan(x):
    return np.where(x == 4, np.float32(np.nan), x).argmax(axis=1)


def running(x):
    return np.cumsum(x, axis=1)


def running_down(x):
    return np.cumsum(x, axis=0)


def turned(x):
    return x[:, ::-1] + x


def joined(x):
    return np.concatenate([x[:, :1], x * 2, -x], axis=1)


def joined_of_wide_parts(x):
    """Each part keeps one form in its own vectors."""
    return np.concatenate([x, -x, x * 2, np.roll(x, 2, axis=1)], axis=1)


def joined_and_centred(x):
    """A choice by position along an axis of a stage."""
    c = np.concatenate([x[:, :2], x * 2], axis=1)
    return c - c.max(axis=1, keepdims=True)


def stacked(x):
    """A choice by position along a short axis."""
    return np.stack([x, x * 2, x + x[:, ::-1]])


def products_that_are_not_added(x):
    y = x[::-1]
    return (x * y).max(axis=1), (x.astype(np.int32) * y.astype(np.int32)).sum(axis=1)


def windows(x):
    """Elements on both sides, mirrored at the ends."""
    return tw.compute(
        x.shape,
        lambda i, j: tw.sum(lambda k: tw.at(x, (i, j + k - 1), boundary="reflect") * (k + 1), 3),
    )


def products(x):
    return x @ x.T


def products_of_columns(x):
    return x.T @ x + x[0]


def with_nan(x):
    some = np.where(x == 4, np.float32(np.nan), x)
    return some.max(axis=1), some.min(axis=1), some.argmax(axis=1), np.fmax.reduce(some, axis=1)


def halves(x):
    return x.astype(np.int8).sum(axis=1, dtype=np.int8) + (x > 0).sum(axis=1).astype(np.int8)


def signs(x):
    return (x > 0).any(axis=1), (x < 4).all(axis=1), np.minimum(x, 2).min(axis=1)


FUNCTIONS = (
    *(sums, sums_of_columns, total, greatest_and_sums, centred, places_of_the_least, running),
    *(
        running_down,
        turned,
        joined,
        joined_of_wide_parts,
        windows,
        products,
        products_of_columns,
        halves,
        signs,
    ),
    *(joined_and_centred, stacked, products_that_are_not_added),
    *(with_nan, place_of_the_least, place_of_the_greatest_integer, place_of_nan),
)


def schedules(rank: int) -> list[Schedule]:
    """Of a nest with so many outer axes: scalars, vectors along rows, vectors along an axis."""
    one = (1,) * rank
    found = [
        Schedule(tile=one),
        Schedule(tile=one, vector=INNER, width=4),
        Schedule(tile=one, vector=INNER, width=4, unroll=2, reduce_block=4),
        Schedule(tile=one, vector=INNER, width=8, unroll_reduce=4, chunks=2),
        Schedule(tile=(2,) * rank, vector=INNER, width=4),
    ]
    for axis in range(rank):
        tile = tuple(8 if k == axis else 2 for k in range(rank))
        found.append(Schedule(tile=tile, vector=axis, width=4, unroll_reduce=3))
        tile = tuple(4 if k == axis else 1 for k in range(rank))
        order = (axis, *(k for k in range(rank) if k != axis))
        found.append(Schedule(tile=tile, vector=axis, width=4, chunks=3, order=order))
    return found


def lowered(program: Program, number: int) -> Program | None:
    """Every nest under the schedule of this number; None where none of them has so many."""
    steps: list[Step] = []
    changed = False
    for step in program.steps:
        if isinstance(step, Nest):
            options = schedules(len(step.outer))
            changed = changed or number < len(options)
            step = Launch(lower_nest(step, options[number % len(options)], "k"))
        steps.append(step)
    return replace(program, steps=tuple(steps)) if changed else None


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_schedule_computes_the_same(function: Callable[..., Any], number: int) -> None:
    for size in SIZES:
        array = numbers(3, size, seed=size)
        program = program_of(function, [array])
        changed = lowered(program, number)
        if changed is None:
            return
        if size in (5, 8):
            verify_program(changed, strict=True)
        before, after = interpret_program(program, [array]), interpret_program(changed, [array])
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"{size} columns")


@pytest.mark.parametrize("unroll", [1, 2])
@pytest.mark.parametrize("function", [sums, greatest_and_sums, centred, turned, running])
def test_open_rows_compute_the_same(function: Callable[..., Any], unroll: int) -> None:
    """Of any length, in whole vectors and what is left of one."""
    n = tw.dim("N", least=1)
    graph = run_passes(trace(function, {"x": tw.f32[3, n]}).graph)
    program = build_program(graph, CPU, "p")
    schedule = Schedule(vector=INNER, width=4, unroll=unroll)
    steps = tuple(
        Launch(lower_nest(s, schedule, "k")) for s in program.steps if isinstance(s, Nest)
    )
    changed = replace(program, steps=steps)
    verify_program(changed)
    for size in SIZES:
        array = numbers(3, size, seed=size)
        before, after = interpret_program(program, [array]), interpret_program(changed, [array])
        np.testing.assert_array_equal(before[0], after[0], err_msg=f"{size} columns")


GOLDEN: list[tuple[Callable[..., Any], tuple[int, ...], Schedule]] = [
    (sums, (6, 100), Schedule(vector=INNER, width=4, unroll=2, chunks=2)),
    (sums, (6, 100), Schedule(tile=(4,), vector=0, width=4, unroll_reduce=4)),
    (sums_of_columns, (50, 11), Schedule(tile=(8,), vector=0, width=4, reduce_block=8)),
    (total, (70, 3), Schedule(vector=INNER, width=4)),
    (centred, (5, 19), Schedule(tile=(2,), vector=INNER, width=4, chunks=3)),
    (places_of_the_least, (3, 19), Schedule(vector=INNER, width=4, unroll=2)),
    (place_of_the_least, (3, 19), Schedule(vector=INNER, width=4, unroll=2)),
    (place_of_the_greatest_integer, (3, 19), Schedule(vector=INNER, width=4)),
    (running, (6, 9), Schedule(tile=(4,), vector=0, width=4)),
    (joined, (3, 15), Schedule(tile=(1, 4), vector=1, width=4)),
    (windows, (3, 40), Schedule(tile=(1, 8), vector=1, width=4, unroll_reduce=3)),
    (windows, (33, 6), Schedule(tile=(2, 4), vector=0, width=2)),
    (products_of_columns, (30, 14), Schedule(tile=(3, 8), vector=1, width=4, order=(1, 0))),
    (products, (9, 50), Schedule(tile=(2, 2), vector=INNER, width=4, cache_block=(4, 4))),
    (greatest_and_sums, (4, 21), Schedule(tile=(2,), vector=0, width=2, chunks=2)),
    (sums, (2, 129), Schedule(vector=INNER, width=4, unroll=2)),
    (sums, (3, 1), Schedule(vector=INNER, width=4)),
    (centred, (6, 4), Schedule(tile=(2,))),
    (centred, (6, 5), Schedule(tile=(2,))),
    (joined_and_centred, (3, 30), Schedule(tile=(1,), vector=INNER, width=4)),
    (stacked, (4, 9), Schedule(tile=(3, 2, 4), vector=2, width=4)),
    (products_that_are_not_added, (4, 9), Schedule(vector=INNER, width=4)),
    (turned, (4, 9), Schedule(tile=(1, 4), vector=1, width=4, chunks=4)),
    (
        joined_of_wide_parts,
        (3, 15),
        Schedule(tile=(1, 8), vector=1, width=4, chunks=3, order=(1, 0)),
    ),
]


@pytest.mark.parametrize("number", range(len(GOLDEN)))
def test_loops_of_some_schedules(number: int, golden: Golden) -> None:
    function, shape, schedule = GOLDEN[number]
    program = program_of(function, [np.broadcast_to(np.float32(0), shape)])
    nest = next(n for n in reversed(nests(program.steps)) if schedule_fits(n, schedule))
    text = print_kernel(lower_nest(nest, schedule, "k"))
    golden(f"lower/{number:02}_{function.__name__}", text)


def schedule_fits(nest: Nest, schedule: Schedule) -> bool:
    return len(schedule.tile) in (0, len(nest.outer))


@pytest.mark.parametrize(
    ("function", "dtype", "loops"),
    [
        (lambda x: x.max(), np.float32, 1),
        (lambda x: x.max(), np.int32, 1),
        (lambda x: x.sum(dtype=np.int32), np.int32, 1),
        (lambda x: x.sum(), np.float32, 3),  # four runs of eight runs of 16
    ],
)
def test_only_what_rounds_is_cut_into_runs(
    function: Callable[..., Any], dtype: Any, loops: int
) -> None:
    (nest,) = nests(program_of(function, [numbers(500, dtype=dtype)]).steps)
    kernel = lower_nest(nest, Schedule(), "k")
    depth = 0

    def deepest(body: Any, around: int) -> None:
        nonlocal depth
        depth = max(depth, around)
        for stmt in body:
            if isinstance(stmt, For):
                deepest(stmt.body, around + 1)

    deepest(kernel.body, 0)
    assert depth == loops
