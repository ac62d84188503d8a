"""Neighbouring axes become one where every access walks them as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Size, Var
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.program import Nest, Stage, nests

X = numbers(4, 5, 3)
PLACES = np.abs(numbers(4, 5, 3)).astype(np.uint8)
TABLE = numbers(256)
ROWS = numbers(4, 256)


def softened(x: Any) -> Any:
    """Rows of two axes that are kept and read again: locals keep their shape."""
    e = np.exp(x - x.max(axis=(1, 2), keepdims=True))
    return e / e.sum(axis=(1, 2), keepdims=True)


def counts(nest: Nest) -> list[list[int]]:
    """How many axes: outer ones, then those of each stage and what it reduces."""
    return [[len(nest.outer)], *([len(s.axes), len(s.reduce_axes)] for s in nest.stages)]


def at(index: Callable[[Any, Any, Any, Any], Any]) -> Callable[..., Any]:
    return lambda x: tw.compute(x.shape, lambda i, j, k: index(x, i, j, k))


@pytest.mark.parametrize(
    ("function", "shape", "wanted"),
    [
        (lambda x: x.sum(axis=(1, 2)), (4, 5, 3), [[1], [0, 1], [0, 0]]),
        (lambda x: x.sum(axis=(0, 1)), (4, 5, 3), [[1], [0, 1], [0, 0]]),
        (lambda x: x.sum(axis=(0, 2)), (4, 5, 3), [[1], [0, 2], [0, 0]]),
        (lambda x: x.sum(axis=2), (4, 5, 3), [[1], [0, 1], [0, 0]]),
        (lambda x: x.sum(), (4, 5, 3), [[0], [0, 1], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + (i * 15 + j * 3 + k)), (4, 5, 3), [[1], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + (i * 5 + j)), (4, 5, 3), [[2], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + (j * 3 + k)), (4, 5, 3), [[2], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + (j * 3 + k) % 4), (4, 5, 3), [[3], [0, 0]]),
        (softened, (4, 5, 3), [[1], [0, 1], [2, 0], [0, 2], [2, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + i), (4, 5, 3), [[2], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + j), (4, 5, 3), [[3], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + k), (4, 5, 3), [[2], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + x[0, j, k]), (4, 5, 3), [[2], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, k] + x[0, 0, 0]), (4, 5, 3), [[1], [0, 0]]),
        (at(lambda x, i, j, k: x[i, j, 2 - k]), (4, 5, 3), [[2], [0, 0]]),
        (at(lambda x, i, j, k: x[(i * 5 + j) // 5, j, k]), (4, 5, 3), [[3], [0, 0]]),
        (lambda x: x + 1, (4, 1, 3), [[1], [0, 0]]),
    ],
)
def test_axes_that_every_access_walks_as_one(
    function: Callable[..., Any], shape: tuple[int, ...], wanted: list[list[int]]
) -> None:
    array = numbers(*shape)
    program = program_of(function, [array])
    (nest,) = nests(program.steps)
    collapsed = collapse_axes(nest)
    assert counts(collapsed) == wanted
    found = interpret_program(replace(program, steps=(collapsed,)), [array])[0]
    np.testing.assert_array_equal(found, interpret_program(program, [array])[0])


def test_an_axis_that_is_kept() -> None:
    (nest,) = nests(program_of(lambda x: x + 1, [X]).steps)
    i, j, k = nest.outer
    assert len(collapse_axes(nest, i).outer) == 2
    assert collapse_axes(nest, i).outer[0] is i
    assert collapse_axes(nest, j).outer == (i, j, k)
    assert collapse_axes(nest, k).outer[-1] is k
    assert collapse_axes(nest, k).outer[0].extent == 20


def test_an_open_axis_is_merged_with_those_inside_of_it() -> None:
    n = Var("N", least=0)
    cases: list[tuple[tuple[Size, ...], int]] = [((n, 3, 2), 1), ((3, n, 2), 2), ((3, 2, n), 3)]
    for shape, outer in cases:
        axes = tuple(Var(f"i{k}", size) for k, size in enumerate(shape))
        source, target = (Buffer(name, shape, F32) for name in "so")
        stage = Stage((), (), None, Load(source, axes), target, axes)
        assert len(collapse_axes(Nest("n", axes, (stage,), ())).outer) == outer


def test_axes_on_which_another_one_depends_stay() -> None:
    """The triangle of a matrix, summed row by row."""
    i, j = Var("i", 4), Var("j", 5)
    r = Var("r", build.add(j, build.index(1)))
    source, target = Buffer("s", (4, 5, 6), F32), Buffer("o", (4, 5), F32)
    stage = Stage((), (r,), "add", Load(source, (i, j, r)), target, (i, j))
    assert collapse_axes(Nest("n", (i, j), (stage,), ())).outer == (i, j)


@pytest.mark.parametrize(
    ("function", "arrays", "axes"),
    [
        (lambda x: x + 1, [X], 1),
        (lambda x: x.T + 1, [X], 1 + 2),
        (lambda x: x[:, 1:] * 2, [X], 2),
        (lambda t, p: t[p], [TABLE, PLACES], 1),
        (lambda t, p: t[p] + p, [TABLE, PLACES], 1),
        (lambda t, p: t[np.arange(4)[:, None, None], p], [ROWS, PLACES], 2),
    ],
)
def test_axes_left(function: Callable[..., Any], arrays: list[np.ndarray], axes: int) -> None:
    program = program_of(function, arrays)
    steps = tuple(collapse_axes(n) for n in nests(program.steps))
    assert len(steps[-1].outer) == axes
    found = interpret_program(replace(program, steps=steps), arrays)[0]
    np.testing.assert_array_equal(found, function(*arrays))
