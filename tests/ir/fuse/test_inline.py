"""What is stored and what is computed again where it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import ops
from tilewright.ir.expr import Apply, post_order
from tilewright.ir.fuse.options import CPU, FRAGMENT, WORKGROUP, FusionOptions
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.program import Nest, Program, nests

X = numbers(40, 64)
OPTIONS = pytest.mark.parametrize(
    "options", [CPU, WORKGROUP, FRAGMENT], ids=["cpu", "wgsl", "glsl"]
)


def cheap_read_twice(x):
    y = x + 1
    return y * y[::-1]


def costly_read_once(x):
    return np.exp(np.sin(x)) + 1


def costly_read_by_columns(x):
    return np.exp(x).sum(axis=0) + np.exp(x[0])


def costly_read_by_three(x):
    e = np.exp(x)
    return e[:-2] + e[1:-1] + e[2:]


def cheap_read_by_three(x):
    y = x * 2
    return y[:-2] + y[1:-1] + y[2:]


def costly_squared(x):
    y = np.exp(x)
    return np.sqrt(y * y + 1)


def costly_read_by_three_through_a_sum(x):
    y = np.exp(x) + 1
    return y[:-2] + y[1:-1] + y[2:]


def _steps(program: Program) -> list[Nest]:
    return list(nests(program.steps))


def _exponentials(program: Program) -> int:
    """The places in the program's text at which an exponential is computed."""
    bodies = [stage.value for nest in _steps(program) for stage in nest.stages]
    return sum(isinstance(n, Apply) and n.op is ops.EXP for n in post_order(bodies))


WITHOUT_MEMORY = [cheap_read_twice, costly_read_once, cheap_read_by_three, costly_squared]


@OPTIONS
@pytest.mark.parametrize("function", WITHOUT_MEMORY)
def test_one_launch_and_nothing_stored(
    function: Callable[..., Any], options: FusionOptions
) -> None:
    program = program_of(function, [X], options)
    assert len(_steps(program)) == 1
    assert not program.temporaries


@pytest.mark.parametrize("function", [costly_read_by_three, costly_read_by_three_through_a_sum])
@pytest.mark.parametrize("options", [CPU, WORKGROUP], ids=["cpu", "wgsl"])
def test_costly_values_that_are_read_several_times_wait_in_scratch_memory(
    options: FusionOptions, function: Callable[..., Any]
) -> None:
    program = program_of(function, [X], options)
    (nest,) = _steps(program)
    assert _exponentials(program) == 1
    assert [(b.space, b.shape) for b in nest.locals] == [("scratch", (40,))]
    assert not program.temporaries


def test_without_rows_they_are_stored_by_a_launch_of_their_own() -> None:
    program = program_of(costly_read_by_three, [X], FRAGMENT)
    assert _exponentials(program) == 1
    assert len(_steps(program)) == 2
    assert [b.shape for b in program.temporaries] == [X.shape]


@pytest.mark.parametrize(
    "function",
    [
        cheap_read_twice,
        costly_read_once,
        costly_read_by_columns,
        costly_read_by_three,
        cheap_read_by_three,
    ],
)
@OPTIONS
def test_the_result_does_not_depend_on_it(
    function: Callable[..., Any], options: FusionOptions
) -> None:
    program = program_of(function, [X], options)
    (found,) = interpret_program(program, [X])
    np.testing.assert_allclose(found, function(X.astype(np.float64)), rtol=1e-5)


def test_reads_at_places_that_reads_give_are_inlined_once() -> None:
    """Each step of a search reads where the steps before it have led."""

    def function(table: Any, x: Any) -> Any:
        scaled = table / 3.0
        return np.searchsorted(scaled, np.searchsorted(scaled, x) / 5.0)

    program = program_of(function, [np.arange(300.0), np.arange(8.0)])
    values = [s.value for n in nests(program.steps) for s in n.stages]
    assert sum(1 for _ in post_order(values)) < 500


def read_around(operations: int, reads: int) -> Callable[..., Any]:
    """A value of so many products, read at so many places by each element of the result."""

    def function(x):
        y = x
        for _ in range(operations):
            y = y * x
        return tw.compute((50,), lambda i: sum(y[(i + k) % 50] for k in range(reads)))

    return function


@pytest.mark.parametrize(
    ("operations", "reads", "is_stored"),
    [
        (11, 2, False),
        (12, 2, True),
        (5, 3, False),
        (6, 3, True),
        (4, 4, True),
        # What costs less than four operations is as cheap to compute as to read, up to 64 of them.
        (3, 5, False),
        (3, 22, False),
        (3, 23, True),
        (1, 64, False),
        (1, 65, True),
        (400, 1, False),
        (401, 1, True),
    ],
)
def test_what_is_computed_again(operations: int, reads: int, *, is_stored: bool) -> None:
    """Twelve operations of a costly value, or many of a cheap one, are worth a launch that stores
    it; so is what would make too large a body."""
    program = program_of(read_around(operations, reads), [numbers(50)], FRAGMENT)
    assert (len(_steps(program)) == 2) == is_stored


def test_an_element_that_is_read_twice_at_one_place_is_computed_once() -> None:
    def function(x):
        y = np.exp(x)
        return tw.compute((50,), lambda i: y[i] * y[i] + y[i])

    assert len(_steps(program_of(function, [numbers(50)], FRAGMENT))) == 1


def test_a_choice_by_position_reads_one_side() -> None:
    """Each half of the result reads the costly value once."""

    def halves(x):
        y = np.exp(x)
        return np.concatenate([y, y * 2])

    def apart(x):
        y = np.exp(x)
        return np.concatenate([y, y * 2]) + np.concatenate([y[::-1], y])

    assert len(_steps(program_of(halves, [numbers(50)], FRAGMENT))) == 2
    assert len(_steps(program_of(apart, [numbers(50)], FRAGMENT))) == 2

    def once(x):
        y = np.exp(x)
        return np.concatenate([y, x])

    assert len(_steps(program_of(once, [numbers(50)], FRAGMENT))) == 1


@pytest.mark.parametrize(("reads", "is_stored"), [(8, False), (9, True)])
def test_what_is_computed_again_reads_again(reads: int, is_stored: bool) -> None:
    """Two operations for each of 50 rows; four elements of each are made of it, and those are cheap
    enough to be made again wherever they are read."""

    def function(x, w):
        rows = x * 2 + 1
        made = rows[:, None] * w
        places = range(reads)
        return tw.compute((50, 4), lambda i, j: sum(made[(i + k) % 50, j] for k in places))

    given = [numbers(50), numbers(50, 4)]
    program = program_of(function, given)
    stored = [stage.target.shape for nest in nests(program.steps) for stage in nest.stages]
    assert stored == [*([(50,)] if is_stored else []), (50, 4)]
    np.testing.assert_array_equal(interpret_program(program, given)[0], function(*given))
