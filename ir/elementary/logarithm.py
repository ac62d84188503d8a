"""log, log2, log10 and log1p.

``x = 2**k * (1 + f)`` with ``1 + f`` in [sqrt(1/2), sqrt(2)), and ``log(1 + f) = f + f**2 q(f)``:
no division, unlike the classical ``f / (2 + f)``. As f is exact and the rest small against it, the
error stays below one unit (Muller, "Elementary Functions", 3rd ed., section 11.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilewright.ir.dtypes import F32, F64, DType
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.exponential import FACTS
from tilewright.ir.elementary.scaling import (
    FORMATS,
    infinity,
    magnitude_bits,
    not_a_number,
    power_of_two,
    split_exponent,
    split_normal,
)
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    as_float,
    bits,
    copysign,
    horner,
    mad,
    select,
)

LOWEST = math.sqrt(0.5)  # of the mantissa


@dataclass(frozen=True)
class Base:
    """Logarithms to another base: both constants as a high part of few bits and the rest.

    `tail` is ``(log_b(1 + f) - log_b(e) f) / f**2``.
    """

    of_e: tuple[float, float]
    of_two: tuple[float, float]
    tail: dict[DType, tuple[float, ...]]


BASES = {
    (2, F32): Base(
        of_e=(1.4426950216293335, 1.925963033500011e-08),
        of_two=(1.0, 0.0),
        tail=coefficients.LOG2,
    ),
    (10, F32): Base(
        of_e=(0.4342944920063019, -1.0103049952192578e-08),
        of_two=(9864.0 / 32768.0, 4.605038981195214e-06),
        tail=coefficients.LOG10,
    ),
    (2, F64): Base(
        of_e=(1.4426950408889634, 2.0355273740931033e-17),
        of_two=(1.0, 0.0),
        tail=coefficients.LOG2,
    ),
    (10, F64): Base(
        of_e=(0.4342944819032518, 1.098319650216765e-17),
        of_two=(661971961083.0 / 2199023255552.0, 3.694239077158931e-13),
        tail=coefficients.LOG10,
    ),
}


def log(x: Term, machine: Machine) -> Term:
    """The natural logarithm."""
    facts = FACTS[x.dtype]
    m, k = split_exponent(x, LOWEST, machine)
    f = m - 1.0
    rest = mad(k, facts.log2_low, log1p_tail(f))
    result = mad(k, facts.log2_high, f + rest)
    return patch_special(x, result, machine)


def log2(x: Term, machine: Machine) -> Term:
    return _log_to_base(x, BASES[2, x.dtype], machine)


def log10(x: Term, machine: Machine) -> Term:
    return _log_to_base(x, BASES[10, x.dtype], machine)


def _log_to_base(x: Term, base: Base, machine: Machine) -> Term:
    """The factor is applied to f and in the tail's coefficients, not to a rounded logarithm."""
    m, k = split_exponent(x, LOWEST, machine)
    f = m - 1.0
    rest = mad(f, base.of_e[1], (f * f) * horner(f, base.tail[x.dtype]))
    if base.of_two[1]:
        rest = mad(k, base.of_two[1], rest)
    result = mad(k, base.of_two[0], mad(f, base.of_e[0], rest))
    return patch_special(x, result, machine)


def log1p(x: Term, machine: Machine) -> Term:
    """``log(1 + x)``."""
    return copysign(log1p_of_sum(x, machine), x)


def log1p_of_sum(
    x: Term, machine: Machine, *, rest: Term | None = None, doubled: Term | None = None
) -> Term:
    """``log(1 + x + rest)``, and where `doubled` holds, x being huge then, ``log(2 x)``.

    The exponent k comes from the rounded ``1 + x``; f is then formed from x itself as
    ``2**-k x + (2**-k - 1)``, of which only the last addition rounds. `rest` is what x lost by
    rounding, so that its own factor, ``1 / (1 + f)``, does not matter.
    """
    facts, form = FACTS[x.dtype], FORMATS[x.dtype]
    raised = x + 1.0
    m, k = split_normal(raised, LOWEST)
    lowered = power_of_two(-k, form)
    far = k > form.mantissa_bits + 2  # here 1 is lost against x, and 2**-k may be out of range
    f = select(far, m - 1.0, mad(x, lowered, lowered - 1.0))
    exponent = as_float(k, x.dtype)
    if doubled is not None:
        exponent = exponent + select(doubled, x.like(1.0), x.like(0.0))
    tail = log1p_tail(f)
    if rest is not None:
        tail = tail + select(far, 0.0, rest * lowered)
    tail = mad(exponent, facts.log2_low, tail)
    result = mad(exponent, facts.log2_high, f + tail)
    return patch_special(raised, result, machine)


def log1p_tail(f: Term) -> Term:
    """``log(1 + f) - f`` for ``1 + f`` in [sqrt(1/2), sqrt(2)]."""
    return (f * f) * horner(f, coefficients.LOG[f.dtype])


def patch_special(x: Term, result: Term, machine: Machine) -> Term:
    """`result` for positive finite x; log(0) = -inf, log(x < 0) = NaN, log(inf) = inf, NaN."""
    negative_infinity = x.like(float("-inf"))
    if machine.ieee:
        finite = select(x < infinity(x), result, x)
        special = select(x.equals(0.0), negative_infinity, not_a_number(x))
        return select(x > 0.0, finite, special)
    form = FORMATS[x.dtype]
    finite = select(bits(x) < form.infinity_bits, result, x)
    flushed = magnitude_bits(x) < (1 << form.mantissa_bits)
    positive = select(bits(x) < 0, not_a_number(x), finite)
    return select(flushed, negative_infinity, positive)
