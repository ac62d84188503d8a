"""The end of an axis: every element is stored, none outside, in few vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.ir import build
from tilewright.ir.dtypes import F32
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.tails import may_repeat, tail_blocks
from tilewright.ir.program import Nest, Stage, nests


@given(st.integers(1, 200), st.data(), st.sampled_from((1, 2, 4, 8, 16)))
def test_blocks_cover_the_rest_and_stay_inside(
    length: int, data: st.DataObject, width: int
) -> None:
    rest = data.draw(st.integers(0, length))
    blocks = tail_blocks(length, rest, width)
    covered = {k for first, size in blocks for k in range(first, first + size)}
    assert set(range(length - rest, length)) <= covered
    assert covered <= set(range(length))


def vectors(size: int, width: int) -> int:
    return size // width + (size % width).bit_count()


@given(st.integers(1, 200), st.data(), st.sampled_from((2, 4, 8, 16)))
def test_blocks_take_no_more_vectors_than_exact_ones(
    length: int, data: st.DataObject, width: int
) -> None:
    rest = data.draw(st.integers(0, length))
    blocks = tail_blocks(length, rest, width)
    assert sum(vectors(size, width) for _, size in blocks) <= vectors(rest, width)


@pytest.mark.parametrize(
    ("length", "rest", "blocks"),
    [
        (64, 0, [(64, 0)]),
        (72, 8, [(64, 8)]),  # half a vector costs what a whole one does
        (127, 63, [(63, 64)]),
        (21, 21, [(0, 16), (5, 16)]),
        (15, 15, [(0, 15)]),
    ],
)
def test_some_tails(length: int, rest: int, blocks: list[tuple[int, int]]) -> None:
    assert tail_blocks(length, rest, 16) == blocks


@pytest.mark.parametrize("width", [2, 4, 8])
def test_one_block_wherever_the_axis_is_long_enough(width: int) -> None:
    for length in range(1, 4 * width + 2):
        for rest in range(length + 1):
            blocks = tail_blocks(length, rest, width)
            short = rest % width
            whole = rest - short + width
            if short.bit_count() < 2:
                assert blocks == [(length - rest, rest)]
            elif whole <= length:
                assert blocks == [(length - whole, whole)]
            elif rest > width:
                assert blocks == [(length - rest, rest - short), (length - width, width)]
            else:
                assert blocks == [(length - rest, rest)]


def test_what_is_stored_to_in_place_is_not_repeated() -> None:
    (plain,) = nests(program_of(lambda x: x + 1, [numbers(5)]).steps)
    assert may_repeat(plain)
    axis = Var("i", 5)
    buffer = Buffer("b", (5,), F32)
    view = Buffer("v", (5,), F32, base=buffer)
    value = build.add(Load(view, (axis,)), build.const(1, F32))
    assert not may_repeat(Nest("n", (axis,), (Stage((), (), None, value, buffer, (axis,)),), ()))
