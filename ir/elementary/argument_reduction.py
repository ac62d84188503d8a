"""Reduction of an angle by multiples of pi / 2, exact for every finite float32.

In: a non-negative angle. Out: the remainder and the multiple's low bits. Up to a bound the
remainder is ``x - n * pi / 2`` with pi / 2 as a sum of constants (Cody and Waite, 1980). Beyond
it the angle's mantissa, an integer, is multiplied by those bits of 2 / pi that matter for the
result modulo 4 (Payne and Hanek, "Radian reduction for trigonometric functions", 1983): exact in
integers, therefore the same on every target. The bits are picked by selects: there are no tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from tilewright.ir.dtypes import F32, F64, I32, I64, U32, U64
from tilewright.ir.elementary.scaling import nearest_whole
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    bitcast,
    cast,
    fma,
    mad,
    select,
    unsigned_bits,
)

# The words of the binary fraction of 2 / pi.
TWO_OVER_PI = (
    0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB, 0xDEBBC561,
)  # fmt: skip

# pi / 2 as a sum of float32, each the rest rounded to nearest
HALF_PI_F32 = (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15)
# pi / 2 as a sum of float64: 33 bits, so that its product with n < 2**20 is exact, and the rest
HALF_PI_F64 = (1.5707963267341256, 6.077100506506192e-11)

FAST_BOUND = 131072.0


@dataclass(frozen=True)
class Angle:
    """``remainder + multiple * pi / 2``, of the multiple the two lowest bits."""

    remainder: Term
    multiple: Term


def reduce_angle(x: Term, machine: Machine) -> Angle:
    """Float32 x >= 0 to a remainder within pi / 4 and a little more."""
    exact = _reduce_exactly(x, machine)
    if not machine.ieee:
        return exact
    fast = _reduce_fast(x, machine)
    small = x < FAST_BOUND
    return Angle(
        select(small, fast.remainder, exact.remainder + (x - x)),  # x - x: NaN for infinity
        select(small, fast.multiple, exact.multiple),
    )


def _reduce_fast(x: Term, machine: Machine) -> Angle:
    """With a fused multiply-add the first product minus x is exact; without, float64 is used."""
    if machine.has_fma:
        n = nearest_whole(x, 2.0 / math.pi, machine)
        r = x
        for part in HALF_PI_F32:
            r = fma(n.value, -part, r)
        return Angle(r, n.bits)
    wide = cast(x, F64)
    n = nearest_whole(wide, 2.0 / math.pi, machine)
    rest = wide
    for part in HALF_PI_F64:
        rest = mad(n.value, -part, rest)
    return Angle(cast(rest, F32), cast(n.bits, I32))


def _reduce_exactly(x: Term, machine: Machine) -> Angle:
    """In fixed point: quarter turns modulo 4, with two bits before the point."""
    if machine.has_f64:
        return _from_turns(_quarter_turns(x))
    angle = _from_words(*_quarter_turns_in_words(x))
    inside = x < math.pi / 4.0  # and below the window of bits
    return Angle(select(inside, x, angle.remainder), select(inside, 0, angle.multiple))


def _from_turns(turns: Term) -> Angle:
    """From an unsigned 64-bit fixed-point number."""
    multiple = (turns + (1 << 61)) >> 62
    rest = bitcast(turns - (multiple << 62), I64)
    return Angle(cast(cast(rest, F64) * (math.pi / 2.0 * 2.0**-62), F32), cast(multiple, I32))


def _from_words(high: Term, low: Term) -> Angle:
    """From two unsigned 32-bit words; as a sign and a magnitude, so that no digits cancel."""
    multiple = (high + (1 << 29)) >> 30
    rest = bitcast(high - (multiple << 30), I32)
    sign = rest >> 31
    upper = cast(rest ^ sign, F32) * (math.pi / 2.0 * 2.0**-30)
    lower = cast(low ^ bitcast(sign, U32), F32)
    size = mad(lower, math.pi / 2.0 * 2.0**-62, upper)
    return Angle(select(sign < 0, -size, size), bitcast(multiple, I32))


def _quarter_turns(x: Term) -> Term:
    """``x * 2 / pi`` modulo 4, times 2**62, as an unsigned 64-bit number."""
    mantissa, window = _mantissa_and_window(x)
    first, second, third = (cast(mantissa, U64) * cast(word, U64) for word in window)
    return (first << 32) + second + (third >> 32)


def _quarter_turns_in_words(x: Term) -> tuple[Term, Term]:
    """The same as two 32-bit words, for machines without 64-bit integers."""
    mantissa, (first, second, third) = _mantissa_and_window(x)
    carried = _high_product(mantissa, third)
    low = mantissa * second + carried
    carry = select(low < carried, low.like(1), low.like(0))
    return mantissa * first + _high_product(mantissa, second) + carry, low


def _high_product(a: Term, b: Term) -> Term:
    """The upper word of the product of a < 2**24 and b, by halves of 16 bits."""
    a_high, a_low, b_high, b_low = a >> 16, a & 0xFFFF, b >> 16, b & 0xFFFF
    middle = a_low * b_high + ((a_low * b_low) >> 16)
    other = (middle & 0xFFFF) + a_high * b_low
    return a_high * b_high + (middle >> 16) + (other >> 16)


def _mantissa_and_window(x: Term) -> tuple[Term, tuple[Term, Term, Term]]:
    """x's mantissa as an integer, and the 96 bits of 2 / pi that begin at the weight 2 / ulp(x).

    The bits before those only add multiples of 4 quadrants to the product. A word of zeros stands
    before the binary point, so x may be as small as 1/128.
    """
    pattern = unsigned_bits(x)
    exponent = bitcast(pattern >> 23, I32)
    start = exponent - 120
    words = _select_words(start >> 5, [pattern.like(w) for w in (0, *TWO_OVER_PI)], 4)
    shift = bitcast(start & 31, U32)
    window = tuple(
        (left << shift) | ((right >> 1) >> (31 - shift)) for left, right in pairwise(words)
    )
    mantissa = (pattern & 0x7FFFFF) | 0x800000
    return mantissa, (window[0], window[1], window[2])


def _select_words(first: Term, words: list[Term], count: int) -> list[Term]:
    """`count` words from index `first` (below 8) on: a barrel shifter of selects."""
    for step in (4, 2, 1):
        moved = (first & step) > 0
        needed = count + step - 1
        later = words[step:] + words[:step]  # what wraps around is never reached
        words = [select(moved, b, a) for a, b in zip(words, later, strict=True)][:needed]
    return words
