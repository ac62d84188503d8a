"""erf and erfc."""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import coefficients, pieces
from tilewright.ir.elementary.exponential import exp2_bounded, reduce_argument
from tilewright.ir.elementary.pairs import two_product
from tilewright.ir.elementary.piecewise import piecewise
from tilewright.ir.elementary.scaling import (
    drop_low_half,
    keep_nan,
    shift_exponent,
    times_power_of_two,
)
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    at_most,
    copysign,
    fma,
    horner,
    mad,
    select,
)


class ErrorFunctionFacts(Struct, frozen=True):
    """`one`: above, erf rounds to 1. `normal`, `zero`: above, erfc is subnormal, rounds to 0."""

    one: float
    normal: float
    zero: float


FACTS = {
    F32: ErrorFunctionFacts(one=4.0, normal=9.19455, zero=10.1),
    F64: ErrorFunctionFacts(one=6.0, normal=26.5432, zero=27.3),
}
ERF_SMALL = 0.9  # below, erf is a polynomial


def erf(x: Term, machine: Machine) -> Term:
    """An odd polynomial near zero; ``1 - 2**log2(erfc(x))`` above, the exponent a polynomial.

    Above, erfc is at most a quarter of erf, so its error counts for a quarter.
    """
    facts = FACTS[x.dtype]
    size = absolute(x)
    if machine.pick and x.dtype is F32:
        return copysign(piecewise(size, pieces.ERF), x)
    near = mad(size, horner(x * x, coefficients.ERF_SMALL[x.dtype]), size)
    exponent = horner(at_most(size, facts.one), coefficients.ERF_LARGE[x.dtype])
    far = 1.0 - exp2_bounded(exponent, machine)
    result = copysign(select(size >= ERF_SMALL, far, near), x)
    return result if machine.ieee else keep_nan(x, result, machine)


def erfc(x: Term, machine: Machine) -> Term:
    """``e**-x**2 / (x + 1)`` times a polynomial in ``(x - 1) / (x + 1)``; ``2 -`` that for x < 0.

    That variable, of M. M. Shepherd and J. G. Laframboise (Mathematics of Computation 36, 1981),
    makes ``e**x**2 erfc(x)`` easy to approximate on the half line; the factor ``x + 1`` keeps the
    polynomial nearly flat, so that neither its terms nor an error of its argument count for much.
    The square is taken of x cut to half of its bits, exactly; the rest of the square goes into
    the reduced argument of the power.
    """
    facts = FACTS[x.dtype]
    size = at_most(absolute(x), facts.zero)
    if machine.pick and x.dtype is F32:
        return _erfc_in_pieces(x, size, machine)
    factor, lost = _scaled_erfc(size, machine)
    head = drop_low_half(size)
    n, r = reduce_argument(-(head * head), machine, (head - size) * (head + size))
    power_rest = (r * r) * horner(r, coefficients.EXP[x.dtype])  # e**r - 1 - r
    product = factor + mad(factor, r, mad(factor, power_rest, lost))
    if machine.ieee:
        tail = times_power_of_two(product, n, machine)
    else:
        tail = select(size > facts.normal, 0.0, shift_exponent(product, n, machine))
    return keep_nan(x, select(x < 0.0, 2.0 - tail, tail), machine)


def _erfc_in_pieces(x: Term, size: Term, machine: Machine) -> Term:
    """``e**-x**2`` times a function in pieces; fused, what the square lost is at hand."""
    square = size * size
    lost = fma(size, size, -square)
    n, r = reduce_argument(-square, machine)
    r = r - lost
    power = mad(r * r, horner(r, coefficients.EXP[F32]), r)  # less one
    factor = piecewise(size, pieces.ERFC)
    tail = times_power_of_two(mad(factor, power, factor), n, machine)
    return select(x < 0.0, 2.0 - tail, tail)


def _scaled_erfc(x: Term, machine: Machine) -> tuple[Term, Term]:
    """``e**x**2 erfc(x)`` for x >= 0, and what that lost by rounding, as far as can be known.

    Three roundings come before the quotient's: of the polynomial's last step, of ``x + 1``, and of
    the quotient itself; together they would cost a unit and a half.
    """
    first, *others = coefficients.ERFC[x.dtype]
    divisor = x + 1.0
    inverse = 1.0 / divisor
    t = mad(inverse, -2.0, 1.0)
    slope = horner(t, tuple(others))
    value = mad(slope, t, first)
    quotient = value / divisor
    if not machine.ieee:
        return quotient, x.like(0.0)
    product, error = two_product(quotient, divisor, machine)
    value_lost = mad(slope, t, first - value)
    divisor_lost = x - (divisor - 1.0)
    missing = ((value - product) - error) + mad(-quotient, divisor_lost, value_lost)
    return quotient, missing * inverse
