"""Intervals hold every value that an operation can give, and for most operations no other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tilewright.ir import ops
from tilewright.ir.analysis.intervals import RULES, UNKNOWN, Interval, negated, union
from tilewright.ir.ops import Op

ENDS = (-4, -1, 0, 2, 6)
BOUNDED: list[tuple[int, int]] = [(low, high) for low in ENDS for high in ENDS if low <= high]
FAR = 40  # stands for what is not known: no result that is exact comes from so far away
OPEN: list[Interval] = [UNKNOWN, (0, None), (1, None), (-3, None), (None, 0), (None, -2), (None, 5)]
EXACT = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.FMIN, ops.FMAX, ops.NEG, ops.ABS)


def values(interval: Interval, far: int) -> np.ndarray:
    low, high = (
        end if end is not None else s * far for end, s in zip(interval, (-1, 1), strict=True)
    )
    return np.arange(low, high + 1, dtype=np.int64)


def reached(op: Op, operands: tuple[Interval, ...], far: int = FAR) -> np.ndarray:
    grid = list(np.meshgrid(*(values(o, far) for o in operands)))
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


def exact(op: Op, operands: tuple[Interval, ...]) -> Interval:
    """The smallest and the largest value; None where values farther away give farther ones."""
    (low, high), (lower, higher) = (
        (found.min(), found.max()) for found in (reached(op, operands, far) for far in (FAR, 60))
    )
    return (int(low) if low == lower else None, int(high) if high == higher else None)


@pytest.mark.parametrize("op", [o for o in EXACT if o is not ops.MUL], ids=lambda op: op.name)
def test_what_is_not_known_of_one_end_says_nothing_of_the_other(op: Op) -> None:
    for operands in itertools.product([*BOUNDED, *OPEN], repeat=op.arity):
        assert RULES[op](*operands) == exact(op, operands), operands


LEAST_FROM_0 = [i for i in [*BOUNDED, *OPEN] if i[0] is not None and i[0] >= 0]


def test_products_and_quotients_of_what_is_not_negative() -> None:
    for a, b in itertools.product(LEAST_FROM_0, repeat=2):
        if (0, 0) not in (a, b):
            assert RULES[ops.MUL](a, b) == exact(ops.MUL, (a, b)), (a, b)
    for a, divisor in itertools.product(LEAST_FROM_0, (1, 2, 3)):
        by = (divisor, divisor)
        assert RULES[ops.QUO](a, by) == RULES[ops.FLOORDIV](a, by) == exact(ops.QUO, (a, by))


def test_remainders() -> None:
    """Of what is smaller than the divisor: itself; of any other: less than the largest divisor."""
    for a, divisors in itertools.product([*BOUNDED, *OPEN], [(1, 1), (2, 6), (7, 7), (2, None)]):
        below = None if divisors[1] is None else divisors[1] - 1
        is_less = a[0] is not None and a[0] >= 0 and a[1] is not None and a[1] < divisors[0]
        assert RULES[ops.MOD](a, divisors) == (a if is_less else (0, below))
        if a[0] is not None and a[0] >= 0:
            assert RULES[ops.REM](a, divisors) == RULES[ops.MOD](a, divisors)
        else:
            assert RULES[ops.REM](a, divisors) == (UNKNOWN if below is None else (-below, below))
        for positive in (divisors, (0, divisors[1]), (None, divisors[1])):
            known = positive[0] is not None and positive[0] > 0
            assert known or RULES[ops.MOD](a, positive) == UNKNOWN


def test_shifts() -> None:
    for a, by in itertools.product(BOUNDED, [(0, 0), (0, 2), (1, 2), (2, 2), (63, 63)]):
        if a[0] >= 0:
            assert RULES[ops.SHL](a, by) == (a[0] << by[0], a[1] << by[1])
        else:
            assert RULES[ops.SHL](a, by) == UNKNOWN
        assert RULES[ops.SHR](a, by) == (min(a[0] >> by[0], 0), max(a[1] >> by[0], -1))
    for distance in [(-1, 2), (0, 64), (0, None), (None, 2)]:
        assert RULES[ops.SHL]((0, 3), distance) == UNKNOWN
    for distance in OPEN:
        assert RULES[ops.SHR]((0, 6), distance) == (0, 3 if distance[0] == 1 else 6)
    assert RULES[ops.SHR]((None, 6), (0, 2)) == (None, 6)
    assert RULES[ops.SHR]((-6, None), (0, 2)) == (-6, None)


def test_bits() -> None:
    """Of two: no more bits than both have, and what is not negative stays so."""
    for a, b in itertools.product(BOUNDED, repeat=2):
        ends = (*a, *b)
        most = max(abs(e) - (e < 0) for e in ends)
        bits = (1 << most.bit_length()) - 1
        least = -bits - 1 if min(ends) < 0 else 0
        assert RULES[ops.XOR](a, b) == (least, bits)
        assert RULES[ops.OR](a, b) == (least if least else max(a[0], b[0]), bits)
        positive = [i[1] for i in (a, b) if i[0] >= 0]
        assert RULES[ops.AND](a, b) == ((0, min(positive)) if positive else (least, bits))
    for half, b in itertools.product(OPEN, BOUNDED):
        assert RULES[ops.XOR](half, b) == RULES[ops.OR](half, b) == UNKNOWN
        from_0 = [i[1] for i in (half, b) if i[0] is not None and i[0] >= 0]
        highs = [high for high in from_0 if high is not None]
        known = (0, min(highs) if highs else None) if from_0 else UNKNOWN
        assert RULES[ops.AND](half, b) == RULES[ops.AND](b, half) == known


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
        (ops.SHR, ((-8, -4), (2, 2)), (-2, -1)),
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
