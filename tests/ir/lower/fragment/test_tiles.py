"""Tiles of fragments: which fit, what they fetch, and that their texels come out in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, reduced
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32, I32, INDEX
from tilewright.ir.errors import LimitError, ShapeError
from tilewright.ir.expr import Expr, Load, post_order
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.fragment.spread_tile import spread_tile
from tilewright.ir.lower.fragment.tiles import (
    check_block,
    check_fragments,
    fetches,
    targets_of,
    tiles,
)
from tilewright.ir.program import Nest, Program
from tilewright.ir.schedule import Schedule


def matmul(m: int, k: int, n: int) -> Nest:
    """``y = 1 + a @ c``."""
    a, c, y = Buffer("a", (m, k), F32), Buffer("c", (k, n), F32), Buffer("y", (m, n), F32)
    return reduced(
        y,
        (k,),
        "add",
        lambda i, j, r: b.mul(at(a, i, r), at(c, r, j)),
        lambda total, i, j: b.add(total, b.const(1, F32)),
    )


def convolution(height: int, width: int, channels: int, outputs: int) -> Nest:
    """A 3 x 3 convolution, channels last."""
    x = Buffer("a", (height + 2, width + 2, channels), F32)
    w = Buffer("c", (3, 3, channels, outputs), F32)
    y = Buffer("y", (height, width, outputs), F32)
    return reduced(
        y,
        (3, 3, channels),
        "add",
        lambda i, j, o, u, v, c: b.mul(at(x, b.add(i, u), b.add(j, v), c), at(w, u, v, c, o)),
    )


def depthwise(height: int, width: int, channels: int) -> Nest:
    x = Buffer("a", (height + 2, width + 2, channels), F32)
    w = Buffer("c", (3, 3, channels), F32)
    y = Buffer("y", (height, width, channels), F32)
    return reduced(
        y,
        (3, 3),
        "add",
        lambda i, j, c, u, v: b.mul(at(x, b.add(i, u), b.add(j, v), c), at(w, u, v, c)),
    )


def results(nest: Nest, steps: tuple[Nest, ...], made: tuple[Buffer, ...]) -> np.ndarray:
    """What the steps leave in the nest's output, of small integers."""
    final = nest.stages[-1].target.root
    sources = {n.source for s in nest.stages for n in _loads(s.value)}
    read = {x.root for x in sources if isinstance(x, Buffer) and x.space == "global"}
    inputs = sorted(read, key=lambda x: x.name)
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, _static(x)).astype(np.float32) for x in inputs]
    program = Program("p", (), tuple(inputs), (final,), (), made, steps)
    (found,) = interpret_program(program, arrays)
    return found


def _static(buffer: Buffer) -> tuple[int, ...]:
    return tuple(size for size in buffer.shape if isinstance(size, int))


def _loads(value: Expr) -> list[Load]:
    return [n for n in post_order((value,)) if isinstance(n, Load)]


CASES: list[tuple[Callable[[], Nest], tuple[int, ...]]] = [
    (lambda: matmul(8, 5, 8), (4, 4)),
    (lambda: matmul(8, 5, 8), (2, 8)),
    (lambda: matmul(7, 5, 12), (4, 4)),
    (lambda: matmul(5, 4, 12), (2, 8)),
    (lambda: matmul(5, 4, 20), (1, 16)),
    (lambda: matmul(3, 4, 12), (1, 8)),
    (lambda: convolution(3, 5, 4, 8), (1, 4, 4)),
    (lambda: convolution(3, 5, 4, 8), (2, 2, 4)),
    (lambda: convolution(3, 5, 4, 12), (1, 2, 8)),
    (lambda: depthwise(3, 5, 8), (2, 2, 4)),
    (lambda: depthwise(5, 3, 8), (4, 1, 4)),
]


@pytest.mark.parametrize(("make", "tile"), CASES)
def test_texels_come_out_in_order(make: Callable[[], Nest], tile: tuple[int, ...]) -> None:
    """Also where tiles reach past the end of an axis."""
    nest = collapse_axes(make())
    assert len(nest.outer) == len(tile)
    check_fragments(nest, Schedule(tile=tile))
    spread, ordered = spread_tile(nest, tile)
    made = tuple(s.target for s in spread.stages if s.target not in spread.locals)
    assert len(made) == targets_of(tile)
    assert len({t.shape for t in made}) == 1
    expected = results(nest, (nest,), ())
    np.testing.assert_array_equal(results(nest, (spread, ordered), made), expected)


