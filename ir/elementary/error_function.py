"""erf and erfc."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.ir.dtypes import F32
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.exponential import exp2_bounded, exp_of_sum
from tilewright.ir.elementary.scaling import drop_low_half, keep_nan
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
    """`zero`: above, erfc rounds to zero. `center`: see `erfc`."""

    zero: float
    center: float
    scaled: tuple[float, ...]  # e**(x**2) erfc(x) in (x - center) / (x + center)


ERFC = {F32: ErfcFacts(10.1, 2.0, coefficients.ERFC_F32)}


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
    """``e**-x**2`` times a polynomial in ``(x - c) / (x + c)``; ``2 -`` that for negative x.

    That variable, of M. M. Shepherd and J. G. Laframboise (Mathematics of Computation 36, 1981),
    makes ``e**x**2 erfc(x)`` easy to approximate on the half line. The square is taken of x cut to
    half of its digits, exactly, and the rest goes into the reduced argument of the power.
    """
    facts = ERFC[x.dtype]
    size = at_most(absolute(x), facts.zero)
    t = (size - facts.center) / (size + facts.center)
    head = drop_low_half(size)
    rest = (head - size) * (head + size)
    power = exp_of_sum(-(head * head), rest, machine)
    tail = power * horner(t, facts.scaled)
    result = select(x < 0.0, 2.0 - tail, tail)
    return result if machine.ieee else keep_nan(x, result, machine)
