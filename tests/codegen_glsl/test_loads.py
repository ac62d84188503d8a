"""Where the four lanes of a fragment read: together, at steps, in rows, and at places that are
data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, program_of, run
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32, I32, INDEX, U8, DType
from tilewright.ir.expr import Expr
from tilewright.ir.kernel import Buffer

SIZE = 18
PLACES = np.array([3, 0, 7, 7, 1, 2, 9, 4, 12, 0, 5, 5, 6, 8, 11, 10, 17, 16], np.int32)
FORMS = list(itertools.product((0, 1, 2, -1), (0, 3), (0, 1)))


@pytest.mark.glsl
@pytest.mark.parametrize("dtype", [F32, U8], ids=str)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_places(device: GlDevice, dtype: DType, form: tuple[int, int, int]) -> None:
    """``y[i] = x[step * i + factor * p[i] + first]``."""
    step, factor, first = form
    x, places, y = (
        Buffer("x", (160,), dtype),
        Buffer("p", (SIZE,), I32),
        Buffer("y", (SIZE,), dtype),
    )
    start = first + (SIZE if step < 0 else 0)

    def value(i: Expr) -> Expr:
        place: Expr = b.mul(i, b.index(step)) if step else b.index(0)
        if factor:
            place = b.add(place, b.mul(b.cast(at(places, i), INDEX), b.index(factor)))
        return at(x, b.add(place, b.index(start)))

    given = np.arange(160).astype(dtype.numpy)
    made = program_of([x, places], [y], [mapped(y, value)])
    (found,) = run(device, made, [given, PLACES])
    np.testing.assert_array_equal(found, given[step * np.arange(SIZE) + factor * PLACES + start])


@pytest.mark.glsl
@pytest.mark.parametrize("width", [4096, 8], ids=["one row of texels", "several"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 8), (5, 4), (7, 1), (1, 9)])
def test_rows_and_columns(device: GlDevice, shape: tuple[int, int], width: int) -> None:
    """Texels hold parts of two rows, or whole ones."""
    x, row, column = (
        Buffer("x", shape, F32),
        Buffer("r", shape[1:], F32),
        Buffer("c", shape[:1], F32),
    )
    y, turned = Buffer("y", shape, F32), Buffer("t", shape[::-1], F32)
    nests = [
        mapped(y, lambda i, j: b.add(b.mul(at(x, i, j), at(row, j)), at(column, i)), "rows"),
        mapped(
            turned, lambda j, i: b.sub(at(x, i, j), at(row, b.sub(b.index(shape[1] - 1), j))), "t"
        ),
    ]
    made = program_of([x, row, column], [y, turned], nests)
    a = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    r, c = (
        np.arange(2, 2 + shape[1], dtype=np.float32),
        np.arange(7, 7 + shape[0], dtype=np.float32),
    )
    found = run(device, made, [a, r, c], GlslOptions(texture_width=width))
    np.testing.assert_array_equal(found[0], a * r + c[:, None])
    np.testing.assert_array_equal(found[1], (a - r[::-1]).T)
