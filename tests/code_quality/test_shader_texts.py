"""The shaders of small functions, in full: golden files for every way in which they read and write.

There are no elementary functions here: their texts change whenever a polynomial is improved. What
the shaders compute is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.conftest import Golden
from tests.ir.lower.test_lower import (
    joined,
    place_of_the_least,
    products_of_columns,
    running,
    stacked,
    sums,
    sums_of_columns,
    turned,
    windows,
)
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_glsl import backend as glsl
from tilewright.codegen_wgsl import backend as wgsl
from tilewright.ir.artifact import GpuProgram
from tilewright.ir.fuse.options import FRAGMENT, WORKGROUP

IMAGE = np.zeros((7, 9, 3), np.uint8)
ROWS = np.zeros((6, 13), np.float32)
SQUARE = np.zeros((8, 8), np.float32)
HALVES = np.zeros((5, 11), np.float16)
PLACES = np.zeros(13, np.int32)


def planes(image):
    return np.moveaxis(image, -1, 0) * np.float32(0.5) - np.float32(1)


def every_other(x):
    return x[::2, ::-3] + x[1::2, ::3][:, ::-1]


def picked(x, places):
    return x[places % 6] + x[0, places % 13][:, None]


def neighbours(x):
    return tw.compute(
        (6, 13),
        lambda i, j: (
            tw.at(x, (i - 1, j + 1), boundary="reflect")
            + tw.at(x, (i, j - 2), boundary="constant", fill=5)
        ),
    )


def rounds(x):
    return tw.loop(5, lambda k, s: (s.T * 2 + k,), x)


def halved(x):
    return (x + np.float16(1)) * x, x > 0


def bits_and_shifts(image):
    return (image << 3) ^ (image >> 1), ~image, image // 3, image % np.uint8(7)


def counted(x):
    return (x > 0).sum(axis=0), np.any(x > 3, axis=1), x.argmin(axis=0)


def in_order(x):
    return np.sort(x[:, :5], axis=1)


CASES: list[tuple[Callable[..., Any], list[np.ndarray]]] = [
    *((f, [ROWS]) for f in (sums, sums_of_columns, running, turned, joined, windows, stacked)),
    *((f, [ROWS]) for f in (place_of_the_least, every_other, neighbours, counted, in_order)),
    *((f, [IMAGE]) for f in (planes, bits_and_shifts)),
    (products_of_columns, [SQUARE]),
    (picked, [ROWS, PLACES]),
    (rounds, [SQUARE]),
    (halved, [HALVES]),
]
BUILD: dict[str, Callable[[Callable[..., Any], list[np.ndarray]], GpuProgram]] = {
    "wgsl": lambda function, arrays: wgsl.build(program_of(function, arrays, WORKGROUP)).program,
    "glsl": lambda function, arrays: glsl.build(program_of(function, arrays, FRAGMENT)),
}


@pytest.mark.parametrize("target", BUILD)
@pytest.mark.parametrize(("function", "arrays"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_text(
    golden: Golden, function: Callable[..., Any], arrays: list[np.ndarray], target: str
) -> None:
    made = BUILD[target](function, arrays)
    golden(f"{target}/functions/{function.__name__}", wgsl.source(made))
