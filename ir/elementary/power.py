"""pow: ``2**(y log2(abs(x)))``, with the special cases of C99 annex F.

The exponent may be as large as the format's range, and its absolute error becomes the relative
error of the power, so the logarithm and the product need some eleven bits more than the format has.
"""

from __future__ import annotations

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import coefficients, pieces
from tilewright.ir.elementary.logarithm import LOWEST
from tilewright.ir.elementary.pairs import log2_in_two, two_product
from tilewright.ir.elementary.piecewise import mantissa_number
from tilewright.ir.elementary.scaling import (
    FORMATS,
    drop_low_half,
    flip_sign,
    infinity,
    is_nan,
    magnitude_bits,
    not_a_number,
    round_to_whole,
    shift_exponent,
    sign_bits,
    split_exponent,
    times_power_of_two,
    whole_number,
)
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    at_least,
    at_most,
    bits,
    cast,
    exponent_of,
    fma,
    horner,
    likely,
    mad,
    mantissa_of,
    pick,
    select,
    truncate,
)
from tilewright.ir.expr import Const

LOG2_E = (1.4426950216293335, 1.925963033500011e-08)
LOG2_E_HEAD, LOG2_E_REST = 1.4423828125, 0.00031222838896340733  # twelve bits, and what is left
_SMALL = 4.0  # exponents that magnify the error of a logarithm by little
_NEEDS_NO_BOUNDS = 64.0  # those by which no logarithm becomes too large to scale by

# The logarithms of 5/4 and 13/16: eleven bits, and how much that is too high
LOG2_5_4 = (0.32177734375, -0.00015075113736234786)
LOG2_13_16 = (-0.2998046875, -0.00024440564109216037)


def power(x: Term, y: Term, machine: Machine) -> Term:
    if machine.pick and x.dtype is F32:
        return _power_by_table(x, y, machine)
    size = absolute(x)
    trivial = size.equals(1.0) | y.equals(0.0)
    if x.dtype is F64:
        result = _power_of_pairs(size, y, trivial, machine)
    elif machine.has_f64:
        result = _power_in_float64(size, y, trivial, machine)
    else:
        result = _power_in_halves(size, y, trivial, machine)
    return _patch_sign(x, y, result, machine)


def _power_by_table(x: Term, y: Term, machine: Machine) -> Term:
    """For float32 with fused operations: the logarithm and the product as sums of two floats.

    The bound on y loses nothing: the smallest logarithm that is not zero is above 2**-25.
    """
    size = absolute(x)
    high, low = _log2_by_table(size, rounded=_is_literal(y, _SMALL))
    bounded = at_least(at_most(y, 2.0**33), -(2.0**33))
    exponent = bounded * high
    rest = mad(bounded, low, fma(bounded, high, -exponent))
    if not _is_literal(y, _NEEDS_NO_BOUNDS):
        product, exponent = exponent, at_least(at_most(exponent, 200.0), -200.0)
        rest = select(exponent.equals(product), rest, 0.0)  # else it may be anything
    n = round_to_whole(exponent, machine)
    p = horner((exponent - n.value) + rest, (1.0, *coefficients.POW_EXP2[F32]))
    result = times_power_of_two(p, n, machine)
    ordinary = (bits(x) > 0) & (x < infinity(x)) & y.equals(y)
    trivial = size.equals(1.0) | y.equals(0.0)
    patched = select(trivial, 1.0, _patch_extremes(size, y, result, machine))
    return likely(ordinary, result, _patch_sign(x, y, patched, machine))


def _is_literal(y: Term, most: float) -> bool:
    """Whether y is a number of at most this size that is known here."""
    return isinstance(y.expr, Const) and abs(y.expr.value) <= most


