"""Reduction of an angle by multiples of pi / 2, exact for every finite number.

In: a non-negative angle. Out: the remainder and the multiple's low bits. Up to a bound the
remainder is ``x - n * pi / 2`` with pi / 2 as a sum of constants (Cody and Waite, 1980). Beyond
it the angle's mantissa, an integer, is multiplied by those bits of 2 / pi that matter for the
result modulo 4 (Payne and Hanek, "Radian reduction for trigonometric functions", 1983): exact in
integers, therefore the same on every target. The bits are picked by selects: there are no tables.
"""

from __future__ import annotations

import math
from itertools import pairwise

from msgspec import Struct

from tilewright.ir.dtypes import F32, F64, I32, I64, U64, DType, signed_of, unsigned_of
from tilewright.ir.elementary.scaling import FORMATS, nearest_whole
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

# The first 1280 bits of the fraction of 2 / pi
TWO_OVER_PI = int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561"
    "B7246E3A424DD2E006492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484"
    "E99C7026B45F7E413991D639835339F49C845F8BBDF9283B1FF897FFDE05980F"
    "EF2F118B5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D7527BAC7EBE5F17B"
    "3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B6BABF0CFBC209AF4361D",
    16,
)
TWO_OVER_PI_BITS = 1280


class HalfPi(Struct, frozen=True):
    """pi / 2 as sums, each term the rest rounded, and the bounds up to which they serve.

    The terms of `cut` but the last are so short that products with n < 2**20 are exact. `head` is
    cut to half of the bits, and `after` is what that leaves.
    """

    rounded: tuple[float, float, float]
    rounded_bound: float
    cut: tuple[float, float, float]
    cut_bound: float
    head: float
    after: float


