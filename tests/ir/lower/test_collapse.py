"""Neighbouring axes become one where every access walks them as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.program import nests

X = numbers(4, 5, 3)
PLACES = np.abs(numbers(4, 5, 3)).astype(np.uint8)
TABLE = numbers(256)
ROWS = numbers(4, 256)


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
