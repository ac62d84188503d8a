"""Digits of ``4 * texel + lane``: the place of every element, for every small shape and access."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.ir.index_expressions import value_at
from tilewright.ir import build
from tilewright.ir.analysis.affine import linear, offset
from tilewright.ir.expr import Expr, Var, post_order
from tilewright.ir.lower.unravel import LANES, Unravel

TEXEL, LANE, OTHER = Var("texel"), Var("lane", LANES), Var("r", 3)
SHAPES = [
    *((1,), (3,), (4,), (7,), (8,), (2, 4), (3, 4), (4, 3), (5, 3), (2, 2), (1, 6), (6, 1)),
    *((2, 3, 4), (3, 1, 5), (2, 2, 2), (2, 4, 3), (3, 5, 7), (2, 6, 2), (8, 1, 4)),
]


def unravel(shape: tuple[int, ...]) -> Unravel:
    return Unravel([Var(f"i{k}", n) for k, n in enumerate(shape)], TEXEL, LANE)


def at(expr: Expr, position: int, other: int = 0) -> int:
    return value_at(expr, {TEXEL: position // LANES, LANE: position % LANES, OTHER: other})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_axes_are_digits_of_the_position(shape: tuple[int, ...]) -> None:
    digits = unravel(shape)
    total = int(np.prod(shape))
    assert digits.total == total
    bindings = digits.bindings()
    for position in range(-(-total // LANES) * LANES):
        found = [at(bindings[axis], position) for axis in digits.axes]
        if position < total:
            assert tuple(found) == np.unravel_index(position, shape)
        elif sum(size > 1 for size in shape) > 1:  # else it is guarded where it is read
            assert all(value < size for value, size in zip(found, shape, strict=True))
        assert at(digits.position, position) == position


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_offsets_of_accesses(shape: tuple[int, ...]) -> None:
    """Row by row, turned, with gaps, mirrored, of some axes only; other terms stay as they are."""
    digits = unravel(shape)
    whole = np.cumprod((1, *shape[::-1]))[-2::-1].tolist()
    total = int(np.prod(shape))
    for strides in {
        tuple(whole), tuple(whole[::-1]), tuple(3 * s for s in whole), tuple(-s for s in whole),
        (*whole[:-1], 0), (0, *whole[1:]), tuple(s + 1 for s in whole), (1,) * len(shape),
    }:  # fmt: skip
        form = offset([*digits.axes, OTHER], [*strides, 5])
        found = digits.offset(linear(build.add(form, build.index(2))))
        for position, other in itertools.product(range(total), range(3)):
            place = np.unravel_index(position, shape)
            wanted = sum(int(p) * s for p, s in zip(place, strides, strict=True)) + 5 * other + 2
            assert at(found, position, other) == wanted


def mentions_lane(expr: Expr) -> bool:
    return LANE in post_order((expr,))


def test_what_is_the_same_for_all_lanes_does_not_mention_them() -> None:
    for shape in SHAPES:
        digits = unravel(shape)
        for axis, below in zip(digits.axes, np.cumprod((1, *shape[::-1]))[-2::-1], strict=True):
            digit = digits.bindings()[axis]
            assert mentions_lane(digit) == (below % LANES != 0 and axis.extent != 1), shape


def test_neighbouring_axes_that_are_walked_as_one_are_one_digit() -> None:
    digits = unravel((6, 2, 4))
    a, b, c = digits.axes
    whole = digits.offset(linear(offset((a, b, c), (8, 4, 1))))
    assert repr(whole) == repr(digits.position) == "add(mul(texel, 4:index), lane)"
    both = digits.offset(linear(offset((a, b), (2, 1))))
    assert not mentions_lane(both)
    assert repr(both) == "texel"
    assert repr(digits.offset(linear(offset((a, b), (4, 2))))) == "mul(texel, 2:index)"
