"""Lifetimes of temporaries: as short as loops allow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from tilewright.ir.analysis.lifetimes import Lifetime, lifetimes
from tilewright.ir.dtypes import BOOL, F32
from tilewright.ir.expr import Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Copy, Program, Repeat, RepeatWhile, Step

X, Y = Buffer("x", (4,), F32), Buffer("y", (4,), F32)
T, U, FLAG = Buffer("t", (4,), F32), Buffer("u", (4,), F32), Buffer("flag", (), BOOL)
READ, WRITE = Copy(T, Y), Copy(X, T)
OTHER = Copy(X, Y)


def again(*steps: Step) -> Repeat:
    return Repeat(Var("n", 2), steps)


def program(steps: Sequence[Step], **more: tuple[object, ...]) -> Program:
    return Program("p", (X,), (), (), (Y,), (T, U, FLAG), tuple(steps), **more)  # type: ignore[arg-type]


def life(*steps: Step) -> tuple[int, int] | None:
    found = lifetimes(program(steps)).get(T)
    return None if found is None else (found.first, found.last)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ((OTHER,), None),
        ((WRITE, READ), (0, 1)),
        ((OTHER, WRITE, OTHER, READ, OTHER), (1, 3)),
        ((OTHER, WRITE), (1, 1)),
        # Inside one round, if it begins with a write.
        ((again(OTHER, WRITE, READ, OTHER),), (1, 2)),
        ((again(OTHER, READ, WRITE, OTHER),), (0, 3)),
        # What enters a loop is needed in every round, what leaves it may be from any.
        ((WRITE, again(OTHER, READ, OTHER), OTHER), (0, 3)),
        ((OTHER, again(OTHER, WRITE, OTHER), OTHER, READ), (1, 5)),
        ((OTHER, again(OTHER, again(WRITE, READ), OTHER)), (2, 3)),
        ((OTHER, again(OTHER, again(READ, WRITE), OTHER)), (1, 4)),
        ((OTHER, again(WRITE, again(OTHER, READ, OTHER), OTHER)), (1, 4)),
        ((again(WRITE), OTHER, again(READ)), (0, 2)),
        ((again(), WRITE, READ), (0, 1)),
    ],
)
def test_lifetimes(steps: Sequence[Step], wanted: tuple[int, int] | None) -> None:
    assert life(*steps) == wanted


def test_the_condition_of_a_loop_is_read_after_its_test() -> None:
    flag = Copy(X, FLAG)
    loop = RepeatWhile((OTHER, flag), FLAG, (OTHER, OTHER))
    assert lifetimes(program((OTHER, loop)))[FLAG] == Lifetime(2, 3)
    carried = RepeatWhile((OTHER,), FLAG, (OTHER, flag))
    assert lifetimes(program((flag, carried, OTHER)))[FLAG] == Lifetime(0, 4)
    assert life(RepeatWhile((WRITE,), FLAG, (READ,))) == (0, 2)
    assert life(WRITE, RepeatWhile((READ,), FLAG, (OTHER,)), READ) == (0, 4)


def test_the_init_part_comes_first_and_what_it_packs_is_kept() -> None:
    both = program((OTHER, Copy(U, Y), READ), init=(WRITE, Copy(X, U)), packed=(U,))
    assert lifetimes(both) == {T: Lifetime(0, 4)}


def test_views_are_uses_of_their_buffer() -> None:
    view = Buffer("view", (2, 2), F32, base=T)
    assert life(OTHER, Copy(X, view), OTHER, Copy(view, Y)) == (1, 3)


def test_what_overlaps() -> None:
    spans = [Lifetime(a, b) for a in range(4) for b in range(a, 4)]
    for one, other in itertools.product(spans, repeat=2):
        common = set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1))
        assert one.overlaps(other) == bool(common)
