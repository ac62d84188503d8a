"""Numbers as unevaluated sums of two floats, for the power function in float64.

In and out: terms, in pairs (high, low). Error-free transformations (T. J. Dekker, "A floating-point
technique for extending the available precision", 1971), for targets whose arithmetic is IEEE's.
"""

from __future__ import annotations

import math

from tilewright.ir.dtypes import F64
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.scaling import drop_low_half, split_exponent
from tilewright.ir.elementary.term import Machine, Term, fma, horner, mad, select

Pair = tuple[Term, Term]

THIRD = (0.3333333333333333, 1.850371707708594e-17)
TWO_LOG2_E = (2.8853900817779268, 4.0710547481862066e-17)
LOG2_3_2 = (0.584962500720394, 7.621628819151085e-13)  # the first of 40 bits


def two_product(a: Term, b: Term, machine: Machine) -> Pair:
    """``a * b`` exactly, as its rounded value and the error."""
    product = a * b
    if machine.has_fma:
        return product, fma(a, b, -product)
    a_head, b_head = drop_low_half(a), drop_low_half(b)
    a_rest, b_rest = a - a_head, b - b_head
    error = ((a_head * b_head - product) + a_head * b_rest) + a_rest * b_head
    return product, error + a_rest * b_rest


def log2_in_two(x: Term, machine: Machine) -> Pair:
    """log2 of a positive finite float64, to about 2**-66 of itself.

    ``x = 2**k m`` and ``s = (m - c) / (m + c)`` with c 1 or 3/2, so that s is below 1/10; then
    ``log(m / c) = 2 s (1 + s**2 / 3 + s**4 q(s**2))``, all but q in pairs.
    """
    m, k = split_exponent(x, math.sqrt(0.75), machine)
    upper = m > math.sqrt(1.5)
    center = select(upper, m.like(1.5), m.like(1.0))
    s_high, s_low = _quotient(m - center, m, center, machine)
    z_high, z_low = two_product(s_high, s_high, machine)
    z_low = mad(s_high + s_high, s_low, z_low)
    third, third_low = two_product(z_high, m.like(THIRD[0]), machine)
    third_low = third_low + mad(z_high, THIRD[1], z_low * THIRD[0])
    third_low = mad(z_high * z_high, horner(z_high, coefficients.POW_ATANH[F64]), third_low)
    factor = third + 1.0
    factor_low = (third - (factor - 1.0)) + third_low
    high, low = two_product(s_high, factor, machine)
    low = mad(s_high, factor_low, mad(s_low, factor, low))
    scaled, scaled_low = two_product(high, m.like(TWO_LOG2_E[0]), machine)
    scaled_low = mad(high, TWO_LOG2_E[1], mad(low, TWO_LOG2_E[0], scaled_low))
    whole = k + select(upper, m.like(LOG2_3_2[0]), 0.0)
    total = whole + scaled
    lost = (whole - total) + scaled
    return total, lost + (scaled_low + select(upper, m.like(LOG2_3_2[1]), 0.0))


def _quotient(numerator: Term, m: Term, center: Term, machine: Machine) -> Pair:
    """``numerator / (m + center)``: a rounded quotient and what is missing from it."""
    divisor = m + center
    divisor_low = m - (divisor - center)
    inverse = 1.0 / divisor
    quotient = numerator * inverse
    product, error = two_product(quotient, divisor, machine)
    remainder = ((numerator - product) - error) - quotient * divisor_low
    return quotient, remainder * inverse
