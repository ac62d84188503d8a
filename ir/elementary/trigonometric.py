"""sin, cos and tan, for every finite angle.

The angle is reduced to r within pi / 4 of a multiple of pi / 2, then that multiple chooses between
sin(r) and cos(r), both short polynomials, and the sign.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir.dtypes import F32
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.argument_reduction import (
    Angle,
    fast_bound,
    reduce_exactly,
    reduce_fast,
    reduce_half_turns,
)
from tilewright.ir.elementary.scaling import (
    FORMATS,
    flip_sign,
    magnitude_bits,
    not_a_number,
    sign_bits,
)
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    at_least,
    at_most,
    horner,
    likely,
    mad,
    select,
)


def sin(x: Term, machine: Machine) -> Term:
    size = absolute(x)
    fast = _sin_of_half_turns(size, 0.0, machine) if _has_half_turns(x, machine) else None
    result = _of_reduced(size, lambda angle: _sin_of(angle, 0), machine, fast=fast)
    return flip_sign(result, sign_bits(x))


def cos(x: Term, machine: Machine) -> Term:
    size = absolute(x)
    fast = _sin_of_half_turns(size, 0.5, machine) if _has_half_turns(x, machine) else None
    return _of_reduced(size, lambda angle: _sin_of(angle, 1), machine, fast=fast)


def _has_half_turns(x: Term, machine: Machine) -> bool:
    """In float32 one longer polynomial costs less than two and a choice."""
    return machine.has_fma and x.dtype is F32


def _sin_of_half_turns(x: Term, turned: float, machine: Machine) -> Term:
    """The sine of ``x + turned * pi``, kept within 1, which rounding would pass."""
    angle = reduce_half_turns(x, machine, turned=turned)
    r = angle.remainder
    square = r * r
    sine = mad(r, square * horner(square, coefficients.SIN_HALF[F32]), r)
    sine = at_least(at_most(sine, 1.0), -1.0)
    return flip_sign(sine, angle.multiple << (F32.bits - 1))


def tan(x: Term, machine: Machine) -> Term:
    size = _of_reduced(absolute(x), _tan_of, machine, with_rest=True)
    return flip_sign(size, sign_bits(x))


def _of_reduced(
    x: Term,
    function: Callable[[Angle], Term],
    machine: Machine,
    *,
    with_rest: bool = False,
    fast: Term | None = None,
) -> Term:
    """`function` of the reduced angle; NaN for infinity and NaN.

    Large angles are seldom seen and cost several times as much to reduce; for others there may be
    a shorter way, `fast`.
    """
    exact = function(reduce_exactly(x, machine))
    if machine.ieee:
        if fast is None:
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
