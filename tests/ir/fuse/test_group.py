"""Which tensors share a launch: only those that have the launch's points and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.fuse.options import CPU, FRAGMENT, WORKGROUP, FusionOptions
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.program import Nest, Stage, nests
from tilewright.ir.verify import verify_program

X = numbers(31, 33)


def part_of_a_reduction(x):
    return x.min(axis=1)[:18]


def part_of_a_row(x):
    e = np.exp(x)
    return tw.compute((12, 33), lambda i, j: e[i, j] / tw.sum(lambda k: e[i, k], 33)), e


def first_row_of_a_running_sum(x):
    return np.cumsum(x.max(axis=1, keepdims=True) - x, axis=1)[:1] * 2


@pytest.mark.parametrize("options", [CPU, WORKGROUP, FRAGMENT], ids=["cpu", "wgsl", "glsl"])
@pytest.mark.parametrize(
    "function", [part_of_a_reduction, part_of_a_row, first_row_of_a_running_sum]
)
def test_what_reads_a_part_does_not_run_over_the_whole(
    function: Callable[..., Any], options: FusionOptions
) -> None:
    """It joined its producer, whose points are more, and wrote behind its result."""
    program = program_of(function, [X], options)
    verify_program(program, strict=True)
    expected = function(X)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for found, want in zip(interpret_program(program, [X]), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5)


def test_what_reads_the_whole_still_joins() -> None:
    program = program_of(lambda x: x.min(axis=1) * 2, [X], FRAGMENT)
    assert len(nests(program.steps)) == 1


def gradients(x):
    across, down = x[1:, 1:] - x[1:, :-1], x[1:, 1:] - x[:-1, 1:]
    return across * across, down * down, across * down


def windowed_gradients(x):
    """Maps of one image that cost too much to be repeated, then windows that meet in a result."""
    across, down = np.exp(x[1:, 1:] - x[1:, :-1]), np.exp(x[1:, 1:] - x[:-1, 1:])

    def windowed(p):
        height, width = p.shape
        shape = height - 2, width - 2
        return tw.compute(shape, lambda i, j: tw.sum(lambda k, m: p[i + k, j + m], (3, 3)))

    xx, yy, xy = windowed(across * across), windowed(down * down), windowed(across * down)
    return xx * yy + xy


@pytest.mark.parametrize(("function", "launches"), [(gradients, 1), (windowed_gradients, 2)])
def test_siblings_share_a_launch(function: Callable[..., Any], launches: int) -> None:
    image = numbers(180, 170)
    program = program_of(function, [image], CPU)
    verify_program(program, strict=True)
    assert len(nests(program.steps)) == launches
    expected = function(image)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    for found, want in zip(interpret_program(program, [image]), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-3)


def test_maps_that_walk_differently_are_no_siblings() -> None:
    """One of them would be read along columns."""
    square = numbers(32, 32)
    program = program_of(lambda x: (x[1:, 1:] + 1, x.T[1:, 1:] * 2), [square], CPU)
    assert len(nests(program.steps)) == 2


@pytest.mark.parametrize("options", [CPU, WORKGROUP, FRAGMENT], ids=["cpu", "wgsl", "glsl"])
def test_a_view_of_a_later_launch_is_read_after_it(options: FusionOptions) -> None:
    """The reader joined the launch of its other operand, which comes before what it views."""

    def column_of_a_product(x, y, column):
        return np.take(np.kron(x, y), column % 6, axis=1) - x[:, 0]

    given = [numbers(31, 3), numbers(1, 2), np.array(4, np.int16)]
    program = program_of(column_of_a_product, given, options)
    verify_program(program, strict=True)
    (found,) = interpret_program(program, given)
    np.testing.assert_allclose(found, column_of_a_product(*given), rtol=1e-5)


def test_what_is_overwritten_as_a_whole_is_not_computed() -> None:
    """The sum was a launch without a result, which no fragment shader is."""

    def overwritten(x):
        total = x.sum(axis=1)
        total[0] = 3
        return total

    program = program_of(overwritten, [X[:1]], FRAGMENT)
    verify_program(program, strict=True)
    assert len(nests(program.steps)) == 1
    assert interpret_program(program, [X[:1]])[0] == 3


def test_a_map_of_columns_does_not_take_the_rows_along() -> None:
    """A launch of 33 points that each walk down all rows would keep few threads busy."""

    def scaled(x, spread):
        return x / np.sqrt(spread * spread + 1)

    by_columns = program_of(scaled, [X, numbers(33)], CPU)
    assert [len(nest.outer) for nest in nests(by_columns.steps)] == [1, 2]
    by_rows = program_of(scaled, [X, numbers(31, 1)], CPU)
    assert [len(nest.outer) for nest in nests(by_rows.steps)] == [1]
    (found,) = interpret_program(by_columns, [X, numbers(33)])
    np.testing.assert_allclose(found, scaled(X, numbers(33)), rtol=1e-6)


def test_few_columns_are_normalised_row_by_row() -> None:
    """Threads that walked down neighbouring columns wrote to the same lines of memory."""

    def centred(x):
        return x - x.mean(axis=0)

    few, many = numbers(40, 128), numbers(4, 5000)
    assert len(nests(program_of(centred, [few], CPU).steps)) == 2
    assert len(nests(program_of(centred, [many], CPU).steps)) == 1
    assert len(nests(program_of(centred, [few], WORKGROUP).steps)) == 1


def test_siblings_behind_a_sort_share_a_launch() -> None:
    """The sum before it is over the same points, but it can not take them with it."""

    def around(x, y):
        return x.sum(axis=1), np.sort(x, axis=1), y.sum(axis=1), y.max(axis=1)

    given = [X, numbers(31, 33, seed=1)]
    program = program_of(around, given, CPU)
    verify_program(program, strict=True)
    assert sorted(len(reductions(nest)) for nest in nests(program.steps)) == [1, 2]
    for found, want in zip(interpret_program(program, given), around(*given), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5)


def reductions(nest: Nest) -> list[Stage]:
    return [stage for stage in nest.stages if stage.reduce_axes]


@pytest.mark.parametrize(
    ("shape", "launches"),
    [
        ((3, 64), 1),
        ((3, 65), 2),  # few points, and much to do at each: elements are spread over threads
        ((4, 65), 1),
        ((4, 640), 1),
    ],
)
@pytest.mark.parametrize("last", [np.sum, np.subtract], ids=["reduction", "map"])
def test_few_points_with_much_to_do_do_not_take_everything(
    shape: tuple[int, int], launches: int, last: Any
) -> None:
    options = replace(CPU, large_own=64, few_points=4)

    def centred(x):
        least = x.min(axis=1, keepdims=True)
        return np.sum(np.abs(x - least), axis=1) if last is np.sum else x - least

    assert len(nests(program_of(centred, [numbers(*shape)], options).steps)) == launches


@pytest.mark.parametrize(("size", "launches"), [(16, 1), (17, 2)])
def test_a_launch_of_one_point_does_little(size: int, launches: int) -> None:
    options = replace(CPU, large_own=64)
    program = program_of(lambda x: np.abs(x - x.min()).sum(), [numbers(size)], options)
    assert len(nests(program.steps)) == launches
