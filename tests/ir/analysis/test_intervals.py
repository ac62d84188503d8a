"""Intervals hold every value that an operation can give, and for most operations no other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tilewright.ir import ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN, Interval, negated, union
from tilewright.ir.ops import Op

ENDS = (-4, -1, 0, 2, 6)
BOUNDED = [(low, high) for low in ENDS for high in ENDS if low <= high]
FAR = 40  # stands for what is not known: no result that is exact comes from so far away
OPEN: list[Interval] = [UNKNOWN, (0, None), (1, None), (-3, None), (None, 0), (None, -2), (None, 5)]
EXACT = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.FMIN, ops.FMAX, ops.NEG, ops.ABS)


def values(interval: Interval) -> np.ndarray:
    low, high = (
        end if end is not None else s * FAR for end, s in zip(interval, (-1, 1), strict=True)
    )
    return np.arange(low, high + 1, dtype=np.int64)


def reached(op: Op, operands: tuple[Interval, ...]) -> np.ndarray:
    grid = list(np.meshgrid(*map(values, operands)))
    if op in (ops.QUO, ops.REM, ops.FLOORDIV, ops.MOD):
        grid = [g[grid[1] != 0] for g in grid]
    if op in (ops.FMIN, ops.FMAX):
        grid = [g.astype(np.float64) for g in grid]
    return np.asarray(op.reference(*grid))


@pytest.mark.parametrize("op", RULES, ids=lambda op: op.name)
def test_every_value_is_inside(op: Op) -> None:
    for operands in itertools.product([*BOUNDED, *OPEN], repeat=op.arity):
        found = reached(op, operands)
        low, high = RULES[op](*operands)
        if found.size:
            assert low is None or low <= found.min(), operands
            assert high is None or high >= found.max(), operands


@pytest.mark.parametrize("op", EXACT, ids=lambda op: op.name)
def test_ends_are_reached(op: Op) -> None:
    for operands in itertools.product(BOUNDED, repeat=op.arity):
        found = reached(op, operands)
        assert RULES[op](*operands) == (found.min(), found.max()), operands


@pytest.mark.parametrize(
    ("op", "operands", "result"),
    [
        (ops.ADD, ((1, None), (2, 3)), (3, None)),
        (ops.ADD, ((None, 1), (2, 3)), (None, 4)),
        (ops.SUB, ((1, None), (2, 3)), (-2, None)),
        (ops.MUL, ((2, None), (3, 4)), (6, None)),
        (ops.MIN, ((1, None), (2, 3)), (1, 3)),
        (ops.MIN, ((None, 5), (2, None)), (None, 5)),
        (ops.MAX, ((1, None), (2, 3)), (2, None)),
        (ops.MAX, ((None, 5), (2, 3)), (2, 5)),
        (ops.ABS, ((None, 5),), (0, None)),
        (ops.ABS, ((-7, 5),), (0, 7)),
        (ops.ABS, ((2, None),), (2, None)),
        (ops.FLOORDIV, ((-7, 7), (2, 2)), (-4, 3)),
        (ops.FLOORDIV, ((0, None), (4, 4)), (0, None)),
        (ops.FLOORDIV, ((0, 8), (0, 0)), UNKNOWN),
        (ops.FLOORDIV, ((0, 8), (1, 2)), UNKNOWN),
        (ops.MOD, ((0, 3), (4, 9)), (0, 3)),
        (ops.MOD, ((0, 4), (4, 9)), (0, 8)),
        (ops.MOD, ((-1, 3), (4, 4)), (0, 3)),
        (ops.MOD, ((0, 3), (0, 4)), UNKNOWN),
        (ops.MOD, ((0, None), (4, None)), (0, None)),
        (ops.QUO, ((0, 9), (2, 2)), (0, 4)),
        (ops.QUO, ((-1, 9), (2, 2)), UNKNOWN),
        (ops.REM, ((0, 3), (4, 9)), (0, 3)),
        (ops.REM, ((-9, 9), (1, 4)), (-3, 3)),
        (ops.REM, ((-9, 9), (0, 4)), UNKNOWN),
        (ops.AND, ((0, 9), (-5, 100)), (0, 9)),
        (ops.AND, ((0, None), (0, 6)), (0, 6)),
        (ops.OR, ((2, 5), (0, 8)), (2, 15)),
        (ops.XOR, ((0, 5), (0, 2)), (0, 7)),
        (ops.XOR, ((-5, 2), (0, 1)), (-8, 7)),
        (ops.SHL, ((1, 3), (0, 2)), (1, 12)),
        (ops.SHL, ((1, 3), (0, 64)), UNKNOWN),
        (ops.SHL, ((-1, 3), (0, 2)), UNKNOWN),
        (ops.SHR, ((8, 20), (2, 2)), (0, 5)),
        (ops.SHR, ((-8, -4), (2, 2)), (-8, -1)),
    ],
)
def test_what_is_known_of_some(op: Op, operands: tuple[Interval, ...], result: Interval) -> None:
    assert RULES[op](*operands) == result


def test_union_and_negation() -> None:
    assert union((1, 2), (5, None)) == (1, None)
    assert union((None, 2), (5, 6)) == (None, 6)
    assert union((3, 4), (-1, 0)) == (-1, 4)
    assert negated((1, None)) == (None, -1)
    assert negated((-2, 5)) == (-5, 2)
