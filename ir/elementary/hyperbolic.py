"""tanh, sinh, cosh, and their inverses.

tanh is an odd polynomial near zero and ``1 - 2 / (e**2x + 1)`` above, where the error of the power
shrinks with the quotient; in float32, machines that pick coefficients need no quotient.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import coefficients, pieces
from tilewright.ir.elementary.exponential import LOG2_E, exp2_bounded, reduce_argument
from tilewright.ir.elementary.logarithm import log1p_of_sum
from tilewright.ir.elementary.piecewise import piecewise
from tilewright.ir.elementary.scaling import infinity, keep_nan, not_a_number, scaled_powers
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    at_most,
    copysign,
    horner,
    mad,
    select,
    square_root,
)


class HyperbolicFacts(Struct, frozen=True):
    """`one`: above, tanh rounds to 1. `overflow`: a little above, sinh and cosh are infinite.

    `huge`: above, 1 is lost against x**2, which may overflow, and asinh and acosh are log(2 x).
    """

    one: float
    overflow: float
    huge: float


FACTS = {
    F32: HyperbolicFacts(one=10.0, overflow=89.7, huge=2.0**26),
    F64: HyperbolicFacts(one=20.0, overflow=710.6, huge=2.0**60),
}
TANH_SMALL = 0.625  # below, tanh is a polynomial


def tanh(x: Term, machine: Machine) -> Term:
    facts = FACTS[x.dtype]
    size = absolute(x)
    if machine.pick and x.dtype is F32:
        return copysign(piecewise(size, pieces.TANH), x)
    square = x * x
    near = mad(size * square, horner(square, coefficients.TANH[x.dtype]), size)
    power = exp2_bounded(at_most(size, facts.one) * (2.0 * LOG2_E), machine)
    far = 1.0 - 2.0 / (power + 1.0)
    result = copysign(select(size >= TANH_SMALL, far, near), x)
    return result if machine.ieee else keep_nan(x, result, machine)


def sinh(x: Term, machine: Machine) -> Term:
    """A polynomial up to 1, where the sum of powers would cancel."""
    facts = FACTS[x.dtype]
    size = absolute(x)
    square = x * x
    near = mad(size * square, horner(square, coefficients.SINH[x.dtype]), size)
    even, odd, c, s = _powers_and_kernels(at_most(size, facts.overflow), machine)
    half = odd + mad(odd, c, even * s)
    result = copysign(select(size >= 1.0, half + half, near), x)
    return result if machine.ieee else _patch_overflow(x, result, machine)


def cosh(x: Term, machine: Machine) -> Term:
    facts = FACTS[x.dtype]
    even, odd, c, s = _powers_and_kernels(at_most(absolute(x), facts.overflow), machine)
    half = even + mad(even, c, odd * s)
    result = half + half
    return result if machine.ieee else _patch_overflow(x, result, machine)


def _powers_and_kernels(x: Term, machine: Machine) -> tuple[Term, Term, Term, Term]:
    """``(2**n + 2**-n) / 4``, ``(2**n - 2**-n) / 4``, cosh(r) - 1, sinh(r) for x = n log 2 + r.

    Then ``cosh(x) / 2`` is ``even * cosh(r) + odd * sinh(r)`` and sinh the other way round: no
    division and no reciprocal of a rounded power.
    """
    n, r = reduce_argument(x, machine)
    up, down = scaled_powers(n, -2, machine)
    square = r * r
    sinh_r = mad(r * square, horner(square, coefficients.SINH_KERNEL[x.dtype]), r)
    cosh_r = square * horner(square, coefficients.COSH_KERNEL[x.dtype])
    return up + down, up - down, cosh_r, sinh_r


def _patch_overflow(x: Term, result: Term, machine: Machine) -> Term:
    size = absolute(x)
    infinite = copysign(infinity(x), result)
    bounded = select(size > FACTS[x.dtype].overflow - 0.28, infinite, result)
    return keep_nan(x, bounded, machine)


def asinh(x: Term, machine: Machine) -> Term:
    """``log(x + sqrt(x**2 + 1))``, written so that log1p keeps the digits of small results."""
    size = absolute(x)
    square = x * x
    raised = size + square / (square_root(square + 1.0) + 1.0)
    huge = size > FACTS[x.dtype].huge
    result = log1p_of_sum(select(huge, size, raised), machine, doubled=huge)
    return copysign(result, x)


def acosh(x: Term, machine: Machine) -> Term:
    """``log(x + sqrt(x**2 - 1))`` in terms of ``x - 1``; NaN below 1."""
    above = x - 1.0
    root = square_root(mad(above, above, above + above))
    raised = above + root
    lost = (root - raised) + above
    huge = x > FACTS[x.dtype].huge
    result = log1p_of_sum(select(huge, x, raised), machine, rest=lost, doubled=huge)
    return select(x < 1.0, not_a_number(x), result)


def atanh(x: Term, machine: Machine) -> Term:
    """``log((1 + x) / (1 - x)) / 2``; infinite at 1 through the logarithm, NaN beyond."""
    size = absolute(x)
    double = size + size
    raised = mad(double, size / (1.0 - size), double)
    result = copysign(log1p_of_sum(raised, machine) * 0.5, x)
    return select(size > 1.0, not_a_number(x), result)
