"""Operands copied to whole texels: which can be, and that nothing else is read afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, reduced
from tests.ir.lower.fragment.test_tiles import depthwise, matmul, results
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Expr
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.fragment.pad_operands import copied_texels, pad_operands, paddable
from tilewright.ir.lower.fragment.spread_tile import spread_tile
from tilewright.ir.lower.fragment.tiles import check_fragments, fetches, row_axis
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule


def planes(height: int, width: int, channels: int, outputs: int) -> Nest:
    """A 3 x 3 convolution, channels first."""
    x = Buffer("a", (channels, height + 2, width + 2), F32)
    w = Buffer("c", (outputs, channels, 3, 3), F32)
    y = Buffer("y", (outputs, height, width), F32)
    return reduced(
        y,
        (channels, 3, 3),
        "add",
        lambda o, i, j, c, u, v: b.mul(at(x, c, b.add(i, u), b.add(j, v)), at(w, o, c, u, v)),
    )


def pixels(height: int, width: int, outputs: int) -> Nest:
    """A 3 x 3 convolution of three channels, those last."""
    x, w = Buffer("a", (height + 2, width + 2, 3), F32), Buffer("c", (3, 3, 3, outputs), F32)
    y = Buffer("y", (height, width, outputs), F32)
    return reduced(
        y,
        (3, 3, 3),
        "add",
        lambda i, j, o, u, v, c: b.mul(at(x, b.add(i, u), b.add(j, v), c), at(w, u, v, c, o)),
    )


def flipped(size: int, window: int) -> Nest:
    """Each row convolved with one that runs backwards."""
    x, w = Buffer("a", (size, size + window - 1), F32), Buffer("c", (window, size), F32)
    y = Buffer("y", (size, size), F32)
    return reduced(
        y,
        (window,),
        "add",
        lambda i, j, u: b.mul(at(x, i, b.sub(b.add(j, b.index(window - 1)), u)), at(w, u, j)),
    )


CASES = [
    (matmul(8, 7, 12), (0,)),
    (planes(4, 8, 3, 4), (0, 1)),
    (pixels(4, 5, 8), (0,)),
    (flipped(8, 6), (1,)),
]


@pytest.mark.parametrize(("nest", "expected"), CASES, ids=["product", "planes", "pixels", "flip"])
def test_copies_hold_what_is_read(nest: Nest, expected: tuple[int, ...]) -> None:
    """All operands with odd rows, and each alone, under tiles too."""
    nest = collapse_axes(nest)
    last = row_axis(nest)
    assert last is not None
    assert paddable(nest, last) == expected
    wanted = results(nest, (nest,), ())
    for which in (expected, *((k,) for k in expected)):
        copies, padded = pad_operands(nest, which, last)
        assert len(copies) == len(which)
        made = tuple(copy.stages[-1].target for copy in copies)
        np.testing.assert_array_equal(results(nest, (*copies, padded), made), wanted)
        tile = (2,) * (len(nest.outer) - 2) + (1, 8) if len(nest.outer) > 1 else (8,)
        spread, ordered = spread_tile(padded, tile)
        made += tuple(s.target for s in spread.stages if s.target not in spread.locals)
        steps = (*copies, spread, ordered)
        np.testing.assert_array_equal(results(nest, steps, made), wanted)


def test_copies_begin_rows_with_texels() -> None:
    nest = collapse_axes(planes(4, 8, 3, 4))
    last = row_axis(nest)
    assert last is not None
    copies, padded = pad_operands(nest, (0, 1), last)
    assert [c.stages[-1].target.shape for c in copies] == [(18, 12), (36, 4)]
    assert copied_texels(copies) == 18 * 3 + 36
    assert fetches(nest, (), 16) > 2 * fetches(padded, (), 16)


def test_an_axis_through_several_rows_becomes_two() -> None:
    """Three pixels of three channels are nine neighbours; the copy has four for each."""
    nest = collapse_axes(pixels(4, 5, 8))
    (stage, *_) = nest.stages
    assert [axis.extent for axis in stage.reduce_axes] == [3, 9]
    last = row_axis(nest)
    assert last is not None
    _, padded = pad_operands(nest, (0,), last)
    assert [axis.extent for axis in padded.stages[0].reduce_axes] == [3, 3, 3]


def _crossing(past: int) -> Nest:
    """Sums over six neighbours from the first elements of rows of five on, `past` further."""
    x, y = Buffer("a", (9, 5), F32), Buffer("y", (8, 4), F32)
    flat = Buffer("a", (45,), F32, base=x)

    def place(i: Expr, j: Expr, u: Expr) -> Expr:
        return b.add(b.add(b.add(b.mul(i, b.index(5)), j), u), b.index(past))

    return reduced(y, (4,), "add", lambda i, j, u: at(flat, place(i, j, u)))


def test_what_runs_past_the_end_of_a_row_reads_on_in_the_next() -> None:
    """Up to the end of the copy's rows, which are filled up with it; beyond there is no copy."""
    nest = _crossing(1)
    last = nest.outer[-1]
    copies, padded = pad_operands(nest, (1,), last)
    (copy,) = copies
    made = (copy.stages[-1].target,)
    wanted = results(nest, (nest,), ())
    np.testing.assert_array_equal(results(nest, (copy, padded), made), wanted)
    assert paddable(_crossing(2), last) == ()


@pytest.mark.parametrize("nest", [matmul(8, 8, 12), depthwise(4, 4, 8)])
def test_whole_texels_are_not_copied(nest: Nest) -> None:
    nest = collapse_axes(nest)
    last = row_axis(nest)
    assert last is not None
    assert paddable(nest, last) == ()
    tile = (1,) * (len(nest.outer) - 1) + (4,)
    with pytest.raises(ShapeError, match=r"pack=\(0,\) is for operands with rows of odd lengths"):
        check_fragments(nest, Schedule(tile=tile, pack=(0,)))
