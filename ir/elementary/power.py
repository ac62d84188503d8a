"""pow: ``2**(y log2(abs(x)))``, with the special cases of C99 annex F.

The exponent may be as large as the format's range, and its absolute error becomes the relative
error of the power, so the logarithm and the product need some ten digits more than the format has.
"""

from __future__ import annotations

import math

from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.exponential import FACTS
from tilewright.ir.elementary.logarithm import LOWEST
from tilewright.ir.elementary.scaling import (
    FORMATS,
    Whole,
    drop_low_half,
    flip_sign,
    infinity,
    is_nan,
    magnitude_bits,
    nearest_whole,
    not_a_number,
    shift_exponent,
    sign_bits,
    split_exponent,
    times_power_of_two,
)
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    absolute,
    at_least,
    at_most,
    cast,
    horner,
    mad,
    select,
    truncate,
)


def power(x: Term, y: Term, machine: Machine) -> Term:
    size = absolute(x)
    trivial = size.equals(1.0) | y.equals(0.0)
    if machine.has_f64:
        result = _power_in_float64(size, y, trivial, machine)
    else:
        result = _power_in_halves(size, y, trivial, machine)
    return _patch_sign(x, y, result, machine)


def _power_in_float64(size: Term, y: Term, trivial: Term, machine: Machine) -> Term:
    """For float32: the logarithm and the product in float64, the power in float32."""
    m, k = split_exponent(size, LOWEST, machine)
    f = cast(m - 1.0, F64)
    logarithm = mad(f, horner(f, coefficients.POW_LOG2), cast(k, F64))
    patched = select(size < infinity(size), logarithm, cast(size, F64))
    patched = select(size.equals(0.0), patched.like(float("-inf")), patched)
    exponent = select(trivial, 0.0, patched * cast(y, F64))
    exponent = at_least(at_most(exponent, 200.0), -200.0)
    n = nearest_whole(exponent, 1.0, machine)
    p = horner(cast(exponent - n.value, F32), (1.0, *FACTS[F32].base2))
    value = cast(n.value, F32)
    return times_power_of_two(p, whole_from_float(value), machine)
