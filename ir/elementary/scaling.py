"""Powers of two: nearest whole numbers, ``p * 2**n`` and the split of a number into both.

In and out: terms. All of it works on the bits of floats, so that no target needs conversions
between floats and integers that saturate, and every step is exact unless the result is subnormal.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64, DType, signed_of
from tilewright.ir.elementary.term import (
    Machine,
    Operand,
    Term,
    as_float,
    bitcast,
    bits,
    mad,
    maximum,
    round_to_even,
    select,
)


class Format(Struct, frozen=True):
    """The layout of an IEEE format."""

    dtype: DType
    mantissa_bits: int
    bias: int

    @property
    def smallest_normal(self) -> float:
        return float(2.0 ** (1 - self.bias))

    @property
    def largest(self) -> float:
        return float((2.0 - 2.0**-self.mantissa_bits) * 2.0**self.bias)

    @property
    def infinity_bits(self) -> int:
        return (2 * self.bias + 1) << self.mantissa_bits

    @property
    def sign_bit(self) -> int:
        """The sign's mask as a signed integer."""
        return -(1 << (self.dtype.bits - 1))

    @property
    def rounder(self) -> float:
        """Adding 1.5 * 2**mantissa_bits leaves the nearest whole number in the low bits."""
        return float(1.5 * 2.0**self.mantissa_bits)


SINGLE = Format(F32, 23, 127)
DOUBLE = Format(F64, 52, 1023)
FORMATS = {F32: SINGLE, F64: DOUBLE}


class Whole(Struct, frozen=True):
    """A small whole number n: as a float, and as an integer whose low bits are n."""

    value: Term
    bits: Term


def nearest_whole(x: Term, factor: Operand, machine: Machine, addend: float = 0.0) -> Whole:
    """The whole number nearest to ``x * factor + addend``, which must be below 2**21 in magnitude.

    The addition that rounds also leaves the number's bits; a target that may reassociate would
    undo it, so there the rounding is an operation of its own.
    """
    rounder = FORMATS[x.dtype].rounder
    if not machine.ieee:
        return whole_number(round_to_even(mad(x, factor, addend) if addend else x * factor))
    shifted = mad(x, factor, addend) + rounder if addend else mad(x, factor, rounder)
    return Whole(shifted - rounder, bits(shifted))


def round_to_whole(x: Term, machine: Machine) -> Whole:
    """The same for x itself."""
    rounder = FORMATS[x.dtype].rounder
    if machine.scale or not machine.ieee:
        return whole_number(round_to_even(x))
    shifted = x + rounder
    return Whole(shifted - rounder, bits(shifted))


def whole_number(value: Term) -> Whole:
    """A float that is known to be a small whole number."""
    return Whole(value, bits(value + FORMATS[value.dtype].rounder))


def times_power_of_two(p: Term, n: Whole, machine: Machine) -> Term:
    """``p * 2**n`` for p in [1/2, 2] and any n that `Format` has, overflow and underflow included.

    Without the native operation it takes two steps, the first exact: a single factor 2**n would
    leave the range of the format before the product does.
    """
    if machine.scale:
        return Term(build.apply(ops.SCALE, p.expr, n.value.expr))
    form = FORMATS[p.dtype]
    whole = whole_as_integer(n)
    half = whole >> 1
    return p * power_of_two(half, form) * power_of_two(whole - half, form)


def shift_exponent(p: Term, n: Whole, machine: Machine) -> Term:
    """``p * 2**n`` where both p and the product are known to be normal numbers."""
    if machine.scale:
        return Term(build.apply(ops.SCALE, p.expr, n.value.expr))
    return bitcast(bits(p) + (n.bits << FORMATS[p.dtype].mantissa_bits), p.dtype)


def power_of_two(n: Term, form: Format) -> Term:
    """``2**n`` for an integer n within the exponents of normal numbers; bias + 1 gives infinity."""
    return bitcast((n + form.bias) << form.mantissa_bits, form.dtype)


