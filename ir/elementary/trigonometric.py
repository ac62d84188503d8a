"""sin, cos and tan, for every finite angle.

The angle is reduced to r within pi / 4 of a multiple of pi / 2, then that multiple chooses between
sin(r) and cos(r), both short polynomials, and the sign.
"""

from __future__ import annotations

from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.argument_reduction import Angle, reduce_angle
from tilewright.ir.elementary.scaling import (
    FORMATS,
    flip_sign,
    magnitude_bits,
    not_a_number,
    sign_bits,
)
from tilewright.ir.elementary.term import Machine, Term, absolute, horner, mad, select


def sin(x: Term, machine: Machine) -> Term:
    angle = reduce_angle(absolute(x), machine)
    return _nan_unless_finite(x, flip_sign(_sin(angle, 0), sign_bits(x)), machine)


def cos(x: Term, machine: Machine) -> Term:
    angle = reduce_angle(absolute(x), machine)
    return _nan_unless_finite(x, _sin(angle, 1), machine)


def tan(x: Term, machine: Machine) -> Term:
    """An odd polynomial t; ``-1 / t`` in the odd quadrants.

    What the remainder and t lost by rounding is carried along: the slope of the tangent, and of
    the reciprocal, would double it.
    """
    angle = reduce_angle(absolute(x), machine, with_rest=True)
    r = angle.remainder
    square = r * r
    rest = mad(angle.rest, square, angle.rest)  # tan'(r) = 1 + r**2 + …
    tail = mad(r * square, horner(square, coefficients.TAN[r.dtype]), rest)
    t = r + tail
    lost = (r - t) + tail
    inverse = -1.0 / t
    odd = (angle.multiple & 1).equals(1)
    result = select(odd, mad(inverse * inverse, lost, inverse), t)
    result = flip_sign(result, sign_bits(x))
    return _nan_unless_finite(x, result, machine)


def _sin(angle: Angle, quadrants: int) -> Term:
    """The sine of an angle turned by so many quadrants more."""
    r, multiple = angle.remainder, angle.multiple + quadrants
    square = r * r
    sine = mad(r * square, horner(square, coefficients.SIN[r.dtype]), r)
    cosine = horner(square, (1.0, -0.5, *coefficients.COS[r.dtype]))
    size = select((multiple & 1).equals(0), sine, cosine)
    return flip_sign(size, (multiple & 2) << (r.dtype.bits - 2))


def _nan_unless_finite(x: Term, result: Term, machine: Machine) -> Term:
    """The argument reduction brings NaN out by itself where arithmetic does."""
    if machine.ieee:
        return result
    infinite = magnitude_bits(x) >= FORMATS[x.dtype].infinity_bits
    return select(infinite, not_a_number(x), result)
