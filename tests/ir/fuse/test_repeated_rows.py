"""Rows that a larger picture repeats are computed once, with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.fuse.options import CPU, WORKGROUP, FusionOptions
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.program import Program, nests

SMALL = numbers(8, 12)
PLAIN = FusionOptions()


def enlarged(image: Any, height: int, width: int) -> Any:
    """Bilinear."""
    rows, columns = np.float32(image.shape[0] / height), np.float32(image.shape[1] / width)

    def at(y: Any, x: Any) -> Any:
        sy, sx = rows * (y + 0.5), columns * (x + 0.5)
        top, left = np.floor(sy), np.floor(sx)
        i, j = top.astype(np.int32), left.astype(np.int32)
        read = lambda a, b: tw.at(image, (i + a, j + b), boundary="clamp")
        upper = read(0, 0) + (read(0, 1) - read(0, 0)) * (sx - left)
        lower = read(1, 0) + (read(1, 1) - read(1, 0)) * (sx - left)
        return upper + (lower - upper) * (sy - top)

    return tw.compute((height, width), at)


def larger(image):
    return np.exp(enlarged(image, 40, 30)) + 1


def hardly_larger(image):
    """Every row is computed about once as it is."""
    return np.exp(enlarged(image, 10, 30)) + 1


def rows_alone(image):
    """Neighbours are as cheap to read from where they are."""

    def at(y: Any, x: Any) -> Any:
        row = np.floor(np.float32(0.2) * y).astype(np.int32)
        return tw.at(image, (row, x), boundary="clamp") * tw.at(image, (row, x), boundary="clamp")

    return tw.compute((40, 12), at)


def _shapes(program: Program) -> list[tuple[object, ...]]:
    return [tuple(b.shape) for b in program.temporaries]


def test_the_rows_of_the_smaller_picture_are_stored_once() -> None:
    """Upper and lower rows are the same tensor."""
    program = program_of(larger, [SMALL])
    first, second = nests(program.steps)
    assert _shapes(program) == [(8, 30)]
    assert [a.extent for a in first.outer] == [8, 30]
    assert [a.extent for a in second.outer] == [40, 30]


@pytest.mark.parametrize(
    ("function", "options"), [(hardly_larger, CPU), (rows_alone, CPU), (larger, WORKGROUP)]
)
def test_what_it_is_not_worth_it_for(function: Callable[..., Any], options: FusionOptions) -> None:
    program = program_of(function, [SMALL], options)
    assert not program.temporaries
    assert len(list(nests(program.steps))) == 1


@pytest.mark.parametrize("function", [larger, hardly_larger, rows_alone])
def test_the_bits_are_the_same(function: Callable[..., Any]) -> None:
    found, expected = (
        interpret_program(program_of(function, [SMALL], options), [SMALL])
        for options in (CPU, PLAIN)
    )
    np.testing.assert_array_equal(found[0], expected[0])
