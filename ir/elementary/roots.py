"""cbrt, rsqrt and hypot."""

from __future__ import annotations

from tilewright.ir.dtypes import F32
from tilewright.ir.elementary.scaling import (
    FORMATS,
    Format,
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

# Newton-like steps until the inverse cube root has half of the digits
STEPS = {F32: 1}


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
    observation on the bits of cube roots, 1991). Then y = x * w * w, cut to half of its digits so
    that its square is exact, is corrected once: with ``d = (x / y**2 - y) / 3`` the root is
    ``y + d - d**2 / y`` up to third-order terms.
    """
    form = FORMATS[x.dtype]
    size = absolute(x)
    tiny = size < form.smallest_normal
    if machine.ieee:
        size = select(tiny, size * 2.0 ** (3 * form.mantissa_bits // 3 * 3), size)
    w = _rough_inverse_cube_root(size, form)
    for _ in range(STEPS[x.dtype]):
        h = 1.0 - (size * w) * (w * w)
        w = mad(w * h, mad(h, mad(h, 14.0 / 81.0, 2.0 / 9.0), 1.0 / 3.0), w)
    y = drop_low_half((size * w) * w)
    d = (size / (y * y) - y) * (1.0 / 3.0)
    root = y + mad(d * d, -w, d)
    if machine.ieee:
        root = select(tiny, root * 2.0 ** -(form.mantissa_bits), root)
    finite = (magnitude_bits(x) < form.infinity_bits) & (magnitude_bits(x) > 0)
    return select(finite, copysign(root, x), x)


def _rough_inverse_cube_root(x: Term, form: Format) -> Term:
    """Within 4 %: the exponent and mantissa as one number, divided by -3."""
    third = bits(x)
    third = (third >> 2) + (third >> 4)
    for shift in (4, 8, 16, 32)[: 3 if form.dtype is F32 else 4]:
        third = third + (third >> shift)
    return bitcast(_INVERSE_CUBE_ROOT_BIAS[form.dtype] - third, x.dtype)


# 4/3 of the bits of 1.0, less what makes the errors on both sides equal
_INVERSE_CUBE_ROOT_BIAS = {F32: 0x54A2FA8C}


def hypot(x: Term, y: Term, machine: Machine) -> Term:
    """``sqrt(x**2 + y**2)``, scaled so that no square leaves the range; infinite beside a NaN."""
    form = FORMATS[x.dtype]
    a, b = absolute(x), absolute(y)
    larger = select(a > b, a, b)
    step = form.bias // 2
    up, down = 2.0**step, 2.0**-step
    big, small = larger > up, larger < down * 2.0**form.mantissa_bits
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
