"""Which axis of a stencil is taken several points at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.codegen_cpu.stencil_schedule import neighbour_axis
from tilewright.ir.program import nests

IMAGE = numbers(100, 90)


def window(x):
    return tw.compute((98, 88), lambda y, x_: tw.sum(lambda i, j: x[y + i, x_ + j], (3, 3)))


def reflected(x):
    return tw.compute(
        (100, 90),
        lambda y, x_: tw.sum(lambda i: tw.at(x, (y + i - 2, x_), boundary="reflect"), 5),
    )


def chosen(function: Callable[..., Any], x: np.ndarray) -> int | None:
    """The position of the axis among the outer ones."""
    nest = nests(program_of(function, [x]).steps)[-1]
    axis = neighbour_axis(nest, nest.outer[-1])
    return None if axis is None else nest.outer.index(axis)


@pytest.mark.parametrize(
    "function", [window, reflected, lambda x: x[2:] - x[:-2], lambda x: x[1:, 1:] * x[:-1, :-1]]
)
def test_rows_that_neighbours_read_too(function: Callable[..., Any]) -> None:
    assert chosen(function, IMAGE) == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1,
        lambda x: x[:, 1:] - x[:, :-1],  # along the row only
        lambda x: x[20:] - x[:-20],  # too far apart to be kept
    ],
)
def test_nothing_is_shared(function: Callable[..., Any]) -> None:
    assert chosen(function, IMAGE) is None


def test_rows_that_would_meet_in_the_cache() -> None:
    """Rows of 2048 bytes lie in the same places of the first cache."""
    assert chosen(lambda x: x[2:] - x[:-2], numbers(100, 512)) is None
    assert chosen(lambda x: x[2:] - x[:-2], numbers(100, 520)) == 0