def _log2_by_table(x: Term, *, rounded: bool) -> tuple[Term, Term]:
    """log2 of a positive finite number as a sum of two, to about 2**-34 of itself.

    As `logarithm.log` does it, where machines can pick: ``x = 2**k m``, and c from the table, which
    leaves ``log(c m)``. That is below 2**-4; it may be `rounded` to a float, to 2**-29 absolutely.
    """
    table = pieces.POW[F32]
    m = mantissa_of(x)
    k = exponent_of(x) - exponent_of(m)
    number = mantissa_number(m)
    c, constant = pick(number, table.inverses, F32), pick(number, table.logarithms, F32)
    if rounded:
        r = fma(m, c, c.like(-1.0))
        bent, rest = mad(r * r, horner(r, (-0.5, *table.ratio)), r), None
    else:
        bent, rest = _log_of_product(m, c, table.ratio)
    whole = k + constant
    whole_low = constant - (whole - k)
    high = fma(bent, LOG2_E[0], whole)
    low = mad(bent, LOG2_E[1], fma(bent, LOG2_E[0], whole - high) + whole_low)
    return high, low if rest is None else mad(rest, LOG2_E[0], low)


def _log_of_product(m: Term, c: Term, ratio: tuple[float, ...]) -> tuple[Term, Term]:
    """``log(c m)`` as a sum of two: ``c m - 1 = r + r_low`` and ``log(1 + r) = r - r**2 / 2 +
    r**3 q(r)``, where the first two terms are kept exactly."""
    product = m * c
    r = product - 1.0
    r_low = fma(m, c, -product)
    half = r * -0.5
    bent = fma(half, r, r)
    bent_low = fma(half, r, r - bent)
    return bent, bent_low + mad(r * r * r, horner(r, ratio), mad(-r_low, r, r_low))


def _power_in_float64(size: Term, y: Term, trivial: Term, machine: Machine) -> Term:
    """For float32: the logarithm and the product in float64, the power in float32."""
    m, k = split_exponent(size, LOWEST, machine)
    f = cast(m - 1.0, F64)
    logarithm = mad(f, horner(f, coefficients.POW_RATIO[F64]), cast(k, F64))
    patched = select(size < infinity(size), logarithm, cast(size, F64))
    patched = select(size.equals(0.0), patched.like(float("-inf")), patched)
    exponent = select(trivial, 0.0, patched * cast(y, F64))
    exponent = at_least(at_most(exponent, 200.0), -200.0)
    n = round_to_whole(exponent, machine)
    p = horner(cast(exponent - n.value, F32), (1.0, *coefficients.EXP2[F32]))
    return times_power_of_two(p, whole_number(cast(n.value, F32)), machine)


def _power_of_pairs(size: Term, y: Term, trivial: Term, machine: Machine) -> Term:
    """For float64: the logarithm and the product as unevaluated sums of two.

    The bound on y loses nothing: the smallest logarithm that is not zero is above 2**-54.
    """
    bounded = at_least(at_most(y, 2.0**66), -(2.0**66))
    high, low = log2_in_two(size, machine)
    product, rest = two_product(bounded, high, machine)
    rest = mad(bounded, low, rest)
    exponent = at_least(at_most(product + rest, 1100.0), -1100.0)
    n = round_to_whole(exponent, machine)
    p = horner((product - n.value) + rest, (1.0, *coefficients.EXP2[F64]))
    result = times_power_of_two(p, n, machine)
    finite = (exponent > -1100.0) & (exponent < 1100.0)
    saturated = select(exponent > 0.0, infinity(y), 0.0)
    result = select(finite, result, saturated)
    return select(trivial, 1.0, _patch_extremes(size, y, result, machine))


def _power_in_halves(size: Term, y: Term, trivial: Term, machine: Machine) -> Term:
    """For float32 without anything wider: factors cut to half of their bits multiply exactly.

    The cutting is done on bits, so it stands even where the target reassociates sums. The bound
    on y loses nothing: the smallest logarithm that is not zero is above 2**-25.
    """
    bounded = at_least(at_most(y, 2.0**33), -(2.0**33))
    head, rest = _log2_in_halves(size, machine)
    y_head = drop_low_half(bounded)
    product = y_head * head
    correction = mad(bounded, rest, (bounded - y_head) * head)
    exponent = product + correction
    n = round_to_whole(at_least(at_most(exponent, 200.0), -200.0), machine)
    p = horner((product - n.value) + correction, (1.0, *coefficients.EXP2[F32]))
    large, small = exponent >= 128.0, exponent < -126.0
    result = select(large, infinity(y), select(small, 0.0, shift_exponent(p, n, machine)))
    return select(trivial, 1.0, _patch_extremes(size, y, result, machine))


