"""exp, exp2, expm1 and sigmoid.

``exp(x) = 2**n * e**r`` with n the whole number nearest to ``x / log 2``: the additive reduction of
Cody and Waite ("Software Manual for the Elementary Functions", 1980), where log 2 is the sum of
two constants, the first short enough for its product with n to be exact, fused or not.
"""

from __future__ import annotations

import math

from msgspec import Struct

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.scaling import (
    FORMATS,
    SINGLE,
    Whole,
    infinity,
    keep_nan,
    nearest_whole,
    round_to_whole,
    scaled_powers,
    shift_exponent,
    times_power_of_two,
)
from tilewright.ir.elementary.term import (
    PICKED,
    Machine,
    Term,
    absolute,
    at_least,
    at_most,
    bits,
    horner,
    mad,
    pick,
    scale,
    select,
)

LOG2_E = math.log2(math.e)
SIXTEENTHS = tuple(2.0 ** (k / 16) for k in range(PICKED))
TINY = 2.0**-64  # below, e**x - 1 rounds to x in every format


class ExponentialFacts(Struct, frozen=True):
    """What differs between the formats.

    `low` is below where exp rounds to zero and `high` above where it overflows; `normal_low` and
    `finite_high` bound the results that are normal numbers; below `minus_one` expm1 rounds to -1.
    """

    log2_high: float
    log2_low: float
    low: float
    high: float
    normal_low: float
    finite_high: float
    minus_one: float


FACTS = {
    F32: ExponentialFacts(
        log2_high=22713.0 / 32768.0,
        log2_low=1.4286068203094172e-06,
        low=-104.0,
        high=89.0,
        normal_low=-87.33654,
        finite_high=88.72283,
        minus_one=-18.0,
    ),
    F64: ExponentialFacts(
        log2_high=3048493539143.0 / 4398046511104.0,
        log2_low=5.497923018708371e-14,
        low=-746.0,
        high=710.0,
        normal_low=-708.396418532264,
        finite_high=709.782712893384,
        minus_one=-38.0,
    ),
}


def reduce_argument(x: Term, machine: Machine, rest: Term | None = None) -> tuple[Whole, Term]:
    """n and r with ``x + rest = n log 2 + r``, ``abs(r) <= log 2 / 2`` and a little more.

    Shader compilers reassociate sums: Mesa made one product of the two with n, and added `rest` to
    x first. What they cannot see through is a bound, so the difference gets one that it never
    reaches; and n is not taken from ``x + rest``, which would be at hand to be used again.
    """
    facts = FACTS[x.dtype]
    n = nearest_whole(x + rest if rest is not None and machine.ieee else x, LOG2_E, machine)
    r = mad(n.value, -facts.log2_high, x)
    if not machine.ieee:
        r = at_most(r, 1.0)
    if rest is None:
        return n, mad(n.value, -facts.log2_low, r)
    return n, r + mad(n.value, -facts.log2_low, rest)


def exp(x: Term, machine: Machine) -> Term:
    """e**x."""
    facts = FACTS[x.dtype]
    clamped = at_least(at_most(x, facts.high), facts.low)
    if machine.pick and x.dtype is F32:
        return _exp_by_table(clamped)
    n, r = reduce_argument(clamped, machine)
    p = horner(r, (1.0, 1.0, *coefficients.EXP[x.dtype]))
    if machine.ieee:
        return times_power_of_two(p, n, machine)
    return _saturate(x, shift_exponent(p, n, machine), facts.normal_low, facts.finite_high, machine)


def _exp_by_table(x: Term) -> Term:
    """``2**n 2**(k / 16) e**r``: in sixteenths, so that a short polynomial is enough. The addition
    that rounds leaves k in the lowest bits, and scaling takes whole powers of two only."""
    facts, sixteenths = FACTS[F32], SINGLE.rounder / 16.0
    shifted = mad(x, LOG2_E, sixteenths)
    n = shifted - sixteenths
    r = mad(n, -facts.log2_low, mad(n, -facts.log2_high, x))
    power = pick(bits(shifted), SIXTEENTHS, F32)
    p = mad(r * r, horner(r, coefficients.EXP_SIXTEENTH[F32]), r)
    return scale(mad(power, p, power), n)


def exp2(x: Term, machine: Machine) -> Term:
    """2**x."""
    form = FORMATS[x.dtype]
    lowest = float(-form.bias - form.mantissa_bits - 1)
    clamped = at_least(at_most(x, form.bias + 2.0), lowest)
    n = round_to_whole(clamped, machine)
    p = horner(clamped - n.value, (1.0, *coefficients.EXP2[x.dtype]))
    if machine.ieee:
        return times_power_of_two(p, n, machine)
    below_overflow = form.bias + 1.0 - 2.0 ** (6 - form.mantissa_bits)
    return _saturate(x, shift_exponent(p, n, machine), 1.0 - form.bias, below_overflow, machine)


def _saturate(x: Term, result: Term, low: float, high: float, machine: Machine) -> Term:
    """`result` on [low, high], 0 below, infinity above, NaN for NaN."""
    bounded = select(x < low, 0.0, select(x > high, infinity(x), result))
    return keep_nan(x, bounded, machine)


def exp2_bounded(x: Term, machine: Machine) -> Term:
    """2**x where x is known to lie between the exponents of normal numbers; not for NaN."""
    n = round_to_whole(x, machine)
    return shift_exponent(horner(x - n.value, (1.0, *coefficients.EXP2[x.dtype])), n, machine)


def sigmoid(x: Term, machine: Machine) -> Term:
    """``1 / (1 + e**-x)``, from ``e**-abs(x)`` so that small results keep their digits."""
    if x.dtype is F64:
        return _sigmoid_in_two(x, machine)
    e = exp(-absolute(x), machine)
    return select(x < 0.0, e, 1.0) / (e + 1.0)


def _sigmoid_in_two(x: Term, machine: Machine) -> Term:
    """The same within two units, by what the power and the divisor lost by rounding.

    The correction is relative and tiny, so ``1 / p`` may be taken as ``2 - p``; and the inverse of
    the divisor is the quotient, or, for negative x, what it lacks to 1.
    """
    n, r = reduce_argument(at_least(-absolute(x), FACTS[x.dtype].low), machine)
    p_less_one = mad(r * r, horner(r, coefficients.EXP[x.dtype]), r)
    p = p_less_one + 1.0
    p_lost = (p_less_one - (p - 1.0)) * (2.0 - p)
    e = times_power_of_two(p, n, machine)
    divisor = e + 1.0
    divisor_lost = mad(e, p_lost, e - (divisor - 1.0))
    negative = x < 0.0
    quotient = select(negative, e, 1.0) / divisor
    inverse = select(negative, 1.0 - quotient, quotient)
    relative = mad(-divisor_lost, inverse, select(negative, p_lost, 0.0))
    return mad(quotient, relative, quotient)


def expm1(x: Term, machine: Machine) -> Term:
    """``e**x - 1 = 2**n (e**r - 1) + (2**n - 1)``, halved so that 2**n does not overflow first."""
    facts = FACTS[x.dtype]
    clamped = at_least(at_most(x, facts.high), facts.minus_one)
    n, r = reduce_argument(clamped, machine)
    p = mad(r * r, horner(r, coefficients.EXP[x.dtype]), r)
    power, _ = scaled_powers(n, -1, machine)
    half = mad(power, p, power - 0.5)
    # One half of a tiny result would be rounded, or flushed to zero.
    result = select(absolute(x) < TINY, x, half + half)
    if machine.ieee:
        return result
    return keep_nan(x, select(x > facts.finite_high, infinity(x), result), machine)