def scaled_powers(n: Whole, shift: int, machine: Machine) -> tuple[Term, Term]:
    """``2**(n + shift)`` and ``2**(shift - n)``; zero where they are below the normal numbers."""
    form = FORMATS[n.value.dtype]
    if machine.scale:
        one = n.value.like(2.0**shift)
        up = build.apply(ops.SCALE, one.expr, n.value.expr)
        return Term(up), Term(build.apply(ops.SCALE, one.expr, (-n.value).expr))
    whole = whole_as_integer(n)
    lowest = -form.bias
    down = power_of_two(maximum(shift - whole, lowest), form)
    return power_of_two(maximum(whole + shift, lowest), form), down


def whole_as_integer(n: Whole) -> Term:
    """n as an integer of the float's width."""
    form = FORMATS[n.value.dtype]
    return n.bits - bits_of(form.rounder, form)


def bits_of(value: float, form: Format) -> int:
    """The bit pattern of a literal, as a signed integer."""
    unsigned = form.dtype.numpy.type(value).view(f"u{form.dtype.itemsize}").item()
    wrapped = build.const(unsigned, signed_of(form.dtype)).value
    assert isinstance(wrapped, int)
    return wrapped


def split_exponent(x: Term, lowest: float, machine: Machine) -> tuple[Term, Term]:
    """Positive finite ``x = m * 2**k`` with m in [lowest, 2 * lowest); m and k are floats.

    Subnormal numbers are made normal first, unless the target may flush them anyway.
    """
    form = FORMATS[x.dtype]
    if machine.ieee:
        tiny = x < form.smallest_normal
        x = select(tiny, x * 2.0**form.mantissa_bits, x)
    m, k = split_normal(x, lowest)
    exponent = as_float(k, x.dtype)
    if machine.ieee:
        exponent = select(tiny, exponent - form.mantissa_bits, exponent)
    return m, exponent


def split_normal(x: Term, lowest: float) -> tuple[Term, Term]:
    """The same for normal numbers, and k as an integer."""
    form = FORMATS[x.dtype]
    k = (bits(x) - bits_of(lowest, form)) >> form.mantissa_bits
    return bitcast(bits(x) - (k << form.mantissa_bits), x.dtype), k


def is_nan(x: Term, machine: Machine) -> Term:
    """Whether x is NaN, by its bits where comparisons cannot be trusted."""
    if machine.ieee:
        return Term(build.apply(ops.ISNAN, x.expr))
    form = FORMATS[x.dtype]
    return magnitude_bits(x) > form.infinity_bits


def magnitude_bits(x: Term) -> Term:
    """The bits of ``abs(x)`` as a signed integer: ordered like the magnitudes."""
    return bits(x) & ~FORMATS[x.dtype].sign_bit


def sign_bits(x: Term) -> Term:
    """The sign bit of x alone, as a signed integer."""
    return bits(x) & FORMATS[x.dtype].sign_bit


def flip_sign(x: Term, sign: Term) -> Term:
    """x with its sign flipped where `sign` (an integer) has the sign bit set."""
    return bitcast(bits(x) ^ sign, x.dtype)


def infinity(x: Term) -> Term:
    """Positive infinity of x's dtype."""
    return x.like(float("inf"))


def not_a_number(x: Term) -> Term:
    """The quiet NaN of x's dtype."""
    form = FORMATS[x.dtype]
    quiet = form.infinity_bits | (1 << (form.mantissa_bits - 1))
    return Term(build.from_bits(quiet, x.dtype))


def keep_nan(x: Term, result: Term, machine: Machine) -> Term:
    """`result`, or x where x is NaN: for results that did not get it through arithmetic."""
    return select(is_nan(x, machine), x, result)


def drop_low_half(x: Term) -> Term:
    """x cut to half of its bits, so that its square is exact."""
    form = FORMATS[x.dtype]
    mask = -(1 << (form.mantissa_bits // 2 + 1))
    return bitcast(bits(x) & mask, x.dtype)