def _log2_in_halves(x: Term, machine: Machine) -> tuple[Term, Term]:
    """log2(x) as a sum of a float cut to half of its bits and a small rest.

    ``x = 2**k m``, and a factor c of few bits brings m within 1/6 of 1. With ``f = c m - 1``,
    ``log2(1 + f) = L f - L / 2 f**2 + f**3 q(f)``; of the first two terms the leading parts are
    products of halves.
    """
    m, k = split_exponent(x, 2.0 / 3.0, machine)
    low, high = m < 0.894, m > 1.09
    factor = select(low, m.like(1.25), select(high, m.like(0.8125), 1.0))
    f, f_head, f_rest = _times_less_one(m, factor)
    square_head = drop_low_half(f_head * f_head)
    square_rest = (f_head * f_head - square_head) + f_rest * (f + f_head)
    first, second = f_head * LOG2_E_HEAD, square_head * (-0.5 * LOG2_E_HEAD)
    small = mad(f * f * f, horner(f, coefficients.POW_CUBIC[F32]), f * LOG2_E_REST)
    small = mad(f * f, -0.5 * LOG2_E_REST, small)
    small = mad(square_rest, -0.5 * LOG2_E_HEAD, mad(f_rest, LOG2_E_HEAD, small))
    small = small + select(low, m.like(LOG2_5_4[1]), select(high, m.like(LOG2_13_16[1]), 0.0))
    whole = k - select(low, m.like(LOG2_5_4[0]), select(high, m.like(LOG2_13_16[0]), 0.0))
    head = drop_low_half(whole + (first + second))
    return head, (((whole - head) + first) + second) + small


def _times_less_one(m: Term, factor: Term) -> tuple[Term, Term, Term]:
    """``f = factor * m - 1`` rounded, f cut to half of its bits, and the exact rest."""
    m_head = drop_low_half(m)
    f = mad(m, factor, -1.0)
    f_head = drop_low_half(f)
    return f, f_head, mad(m - m_head, factor, mad(m_head, factor, -1.0) - f_head)


def _patch_extremes(size: Term, y: Term, result: Term, machine: Machine) -> Term:
    """Zero or infinity where x is zero or infinite, or y infinite."""
    form = FORMATS[size.dtype]
    zero = bits(size) < (1 if machine.ieee else 1 << form.mantissa_bits)
    infinite = bits(size) >= form.infinity_bits
    extreme = zero | infinite | (magnitude_bits(y) >= form.infinity_bits)
    shrinks = (size > 1.0) ^ (y > 0.0)
    return select(extreme, select(shrinks, y.like(0.0), infinity(y)), result)


def _patch_sign(x: Term, y: Term, result: Term, machine: Machine) -> Term:
    """Odd powers of negative numbers are negative; fractional powers of them are NaN."""
    whole = truncate(y).equals(y)
    half = y * 0.5
    odd = whole & truncate(half).differs(half)
    sign = sign_bits(x)
    signed = flip_sign(result, select(odd, sign, 0))
    fraction = truncate(y).differs(y)
    finite_negative = (sign < 0) & (magnitude_bits(x) < FORMATS[x.dtype].infinity_bits)
    invalid = fraction & finite_negative & (magnitude_bits(x) > 0)
    if not machine.ieee or machine.pick or x.dtype is F64:  # else NaN gets through arithmetic
        x_nan, y_nan = is_nan(x, machine), is_nan(y, machine)
        invalid = invalid | (x_nan & y.differs(0.0)) | (y_nan & x.differs(1.0))
    return select(invalid, not_a_number(x), signed)
