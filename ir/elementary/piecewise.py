"""Functions as polynomials on pieces of half an octave, where a machine can pick coefficients.

In: a non-negative term and the coefficients of `pieces.py`. Out: the function of it. A lane's
piece is the number in the lowest bits of its exponent and the first bit of its mantissa, so the
coefficients are found without comparisons, and a short polynomial serves a long range.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir.elementary.scaling import FORMATS, SINGLE, bits_of
from tilewright.ir.elementary.term import PICKED, Term, at_least, at_most, bits, mad, pick, select

_FIRST_MANTISSA_BIT = SINGLE.mantissa_bits - 1


class Pieces(Struct, frozen=True):
    """A function from zero to `high`: ``coefficients[k][i]`` is that of ``(x - middles[i])**k`` on
    piece i. The first piece ends at 1.5 `low`, which is a power of two; of an `odd` function it is
    what must be added to x."""

    low: float
    high: float
    odd: bool
    middles: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]


class Logarithm(Struct, frozen=True):
    """For the number k that the first four bits of a mantissa name: ``inverses[k]``, the inverse of
    a mantissa that begins so, and ``-log`` of it; and the polynomial ``log(1 + r) / r``."""

    inverses: tuple[float, ...]
    logarithms: tuple[float, ...]
    ratio: tuple[float, ...]


class CubeRoot(Struct, frozen=True):
    """The same for cube roots: of 1 over ``inverses[k]``, and ``((1 + r)**(1/3) - 1) / r``."""

    inverses: tuple[float, ...]
    roots: tuple[float, ...]
    ratio: tuple[float, ...]


def mantissa_number(m: Term) -> Term:
    """The number of a mantissa's first four bits, in the lowest bits."""
    return bits(m) >> FORMATS[m.dtype].mantissa_bits - 4


def piecewise(size: Term, pieces: Pieces) -> Term:
    """The function of ``size >= 0``; above `high` its value there, NaN for NaN."""
    bounded = at_most(size, pieces.high)
    number = bits(at_least(bounded, pieces.low)) >> _FIRST_MANTISSA_BIT
    first = bits_of(pieces.low, SINGLE) >> _FIRST_MANTISSA_BIT

    def picked(values: tuple[float, ...]) -> Term:
        last = len(values) - 1
        turned = (values[min((k - first) % PICKED, last)] for k in range(PICKED))
        return pick(number, tuple(turned), size.dtype)

    t = bounded - picked(pieces.middles)
    constant, *others, result = (picked(row) for row in pieces.coefficients)
    for coefficient in reversed(others):
        result = mad(result, t, coefficient)
    if pieces.odd:
        constant = select(size < 1.5 * pieces.low, size, constant)
    return mad(result, t, constant)
