"""sin, cos and tan, for every finite angle.

The angle is reduced to r within pi / 4 of a multiple of pi / 2, then that multiple chooses between
sin(r) and cos(r), both short polynomials, and the sign.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.argument_reduction import (
    Angle,
    fast_bound,
    reduce_exactly,
    reduce_fast,
)
from tilewright.ir.elementary.scaling import (
    FORMATS,
    flip_sign,
    magnitude_bits,
    not_a_number,
    sign_bits,
)
from tilewright.ir.elementary.term import Machine, Term, absolute, horner, likely, mad, select


def sin(x: Term, machine: Machine) -> Term:
    size = _of_reduced(absolute(x), lambda angle: _sin_of(angle, 0), machine)
    return flip_sign(size, sign_bits(x))


def cos(x: Term, machine: Machine) -> Term:
    return _of_reduced(absolute(x), lambda angle: _sin_of(angle, 1), machine)


def tan(x: Term, machine: Machine) -> Term:
    size = _of_reduced(absolute(x), _tan_of, machine, with_rest=True)
    return flip_sign(size, sign_bits(x))


def _of_reduced(
    x: Term, function: Callable[[Angle], Term], machine: Machine, *, with_rest: bool = False
) -> Term:
    """`function` of the reduced angle; NaN for infinity and NaN.

    Large angles are seldom seen and cost several times as much to reduce.
    """
    exact = function(reduce_exactly(x, machine))
    if machine.ieee:
        fast = function(reduce_fast(x, machine, with_rest=with_rest))
        return likely(x < fast_bound(x, machine), fast, exact + (x - x))
    infinite = magnitude_bits(x) >= FORMATS[x.dtype].infinity_bits
    return select(infinite, not_a_number(x), exact)


def _sin_of(angle: Angle, quadrants: int) -> Term:
    """The sine of an angle turned by so many quadrants more."""
    r, multiple = angle.remainder, angle.multiple + quadrants
    square = r * r
    sine = mad(r * square, horner(square, coefficients.SIN[r.dtype]), r)
    cosine = horner(square, (1.0, -0.5, *coefficients.COS[r.dtype]))
    size = select((multiple & 1).equals(0), sine, cosine)
    return flip_sign(size, (multiple & 2) << (r.dtype.bits - 2))


def _tan_of(angle: Angle) -> Term:
    """An odd polynomial t; ``-1 / t`` in the odd quadrants.

    What the remainder and t lost by rounding is carried along: the slope of the tangent, and of
    the reciprocal, would double it.
    """
    r = angle.remainder
    square = r * r
    rest = mad(angle.rest, square, angle.rest)  # tan'(r) = 1 + r**2 + …
    tail = mad(r * square, horner(square, coefficients.TAN[r.dtype]), rest)
    t = r + tail
    lost = (r - t) + tail
    inverse = -1.0 / t
    odd = (angle.multiple & 1).equals(1)
    return select(odd, mad(inverse * inverse, lost, inverse), t)
