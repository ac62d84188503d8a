"""erf and erfc."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.ir.dtypes import F32, F64
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
class ErrorFunctionFacts:
    """`one`: above, erf rounds to 1. `normal`, `zero`: above, erfc is subnormal, rounds to 0.

    `center`: the c of `erfc`.
    """

    one: float
    normal: float
    zero: float
    center: float


FACTS = {
    F32: ErrorFunctionFacts(one=4.0, normal=9.1945, zero=10.1, center=1.0),
    F64: ErrorFunctionFacts(one=6.0, normal=26.5432, zero=27.3, center=2.0),
}
ERF_SMALL = 0.9  # below, erf is a polynomial


def erf(x: Term, machine: Machine) -> Term:
    """An odd polynomial near zero; ``1 - 2**log2(erfc(x))`` above, the exponent a polynomial.

    Above, erfc is at most a quarter of erf, so its error counts for a quarter.
    """
    facts = FACTS[x.dtype]
    size = absolute(x)
    near = mad(size, horner(x * x, coefficients.ERF_SMALL[x.dtype]), size)
    exponent = horner(at_most(size, facts.one), coefficients.ERF_LARGE[x.dtype])
    far = 1.0 - exp2_bounded(exponent, machine)
    result = copysign(select(size >= ERF_SMALL, far, near), x)
    return result if machine.ieee else keep_nan(x, result, machine)


def erfc(x: Term, machine: Machine) -> Term:
    """``e**-x**2 / (x + c)`` times a polynomial in ``(x - c) / (x + c)``; ``2 -`` that for x < 0.

    That variable, of M. M. Shepherd and J. G. Laframboise (Mathematics of Computation 36, 1981),
    makes ``e**x**2 erfc(x)`` easy to approximate on the half line; the factor ``x + c`` keeps the
    polynomial nearly flat, so that neither its terms nor an error of its argument count for much.
    The square is taken of x cut to half of its digits, exactly; the rest of the square goes into
    the reduced argument of the power, and what ``x + c`` lost by rounding into the power itself.
    """
    facts = FACTS[x.dtype]
    size = at_most(absolute(x), facts.zero)
    raised = size + facts.center
    lost = size - (raised - facts.center)
    inverse = 1.0 / raised
    t = mad(inverse, -2.0 * facts.center, 1.0)
    factor = horner(t, coefficients.ERFC[x.dtype]) / raised  # rounds once, unlike * inverse
    head = drop_low_half(size)
    n, r = reduce_argument(-(head * head), machine)
    power = expm1_kernel(mad(head - size, head + size, r)) - lost * inverse
    product = mad(factor, power, factor)
    if machine.ieee:
        tail = times_power_of_two(product, n, machine)
    else:
        tail = select(size > facts.normal, 0.0, shift_exponent(product, n, machine))
    return keep_nan(x, select(x < 0.0, 2.0 - tail, tail), machine)
