"""Where the lanes of a vector load and store: together, at steps, and at places that are data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.codegen_wgsl.nests import axes, program, run
from tilewright.codegen_wgsl.device import Device
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32, I32, INDEX, U8, DType
from tilewright.ir.expr import Load
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import Schedule

SIZE = 16
LANES = Schedule(tile=(4,), vector=0, width=4)
FORMS = list(itertools.product((0, 1, 2, -1), (0, 3), (0, 5)))


def reading(dtype: DType, step: int, factor: int, first: int) -> Program:
    """``y[i] = x[step * i + factor * p[i] + first]``."""
    x, y = Buffer("x", (128,), dtype), Buffer("y", (SIZE,), dtype)
    places = Buffer("p", (SIZE,), I32)
    (i,) = axes(i=SIZE)
    at = b.mul(i, b.index(step)) if step else b.index(0)
    if factor:
        chosen = b.cast(Load(places, (i,)), INDEX)
        at = b.add(at, b.mul(chosen, b.index(factor)))
    at = b.add(at, b.index(first + (SIZE if step < 0 else 0)))
    stage = Stage((), (), None, Load(x, (at,)), y, (i,))
    return program([x, places], [y], [Nest("read", (i,), (stage,), ())])


@pytest.mark.wgsl
@pytest.mark.parametrize("dtype", [F32, U8], ids=str)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_places_that_are_read(device: Device, dtype: DType, form: tuple[int, int, int]) -> None:
    step, factor, first = form
    x = np.arange(128).astype(dtype.numpy)
    places = np.array([3, 0, 7, 7, 1, 2, 9, 4, 12, 0, 5, 5, 6, 8, 11, 10], np.int32)
    (found,) = run(device, reading(dtype, step, factor, first), [x, places], LANES)
    at = step * np.arange(SIZE) + factor * places + first + (SIZE if step < 0 else 0)
    np.testing.assert_array_equal(found, x[at])


@pytest.mark.wgsl
@pytest.mark.parametrize("schedule", [LANES, Schedule()], ids=["vectors", "scalars"])
@pytest.mark.parametrize(("step", "first"), [(1, 0), (1, 3), (2, 0), (2, 1), (3, 2), (4, 4)])
def test_places_that_are_written(device: Device, schedule: Schedule, step: int, first: int) -> None:
    """The rest of the array is written by another nest."""
    size = SIZE * step + 8
    x, y = Buffer("x", (SIZE,), F32), Buffer("y", (size,), F32)
    (i, j) = axes(i=SIZE, j=size)
    spread = b.add(b.mul(i, b.index(step)), b.index(first))
    nests = [
        Nest("clear", (j,), (Stage((), (), None, b.const(-1.0, F32), y, (j,)),), ()),
        Nest("write", (i,), (Stage((), (), None, Load(x, (i,)), y, (spread,)),), ()),
    ]
    given = np.arange(SIZE, dtype=np.float32)
    (found,) = run(device, program([x], [y], nests), [given], schedule)
    expected = np.full(size, -1, np.float32)
    expected[first : first + SIZE * step : step] = given
    np.testing.assert_array_equal(found, expected)
