"""log, log2, log10 and log1p.

``x = 2**k * (1 + f)`` with ``1 + f`` in [sqrt(1/2), sqrt(2)), and ``log(1 + f) = f + f**2 q(f)``:
no division, unlike the classical ``f / (2 + f)``. As f is exact and the rest small against it, the
error stays below one unit (Muller, "Elementary Functions", 3rd ed., section 11.3).
"""

from __future__ import annotations

import math

from msgspec import Struct

from tilewright.ir.dtypes import F32, F64, DType
from tilewright.ir.elementary import coefficients, pieces
from tilewright.ir.elementary.exponential import FACTS
from tilewright.ir.elementary.piecewise import Logarithm, mantissa_number
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
    at_least,
    at_most,
    bits,
    copysign,
    exponent_of,
    horner,
    mad,
    mantissa_of,
    pick,
    scale,
    select,
)

UPPER_HALF = math.sqrt(2.0)
LOG_2 = {F32: (math.log(2.0), 0.0), F64: (math.log(2.0), 2.3190468138462996e-17)}
LOWEST = math.sqrt(0.5)  # of the mantissa


class Base(Struct, frozen=True):
    """Logarithms to another base: both constants as a high part of few bits and the rest.

    `tail` is ``(log_b(1 + f) - log_b(e) f) / f**2``.
    """

    of_e: tuple[float, float]
    of_two: tuple[float, float]
    tail: dict[DType, tuple[float, ...]]
    table: dict[DType, Logarithm]


BASES = {
    (2, F32): Base(
        of_e=(1.4426950216293335, 1.925963033500011e-08),
        of_two=(1.0, 0.0),
        tail=coefficients.LOG2,
        table=pieces.LOG2,
    ),
    (10, F32): Base(
        of_e=(0.4342944920063019, -1.0103049952192578e-08),
        of_two=(9864.0 / 32768.0, 4.605038981195214e-06),
        tail=coefficients.LOG10,
        table=pieces.LOG10,
    ),
    (2, F64): Base(
        of_e=(1.4426950408889634, 2.0355273740931033e-17),
        of_two=(1.0, 0.0),
        tail=coefficients.LOG2,
        table=pieces.LOG2,
    ),
    (10, F64): Base(
        of_e=(0.4342944819032518, 1.098319650216765e-17),
        of_two=(661971961083.0 / 2199023255552.0, 3.694239077158931e-13),
        tail=coefficients.LOG10,
        table=pieces.LOG10,
    ),
}


def log(x: Term, machine: Machine) -> Term:
    """The natural logarithm."""
    facts = FACTS[x.dtype]
    if machine.pick:
        return _log_by_table(x, pieces.LOG, LOG_2[x.dtype])
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
    if machine.pick:
        return _log_by_table(x, base.table, base.of_two)
    m, k = split_exponent(x, LOWEST, machine)
    f = m - 1.0
    rest = mad(f, base.of_e[1], (f * f) * horner(f, base.tail[x.dtype]))
    if base.of_two[1]:
        rest = mad(k, base.of_two[1], rest)
    result = mad(k, base.of_two[0], mad(f, base.of_e[0], rest))
    return patch_special(x, result, machine)


def _log_by_table(x: Term, tables: dict[DType, Logarithm], of_two: tuple[float, float]) -> Term:
    """``k log(2) - log(c) + log(c m)`` with c from the table, near ``1 / m``.

    Zero and infinity come out right through k, negative numbers and NaN through m.
    """
    table = tables[x.dtype]
    m = mantissa_of(x)
    k = exponent_of(x) - exponent_of(m)
    number = mantissa_number(m)
    r = mad(m, pick(number, table.inverses, x.dtype), -1.0)
    constant = pick(number, table.logarithms, x.dtype)
    return _with_multiples(k, of_two, mad(horner(r, table.ratio), r, constant))


def _log1p_by_table(x: Term) -> Term:
    """The same of ``1 + x``; the rest is formed from x itself, ``c 2**-k x + (c 2**-k - 1)``.

    The bounds make 0 of what would be infinity less infinity at -1 and at infinity.
    """
    table = pieces.LOG[x.dtype]
    raised = x + 1.0
    m = mantissa_of(raised)
    k = exponent_of(raised) - exponent_of(m)
    number = mantissa_number(m)
    lowered = scale(pick(number, table.inverses, x.dtype), -at_least(k, -64.0))
    r = mad(at_most(x, FORMATS[x.dtype].largest), lowered, lowered - 1.0)
    constant = pick(number, table.logarithms, x.dtype)
    return _with_multiples(k, LOG_2[x.dtype], mad(horner(r, table.ratio), r, constant))


def _with_multiples(k: Term, of_two: tuple[float, float], rest: Term) -> Term:
    """``k log(2) + rest``, the logarithm of two as a sum; last, so that it rounds only once."""
    high, low = of_two
    rest = mad(k, low, rest) if low else rest
    return k + rest if high == 1.0 else mad(k, high, rest)


def log1p(x: Term, machine: Machine) -> Term:
    """``log(1 + x)``."""
    if machine.pick:
        return copysign(_log1p_by_table(x), x)
    return copysign(log1p_of_sum(x, machine), x)


def log1p_of_fraction(x: Term, machine: Machine) -> Term:
    """``log(1 + x)`` for x in [0, 1], as after ``exp(-abs(…))``; only for IEEE arithmetic."""
    raised = x + 1.0
    if machine.pick:
        table = pieces.LOG1P[x.dtype]
        number = mantissa_number(at_most(raised, 2.0 - 2.0 ** -FORMATS[x.dtype].mantissa_bits))
        inverse = pick(number, table.inverses, x.dtype)
        r = mad(x, inverse, inverse - 1.0)
        return mad(horner(r, table.ratio), r, pick(number, table.logarithms, x.dtype))
    facts = FACTS[x.dtype]
    upper = raised > UPPER_HALF
    f = select(upper, mad(x, 0.5, -0.5), x)
    result = f + (log1p_tail(f) + select(upper, x.like(facts.log2_low), 0.0))
    return select(upper, result + facts.log2_high, result)


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
