"""cbrt, rsqrt and hypot."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary.scaling import (
    FORMATS,
    drop_low_half,
    infinity,
    is_nan,
    keep_nan,
    magnitude_bits,
    sign_bits,
)
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    bitcast,
    bits,
    copysign,
    mad,
    select,
    square_root,
)


@dataclass(frozen=True)
class RootFacts:
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
    finite = (magnitude_bits(x) < form.infinity_bits) & (magnitude_bits(x) > 0)
    return select(finite, copysign(root, x), x)


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
