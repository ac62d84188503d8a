"""What columns compute for all of their rows is computed once, with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir.fuse.options import CPU, FusionOptions
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.program import nests

IMAGE = numbers(20, 200, 3)
PLAIN = FusionOptions()


def smaller(image: Any) -> Any:
    """Linear along columns: a place and a weight for each, 4 operations and more."""

    def at(y: Any, x: Any, c: Any) -> Any:
        sx = np.float32(1.5) * (x + 0.5) - np.float32(0.5)
        left = np.floor(sx)
        j = left.astype(np.int32)
        one, two = (tw.at(image, (y, j + k, c), boundary="clamp") for k in range(2))
        return one + (two - one) * (sx - left)

    return tw.compute((20, 130, 3), at)


def windowed(image: Any) -> Any:
    """A formula that is read at each row."""
    return tw.compute(
        (20, 200, 3),
        lambda y, x, c: image[y, x, c] * (0.5 - 0.5 * np.cos(x * np.float32(0.26))),
    )


def of_both(image: Any) -> Any:
    """The formula knows rows as well."""
    return tw.compute(
        (20, 200, 3), lambda y, x, c: image[y, x, c] * np.exp(-np.float32(0.1) * (x + y) * (x + y))
    )


def cheap(image: Any) -> Any:
    return tw.compute((20, 200, 3), lambda y, x, c: image[y, x, c] * (x + 1).astype(np.float32))


def of_rows(image: Any) -> Any:
    """Moved out of the inner loop as it is."""
    return tw.compute(
        (20, 200, 3), lambda y, x, c: image[y, x, c] * np.cos(y * np.float32(0.26) + 1)
    )


def few_rows(image: Any) -> Any:
    return tw.compute((4, 200, 3), lambda y, x, c: image[y, x, c] * np.cos(x * np.float32(0.26)))


def few_columns(image: Any) -> Any:
    return tw.compute((20, 24, 3), lambda y, x, c: image[y, x, c] * np.cos(x * np.float32(0.26)))


@pytest.mark.parametrize(
    ("function", "stored"),
    [
        (smaller, 2),
        (windowed, 1),
        (of_both, 0),
        (cheap, 0),
        (of_rows, 0),
        (few_rows, 0),
        (few_columns, 0),
    ],
)
def test_columns(function: Callable[..., Any], stored: int) -> None:
    program = program_of(function, [IMAGE], CPU)
    assert [len(t.shape) for t in program.temporaries] == [1] * stored
    found = interpret_program(program, [IMAGE])[0]
    plain = program_of(function, [IMAGE], PLAIN)
    assert not plain.temporaries
    np.testing.assert_array_equal(found, interpret_program(plain, [IMAGE])[0])


def weighted_columns(image: Any, weights: Any) -> Any:
    """The weights are computed once, not as the first row of a walk down every column."""
    w = np.exp(weights)
    return image * w + w


def centred_columns(image: Any, weights: Any) -> Any:
    """Few columns: a walk down each of them would keep few threads busy."""
    return image - image.max(axis=0) * weights


@pytest.mark.parametrize("function", [weighted_columns, centred_columns])
def test_images_are_mapped_by_rows(function: Callable[..., Any]) -> None:
    arrays = [numbers(40, 200), numbers(200)]
    program = program_of(function, arrays)
    outer = [tuple(a.extent for a in n.outer) for n in nests(program.steps)]
    assert outer == [(200,), (40, 200)]
    wanted = function(*arrays)
    np.testing.assert_allclose(interpret_program(program, arrays)[0], wanted, rtol=1e-6)
