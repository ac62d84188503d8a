"""erf and erfc."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.ir.dtypes import F32
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.exponential import exp2_bounded, expm1_kernel, reduce_argument
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
    horner,
    mad,
    select,
)


@dataclass(frozen=True)
class ErfFacts:
    """`small`: below, the polynomial is used; `one`: above, erf rounds to 1."""

    small: float
    one: float
    odd: tuple[float, ...]  # erf(x) / x - 1 in x**2
    log2_complement: tuple[float, ...]  # log2(erfc(x))


ERF = {F32: ErfFacts(0.9, 4.0, coefficients.ERF_SMALL_F32, coefficients.ERF_LARGE_F32)}


@dataclass(frozen=True)
class ErfcFacts:
    """`zero`: above, erfc rounds to zero. `normal`: above, it is subnormal."""

    zero: float
    normal: float
    scaled: tuple[float, ...]  # (x + 1) e**(x**2) erfc(x) in (x - 1) / (x + 1)


ERFC = {F32: ErfcFacts(10.1, 9.1945, coefficients.ERFC_F32)}


def erf(x: Term, machine: Machine) -> Term:
    """An odd polynomial near zero; ``1 - 2**log2(erfc(x))`` above, the exponent a polynomial.

    Above, erfc is at most a quarter of erf, so its error counts for a quarter.
    """
    facts = ERF[x.dtype]
    size = absolute(x)
    near = mad(size, horner(x * x, facts.odd), size)
    far = 1.0 - exp2_bounded(horner(at_most(size, facts.one), facts.log2_complement), machine)
    result = copysign(select(size >= facts.small, far, near), x)
    return result if machine.ieee else keep_nan(x, result, machine)


def erfc(x: Term, machine: Machine) -> Term:
    """``e**-x**2 / (x + 1)`` times a polynomial in ``(x - 1) / (x + 1)``; ``2 -`` that for x < 0.

    That variable, of M. M. Shepherd and J. G. Laframboise (Mathematics of Computation 36, 1981),
    makes ``e**x**2 erfc(x)`` easy to approximate on the half line; the factor ``x + 1`` keeps the
    polynomial nearly flat, so that neither its terms nor an error of its argument count for much.
    The square is taken of x cut to half of its digits, exactly; the rest of the square goes into
    the reduced argument of the power, and what ``x + 1`` lost by rounding into the power itself.
    """
    facts = ERFC[x.dtype]
    size = at_most(absolute(x), facts.zero)
    raised = size + 1.0
    lost = size - (raised - 1.0)
    inverse = 1.0 / raised
    factor = horner(mad(inverse, -2.0, 1.0), facts.scaled) / raised  # rounds once, unlike * inverse
    head = drop_low_half(size)
    n, r = reduce_argument(-(head * head), machine)
    power = expm1_kernel(mad(head - size, head + size, r)) - lost * inverse
    product = mad(factor, power, factor)
    if machine.ieee:
        tail = times_power_of_two(product, n, machine)
    else:
        tail = select(size > facts.normal, 0.0, shift_exponent(product, n, machine))
    return keep_nan(x, select(x < 0.0, 2.0 - tail, tail), machine)