CUT = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)  # in float64
HALF_PI = {
    F32: HalfPi(
        rounded=(1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
        rounded_bound=2.0**17,
        cut=CUT,
        cut_bound=2.0**17,
        head=1.5703125,
        after=0.00048382679489661926,
    ),
    F64: HalfPi(
        rounded=(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
        rounded_bound=2.0**30,
        cut=CUT,
        cut_bound=2.0**20,
        head=1.570796325802803,
        after=9.920935796805404e-10,
    ),
}


class Angle(Struct, frozen=True):
    """``remainder + rest + multiple * pi / 2``, of the multiple the two lowest bits, as
    an integer of the float's width.

    `rest` is what the remainder lost by rounding, zero if that was not asked for.
    """

    remainder: Term
    rest: Term
    multiple: Term


def reduce_fast(x: Term, machine: Machine, *, with_rest: bool) -> Angle:
    """0 <= x < `fast_bound` to a remainder within pi / 4 and a little more."""
    if not machine.has_fma:
        return _reduce_unfused(x, machine)
    return _reduce_fused_in_two(x, machine) if with_rest else _reduce_fused(x, machine)


def fast_bound(x: Term, machine: Machine) -> float:
    facts = HALF_PI[x.dtype]
    return facts.rounded_bound if machine.has_fma else facts.cut_bound


def _reduce_fused(x: Term, machine: Machine) -> Angle:
    """The first product minus x is exact in a fused multiply-add, for no bit can be lost."""
    n = nearest_whole(x, 2.0 / math.pi, machine)
    remainder = x
    for part in HALF_PI[x.dtype].rounded:
        remainder = fma(n.value, -part, remainder)
    return Angle(remainder, x.like(0.0), n.bits)


def reduce_half_turns(x: Term, machine: Machine, *, turned: float) -> Angle:
    """The same by multiples of pi, plus `turned` of them, for float32 and fused operations."""
    n = nearest_whole(x, 1.0 / math.pi, machine, turned)
    steps = n.value - turned if turned else n.value
    remainder = x
    for part in HALF_PI[x.dtype].rounded:
        remainder = fma(steps, -2.0 * part, remainder)
    return Angle(remainder, x.like(0.0), n.bits)


def _reduce_fused_in_two(x: Term, machine: Machine) -> Angle:
    """The second product is rounded before it is subtracted, so that both errors can be had."""
    first, second, third = HALF_PI[x.dtype].rounded
    n = nearest_whole(x, 2.0 / math.pi, machine)
    exact = fma(n.value, -first, x)
    product = n.value * second
    remainder = exact - product
    lost = ((exact - remainder) - product) - fma(n.value, second, -product)
    return Angle(remainder, mad(n.value, -third, lost), n.bits)


def _reduce_unfused(x: Term, machine: Machine) -> Angle:
    """In float64, also for float32, which leaves no room for constants shorter than itself."""
    first, second, third = HALF_PI[x.dtype].cut
    wide = cast(x, F64)
    n = nearest_whole(wide, 2.0 / math.pi, machine)
    exact = wide - n.value * first
    partial = exact - n.value * second
    remainder = partial - n.value * third
    multiple = n.bits
    if x.dtype is F32:
        narrow = cast(remainder, F32)
        return Angle(narrow, cast(remainder - cast(narrow, F64), F32), cast(multiple, I32))
    lost = (exact - partial) - n.value * second
    return Angle(remainder, (partial - remainder) + (lost - n.value * third), multiple)


def reduce_exactly(x: Term, machine: Machine) -> Angle:
    """Any finite x >= 0, in fixed point: quarter turns modulo 4, with two bits before the point.

    Machines that have `reduce_fast` need not use this below its bound, and it is shorter for that.
    """
    if x.dtype is F32 and machine.has_f64:
        return _from_turns(_quarter_turns(x))
    angle = _from_words(*_quarter_turns_in_words(x), x.dtype)
    if machine.ieee:
        return angle
    inside = x < math.pi / 4.0  # and below the window of bits
    return Angle(
        select(inside, x, angle.remainder),
        select(inside, 0.0, angle.rest),
        select(inside, 0, angle.multiple),
    )


def _from_turns(turns: Term) -> Angle:
    """From an unsigned 64-bit number, for float32: through float64."""
    multiple = (turns + (1 << 61)) >> 62
    part = bitcast(turns - (multiple << 62), I64)
    remainder = cast(part, F64) * (math.pi / 2.0 * 2.0**-62)
    narrow = cast(remainder, F32)
    return Angle(narrow, cast(remainder - cast(narrow, F64), F32), cast(multiple, I32))


def _from_words(high: Term, low: Term, dtype: DType) -> Angle:
    """From two unsigned words, each as wide as the float: as a sign and a magnitude.

    The magnitude's first two groups of bits, half of a float each, have exact products with the
    head of pi / 2, and so the remainder rounds only once, at the end.
    """
    facts, width = HALF_PI[dtype], dtype.bits
    half = (FORMATS[dtype].mantissa_bits + 1) // 2
    multiple = (high + (1 << (width - 3))) >> (width - 2)
    part = bitcast(high - (multiple << (width - 2)), signed_of(dtype))
    sign = part >> (width - 1)
    size_high, size_low = part ^ sign, low ^ bitcast(sign, unsigned_of(dtype))
    first_end, second_end = 1 << (width - 3 - half), 1 << (width - 3 - 2 * half)
    first = cast(size_high & -first_end, dtype)
    second = cast(size_high & (first_end - second_end), dtype)
    third = mad(cast(size_low, dtype), 2.0**-width, cast(size_high & (second_end - 1), dtype))
    unit = 2.0 ** (2 - width)
    product = first * (facts.head * unit)
    others = mad(second, facts.after * unit, third * (math.pi / 2.0 * unit))
    others = mad(second, facts.head * unit, mad(first, facts.after * unit, others))
    remainder = product + others
    rest = (product - remainder) + others
    negative = sign < 0
    return Angle(
        select(negative, -remainder, remainder),
        select(negative, -rest, rest),
        bitcast(multiple, signed_of(dtype)),
    )


def _quarter_turns(x: Term) -> Term:
    """``x * 2 / pi`` modulo 4, times 2**62, as an unsigned 64-bit number, for float32."""
    mantissa, window = _mantissa_and_window(x)
    first, second, third = (cast(mantissa, U64) * cast(word, U64) for word in window)
    return (first << 32) + second + (third >> 32)


def _quarter_turns_in_words(x: Term) -> tuple[Term, Term]:
    """The same as two words, without integers wider than the float."""
    mantissa, (first, second, third) = _mantissa_and_window(x)
    carried = _high_product(mantissa, third)
    low = mantissa * second + carried
    carry = select(low < carried, low.like(1), low.like(0))
    return mantissa * first + _high_product(mantissa, second) + carry, low


def _high_product(a: Term, b: Term) -> Term:
    """The upper word of the product, by half words, of which a's upper one is not quite full."""
    half = a.dtype.bits // 2
    mask = (1 << half) - 1
    a_high, a_low, b_high, b_low = a >> half, a & mask, b >> half, b & mask
    middle = a_low * b_high + ((a_low * b_low) >> half)
    other = (middle & mask) + a_high * b_low
    return a_high * b_high + (middle >> half) + (other >> half)


def _mantissa_and_window(x: Term) -> tuple[Term, tuple[Term, Term, Term]]:
    """x's mantissa as an integer, and three words of 2 / pi from the weight 2 / ulp(x) on.

    The bits before those only add multiples of 4 quadrants to the product. A word of zeros stands
    before the binary point, so x may be as small as 1/128.
    """
    form, width = FORMATS[x.dtype], x.dtype.bits
    pattern = unsigned_bits(x)
    exponent = bitcast(pattern >> form.mantissa_bits, signed_of(x.dtype))
    start = exponent + (width - 2 - form.bias - form.mantissa_bits)
    log2_width = width.bit_length() - 1
    words = _select_words(start >> log2_width, _table(pattern), 4)
    shift = bitcast(start & (width - 1), pattern.dtype)
    first, second, third = (
        (left << shift) | ((right >> 1) >> (width - 1 - shift)) for left, right in pairwise(words)
    )
    implicit = 1 << form.mantissa_bits
    return (pattern & (implicit - 1)) | implicit, (first, second, third)


def _table(like: Term) -> list[Term]:
    """A word of zeros and those words of 2 / pi that the largest exponent can reach."""
    width = like.dtype.bits
    count = 8 if width == 32 else 20
    shifts = (TWO_OVER_PI_BITS - width * (i + 1) for i in range(count))
    return [like.like(0), *(like.like((TWO_OVER_PI >> s) % (1 << width)) for s in shifts)]


def _select_words(first: Term, words: list[Term], count: int) -> list[Term]:
    """`count` words from index `first` on: a barrel shifter of selects.

    What a step would fetch from beyond the end is never used, so anything may stand there.
    """
    step = 1 << (len(words) - count).bit_length() - 1
    while step:
        moved = (first & step) > 0
        later = words[step:] + words[:step]
        words = [select(moved, b, a) for a, b in zip(words, later, strict=True)]
        words = words[: count + step - 1]
        step >>= 1
    return words