def test_the_axes_of_a_transposed_result_lie_in_the_order_of_memory() -> None:
    a, c, y = Buffer("a", (8, 5), F32), Buffer("c", (5, 12), F32), Buffer("y", (12, 8), F32)
    nest = reduced(y, (5,), "add", lambda j, i, r: b.mul(at(a, i, r), at(c, r, j)))
    turned = Nest(nest.name, nest.outer[::-1], nest.stages, nest.locals)
    assert (4, 4) in tiles(turned)
    assert (16, 1) not in tiles(turned)
    spread, ordered = spread_tile(turned, (8, 2))
    assert [axis.extent for axis in spread.outer] == [6, 1, 4]
    made = tuple(s.target for s in spread.stages if s.target not in spread.locals)
    expected = results(turned, (turned,), ())
    np.testing.assert_array_equal(results(turned, (spread, ordered), made), expected)


def test_a_product_has_tiles_of_two_and_four_texels() -> None:
    assert tiles(matmul(64, 64, 64)) == ((1, 8), (1, 16), (2, 4), (2, 8), (4, 4))
    assert tiles(matmul(3, 64, 8)) == ((1, 8), (2, 4), (2, 8))
    assert tiles(matmul(64, 64, 66)) == ()  # texels would cross the ends of rows


def test_what_a_product_fetches() -> None:
    """Of four steps along the sum: four texels of the one operand and one of each row's."""
    nest = matmul(64, 64, 64)
    assert fetches(nest, (), 4) == 5 * 16
    assert fetches(nest, (4, 4), 4) == 8 * 16 / 4 + 6
    assert fetches(nest, (2, 8), 4) == (2 + 8) * 16 / 4 + 6
    assert fetches(nest, (2, 4), 4) == (2 + 4) * 16 / 2 + 4
    assert fetches(nest, (), 1) == 2 * 64  # a texel of the rows serves one step at a time


def test_neighbouring_windows_share_what_they_fetch() -> None:
    nest = collapse_axes(depthwise(8, 8, 8))
    assert fetches(nest, (), 32) == 9 + 9
    assert fetches(nest, (1, 4, 4), 32) == (3 * 6 + 9) / 4 + 6
    assert fetches(nest, (2, 2, 4), 32) == (4 * 4 + 9) / 4 + 6


def test_odd_rows_are_fetched_element_by_element() -> None:
    assert fetches(matmul(64, 63, 64), (), 9) == 2 * 63
    x, y = Buffer("a", (10, 10), F32), Buffer("y", (8, 8), F32)
    nest = reduced(y, (3, 3), "add", lambda i, j, u, v: at(x, b.add(i, u), b.add(j, v)))
    assert fetches(nest, (), 16) == 2 * 9  # four neighbours lie in two texels
    assert fetches(nest, (1, 8), 16) == 2 * 18 / 2 + 4
    # Of two rows each the first begins with a texel.
    assert fetches(nest, (4, 4), 16) == 2 * 6 / 4 + 6


def test_places_that_are_data_are_fetched_one_by_one() -> None:
    x, y, index = Buffer("x", (64,), F32), Buffer("y", (64,), F32), Buffer("index", (64,), I32)
    nest = mapped(y, lambda i: at(x, b.cast(at(index, i), INDEX)))
    assert fetches(nest, (), 1) == 1 + 4


@pytest.mark.parametrize(
    ("tile", "said"),
    [
        ((4,), "does not fit 2 outer axes"),
        ((3, 4), "is none of 4, 8, 16 points"),
        ((8, 4), "is none of 4, 8, 16 points"),
        ((4, 2), "has points along the rows of the output that are not a multiple of four"),
        ((1, 16), "has 16 points of an axis of 12"),
    ],
)
def test_tiles_that_do_not_fit(tile: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        check_fragments(matmul(8, 8, 12), Schedule(tile=tile))


def test_tiles_need_whole_texels_and_one_output() -> None:
    for nest in (matmul(8, 8, 6), Nest("two", (), (), ())):
        with pytest.raises(ShapeError, match="tile="):
            check_fragments(nest, Schedule(tile=(4, 4)))


def test_passes_of_reductions_have_limits() -> None:
    nest = matmul(8, 8, 12)
    check_fragments(nest, Schedule(reduce_block=2048))
    with pytest.raises(LimitError, match="reduce_block is beyond the limit of 2048"):
        check_fragments(nest, Schedule(reduce_block=2049))
    for block in (-1, 1, "8"):
        with pytest.raises(ShapeError, match="reduce_block"):
            check_block("n", Schedule(reduce_block=block))  # type: ignore[arg-type]


def test_what_is_written_out_has_a_limit() -> None:
    nest = matmul(64, 64, 64)
    check_fragments(nest, Schedule(tile=(4, 4), unroll=256))
    with pytest.raises(LimitError, match="tile and unroll are beyond the limit of 1024"):
        check_fragments(nest, Schedule(tile=(4, 4), unroll=512))
    with pytest.raises(LimitError, match="tile and unroll are beyond the limit of 1024"):
        check_fragments(nest, Schedule(unroll_reduce=2000))
