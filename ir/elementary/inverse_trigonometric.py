"""asin, acos, atan and atan2."""

from __future__ import annotations

import math

from tilewright.ir.dtypes import F32, F64
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

# pi and pi / 2 minus what their literals hold
PI_REST = {F32: -8.742277657347586e-08, F64: 1.2246467991473532e-16}


def _pi(x: Term, factor: float) -> tuple[Term, Term]:
    """``factor * pi``, the factor being a power of two, as a sum."""
    return x.like(factor * math.pi), x.like(factor * PI_REST[x.dtype])


def atan(x: Term, machine: Machine) -> Term:
    """A polynomial up to 1; ``pi / 2 + atan(-1 / x)`` above."""
    size = absolute(x)
    above = size > 1.0
    ratio = select(above, x.like(-1.0), size) / select(above, size, x.like(1.0))
    high, low = _pi(x, 0.5)
    rest = _atan_tail(ratio, select(above, low, 0.0))
    result = copysign(select(above, high, 0.0) + (ratio + rest), x)
    return result if machine.ieee else keep_nan(x, result, machine)


def _atan_tail(x: Term, more: Term) -> Term:
    """``atan(x) - x + more`` for x in [-1, 1]."""
    square = x * x
    return mad(x * square, horner(square, coefficients.ATAN[x.dtype]), more)


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
    ratio = select(smaller.equals(larger), diagonal, smaller / larger)
    left = sign_bits(x) < 0
    ratio = select(steep ^ left, -ratio, ratio)
    base = select(steep, x.like(math.pi / 2.0), select(left, x.like(math.pi), 0.0))
    low = select(steep, _pi(x, 0.5)[1], select(left, _pi(x, 1.0)[1], 0.0))
    result = copysign(base + (ratio + _atan_tail(ratio, low)), y)
    return result if machine.ieee else keep_nan(x, keep_nan(y, result, machine), machine)


def _away_from_overflow(smaller: Term, larger: Term) -> tuple[Term, Term]:
    """WGSL and GLSL promise a quotient only for divisors up to 2**126."""
    factor = select(larger > 2.0**64, larger.like(2.0**-64), larger.like(1.0))
    return smaller * factor, larger * factor


def asin(x: Term, machine: Machine) -> Term:
    """A polynomial up to 1/2; ``pi / 2 - 2 asin(sqrt((1 - x) / 2))`` above.

    All that is small is added in one step, with what ``pi / 2 - 2 root`` lost by rounding.
    """
    above, root, tail = _asin_of_half(absolute(x))
    high, low = _pi(x, 0.5)
    folded = mad(root, -2.0, high)
    lost = mad(root, -2.0, high - folded)
    result = select(above, folded, root) + select(above, mad(tail, -2.0, low + lost), tail)
    return _nan_outside(x, copysign(result, x), machine)


def acos(x: Term, machine: Machine) -> Term:
    """``pi / 2 - asin(x)``, and ``2 asin(sqrt((1 - x) / 2))`` where that would cancel."""
    above, root, tail = _asin_of_half(absolute(x))
    sign = sign_bits(x)
    signed_root, signed_tail = flip_sign(root, sign), flip_sign(tail, sign)
    high, low = _pi(x, 0.5)
    inside = high - (signed_root + (signed_tail - low))
    folded = select(x < 0.0, x.like(math.pi), 0.0) + 2.0 * (signed_root + signed_tail)
    return _nan_outside(x, select(above, folded, inside), machine)


def _asin_of_half(size: Term) -> tuple[Term, Term, Term]:
    """Whether size > 1/2; ``asin(sqrt((1 - size) / 2))`` then, else ``asin(size)``, as a sum."""
    above = size > 0.5
    square = select(above, mad(size, -0.5, 0.5), size * size)
    root = select(above, square_root(square), size)
    return above, root, (root * square) * horner(square, coefficients.ASIN[size.dtype])


def _nan_outside(x: Term, result: Term, machine: Machine) -> Term:
    """Beyond 1 the square root makes NaN by itself where arithmetic does."""
    if machine.ieee:
        return result
    outside = (absolute(x) > 1.0) | is_nan(x, machine)
    return select(outside, x.like(float("nan")), result)
