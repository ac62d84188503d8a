"""asin, acos, atan and atan2."""

from __future__ import annotations

import math

from tilewright.ir.dtypes import F32
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.scaling import flip_sign, is_nan, keep_nan, sign_bits
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    copysign,
    horner,
    mad,
    select,
    square_root,
)

ATAN = {F32: coefficients.ATAN_F32}  # (atan(x) - x) / x**3 in x**2, x <= 1
ASIN = {F32: coefficients.ASIN_F32}  # (asin(x) - x) / x**3 in x**2, x <= 1/2


def atan(x: Term, machine: Machine) -> Term:
    """A polynomial up to 1; ``pi / 2 + atan(-1 / x)`` above."""
    size = absolute(x)
    above = size > 1.0
    ratio = select(above, x.like(-1.0), size) / select(above, size, x.like(1.0))
    result = copysign(select(above, x.like(math.pi / 2.0), x.like(0.0)) + _atan_of(ratio), x)
    return result if machine.ieee else keep_nan(x, result, machine)


def _atan_of(x: Term) -> Term:
    """For x in [-1, 1]."""
    square = x * x
    return mad(x * square, horner(square, ATAN[x.dtype]), x)


def atan2(y: Term, x: Term, machine: Machine) -> Term:
    """The angle of the point (x, y): from the octant's ratio, then turned and mirrored.

    The signs of zeros count, and both infinite is a diagonal, as in C99.
    """
    width, height = absolute(x), absolute(y)
    steep = height > width
    smaller, larger = select(steep, width, height), select(steep, height, width)
    if not machine.ieee:
        smaller, larger = _away_from_overflow(smaller, larger)
    diagonal = select(larger.equals(0.0), x.like(0.0), x.like(1.0))
    angle = _atan_of(select(smaller.equals(larger), diagonal, smaller / larger))
    left = sign_bits(x) < 0
    base = select(steep, x.like(math.pi / 2.0), select(left, x.like(math.pi), x.like(0.0)))
    turned = base + select(steep ^ left, -angle, angle)
    result = copysign(turned, y)
    return result if machine.ieee else keep_nan(x, keep_nan(y, result, machine), machine)


def _away_from_overflow(smaller: Term, larger: Term) -> tuple[Term, Term]:
    """WGSL and GLSL promise a quotient only for divisors up to 2**126."""
    factor = select(larger > 2.0**64, larger.like(2.0**-64), larger.like(1.0))
    return smaller * factor, larger * factor


def asin(x: Term, machine: Machine) -> Term:
    """A polynomial up to 1/2; ``pi / 2 - 2 asin(sqrt((1 - x) / 2))`` above."""
    size = absolute(x)
    above, angle = _asin_of_half(size)
    folded = mad(angle, -2.0, math.pi / 2.0)
    return _nan_outside(x, copysign(select(above, folded, angle), x), machine)


def acos(x: Term, machine: Machine) -> Term:
    """``pi / 2 - asin(x)``, and ``2 asin(sqrt((1 - x) / 2))`` where that would cancel."""
    above, angle = _asin_of_half(absolute(x))
    signed = flip_sign(angle, sign_bits(x))
    folded = select(x < 0.0, x.like(math.pi), x.like(0.0)) + (signed + signed)
    return _nan_outside(x, select(above, folded, math.pi / 2.0 - signed), machine)


def _asin_of_half(size: Term) -> tuple[Term, Term]:
    """Whether size > 1/2, and then ``asin(sqrt((1 - size) / 2))``, else ``asin(size)``."""
    above = size > 0.5
    square = select(above, mad(size, -0.5, 0.5), size * size)
    root = select(above, square_root(square), size)
    return above, mad(root * square, horner(square, ASIN[size.dtype]), root)


def _nan_outside(x: Term, result: Term, machine: Machine) -> Term:
    """Beyond 1 the square root makes NaN by itself where arithmetic does."""
    if machine.ieee:
        return result
    outside = (absolute(x) > 1.0) | is_nan(x, machine)
    return select(outside, x.like(float("nan")), result)
