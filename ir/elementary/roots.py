"""cbrt, rsqrt and hypot."""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import pieces
from tilewright.ir.elementary.piecewise import mantissa_number
from tilewright.ir.elementary.scaling import (
    FORMATS,
    SINGLE,
    drop_low_half,
    infinity,
    is_nan,
    keep_nan,
    magnitude_bits,
    sign_bits,
)
from tilewright.ir.elementary.term import (
    PICKED,
    Machine,
    Term,
    absolute,
    bitcast,
    bits,
    copysign,
    exponent_of,
    floor,
    horner,
    mad,
    mantissa_of,
    pick,
    scale,
    select,
    square_root,
)


class RootFacts(Struct, frozen=True):
    """`steps` of the iteration give the inverse cube root half of its bits; `third_shifts` divide
    the bits by 3; `bias` is 4/3 of the bits of 1.0, less what balances the errors of the start.
    `tiny_scale` is a power of 8 that makes subnormals normal, `tiny_root` the inverse of its root.
    Squares of numbers within `safe` and its inverse are in range, and `far` brings others there.
    """

    steps: int
    third_shifts: tuple[int, ...]
    bias: int
    tiny_scale: float
    tiny_root: float
    safe: float
    far: float


ROOTS = {
    F32: RootFacts(
        steps=1,
        third_shifts=(4, 8, 16),
        bias=0x54A20000,
        tiny_scale=2.0**24,
        tiny_root=2.0**-8,
        safe=2.0**45,
        far=2.0**90,
    ),
    F64: RootFacts(
        steps=2,
        third_shifts=(4, 8, 16, 32),
        bias=0x553EEAAAC0000000,
        tiny_scale=2.0**54,
        tiny_root=2.0**-18,
        safe=2.0**400,
        far=2.0**600,
    ),
}


def _by_four_bits(*values: float) -> tuple[float, ...]:
    """A table for `pick` of which only the first entries are ever asked for."""
    return (*values, *(values[-1:] * (PICKED - len(values))))


THIRD_POWERS = _by_four_bits(1.0, 1.2599210739135742, 1.587401032447815)
THIRD_POWERS_REST = _by_four_bits(0.0, -1.906365529657803e-08, 1.229707181902039e-08)  # of 1


def rsqrt(x: Term, machine: Machine) -> Term:
    """``1 / sqrt(x)``: both operations are correctly rounded or nearly so."""
    root = 1.0 / square_root(x)
    if machine.ieee:
        return root
    flushed = magnitude_bits(x) < (1 << FORMATS[x.dtype].mantissa_bits)
    signed = copysign(infinity(x), x)
    negative = sign_bits(x) < 0
    result = select(flushed, signed, select(negative, x.like(float("nan")), root))
    return keep_nan(x, result, machine)


def cbrt(x: Term, machine: Machine) -> Term:
    """The real cube root, of negative numbers too.

    The bits divided by -3 start an iteration for ``w = x**(-1/3)`` without divisions (W. Kahan's
    observation on the bits of cube roots, 1991). Then y = x * w * w, cut to half of its bits so
    that its square is exact, is corrected once: with ``d = (x / y**2 - y) / 3`` the root is
    ``y + d - d**2 / y`` up to third-order terms.
    """
    if machine.pick and x.dtype is F32:
        return copysign(_cbrt_by_table(absolute(x)), x)
    form, facts = FORMATS[x.dtype], ROOTS[x.dtype]
    size = absolute(x)
    tiny = size < form.smallest_normal
    if machine.ieee:
        size = select(tiny, size * facts.tiny_scale, size)
    w = _rough_inverse_cube_root(size)
    for _ in range(facts.steps):
        h = 1.0 - (size * w) * (w * w)
        w = mad(w * h, mad(h, mad(h, 14.0 / 81.0, 2.0 / 9.0), 1.0 / 3.0), w)
    y = drop_low_half((size * w) * w)
    d = (size / (y * y) - y) * (1.0 / 3.0)
    root = y + mad(d * d, -w, d)
    if machine.ieee:
        root = select(tiny, root * facts.tiny_root, root)
    # Where subnormals may count as zeros they are left as they are: zero, or all but.
    least = 1 if machine.ieee else 1 << form.mantissa_bits
    finite = (magnitude_bits(x) < form.infinity_bits) & (magnitude_bits(x) >= least)
    return select(finite, copysign(root, x), x)


def _cbrt_by_table(x: Term) -> Term:
    """``2**n 2**(j / 3) cbrt(m)`` for ``x = 2**(3 n + j) m``; ``cbrt(m)`` from c near 1 / m as
    ``cbrt(1 / c) cbrt(c m)``. Zero, infinity and NaN come out right through n and m."""
    table = pieces.CBRT
    m = mantissa_of(x)
    k = exponent_of(x) - exponent_of(m)
    n = floor(mad(k, 1.0 / 3.0, 1.0 / 6.0))
    j = bits(mad(n, -3.0, k) + SINGLE.rounder)
    number = mantissa_number(m)
    r = mad(m, pick(number, table.inverses, F32), -1.0)
    factor = pick(number, table.roots, F32) * pick(j, THIRD_POWERS, F32)
    more = mad(r, horner(r, table.ratio), pick(j, THIRD_POWERS_REST, F32))
    return scale(mad(factor, more, factor), n)


def _rough_inverse_cube_root(x: Term) -> Term:
    """Within 4 %: the exponent and mantissa as one number, divided by -3."""
    facts = ROOTS[x.dtype]
    third = (bits(x) >> 2) + (bits(x) >> 4)
    for shift in facts.third_shifts:
        third = third + (third >> shift)
    return bitcast(facts.bias - third, x.dtype)


def hypot(x: Term, y: Term, machine: Machine) -> Term:
    """``sqrt(x**2 + y**2)``, scaled so that no square leaves the range; infinite beside a NaN."""
    form = FORMATS[x.dtype]
    a, b = absolute(x), absolute(y)
    larger = select(a > b, a, b)
    facts = ROOTS[x.dtype]
    up, down = facts.far, 1.0 / facts.far
    big, small = larger > facts.safe, larger < 1.0 / facts.safe
    factor = select(big, x.like(down), select(small, x.like(up), x.like(1.0)))
    inverse = select(big, x.like(up), select(small, x.like(down), x.like(1.0)))
    a_scaled, b_scaled = a * factor, b * factor
    result = square_root(mad(a_scaled, a_scaled, b_scaled * b_scaled)) * inverse
    if not machine.ieee:
        nan = is_nan(x, machine) | is_nan(y, machine)
        result = select(nan, x.like(float("nan")), result)
    infinite = magnitude_bits(x).equals(form.infinity_bits)
    infinite = infinite | magnitude_bits(y).equals(form.infinity_bits)
    return select(infinite, infinity(x), result)
