"""The exact remainder of float division (C's ``fmod``) from additions and multiplications.

In: `fmod` nodes on floats. Out: arithmetic that runs across vector lanes and needs no C library;
what takes long, a large quotient, stands behind a branch. With ``x = |a|`` and ``y = |b|`` the
quotient may have thousands of bits; it is produced some bits at a time, as in long division. One
step is

    r  ->  2**bits * r - q * y        with  q = rint(2**bits * r / y)

where every operation but the estimate of ``q`` is exact: ``q`` has few enough bits for ``q * y``
(or its two halves) to be a float, and a slightly wrong ``q`` gives a remainder of the same class,
still less than ``y`` in magnitude. ``r`` starts as ``x`` scaled down by a fixed power of two, so
that the steps that a small quotient does not need multiply and find ``q = 0``.

* float32: in float64, where no ratio of float32 values leaves the range. 28 bits a step.
* float64: on the mantissas, in two runs since the ratio may be ``2**2097``. With a fused
  multiply-add 50 bits a step, without one 26 bits and ``y`` in two halves.
"""

from __future__ import annotations

import math

from msgspec import Struct

from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, F64, I64
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.traverse import Rule

ROUND = 1.5 * 2.0**52
"""Added to a float64 of magnitude up to 2**51 it rounds it to an integer."""


def expand_float_remainder(has_fma: bool) -> Rule:
    """The rule for targets with or without a fused multiply-add on float64."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Apply) or node.op is not ops.FMOD or node.dtype not in (F32, F64):
            return None
        a, b = node.operands
        if node.dtype is F32:
            x, y = _abs(build.cast(a, F64)), _abs(build.cast(b, F64))
            short, long = _short_division(x, y, False, None), _remainder_of_singles(x, y)
            return _by_size(a, b, build.cast(short, F32), build.cast(long, F32))
        x, y = _abs(a), _abs(b)
        short = _short_division(x, y, has_fma, None if has_fma else _halves(y))
        return _by_size(a, b, short, _remainder_of_doubles(x, y, has_fma))

    return rule


def _by_size(a: Expr, b: Expr, short: Expr, long: Expr) -> Expr:
    """`a` itself where it is the smaller, `short` where the quotient is, and NaN for ``inf % b``,
    ``a % 0`` and NaN operands. What comes last is needed most seldom."""
    x, y = _abs(a), _abs(b)
    infinity, nan = (build.const(v, a.dtype) for v in (math.inf, math.nan))
    defined = build.logical_and(build.lt(x, infinity), Apply(ops.GT, (y, build.zero(a.dtype))))
    # A NaN in b fails the comparison with 0, one in a that with infinity.
    rest = build.select(defined, Apply(ops.COPYSIGN, (long, a)), nan)
    near = build.lt(x, _times(y, build.const(_SHORT_QUOTIENT, a.dtype)))
    safe = build.logical_and(near, Apply(ops.GT, (y, build.const(_LEAST_SHORT, a.dtype))))
    rest = Apply(ops.LIKELY, (safe, Apply(ops.COPYSIGN, (short, a)), rest))
    return Apply(ops.LIKELY, (build.lt(x, y), a, rest))


_SHORT_QUOTIENT = 2.0**20
_LEAST_SHORT = 2.0**-100
"""Divisors that are larger have a reciprocal, with which one step takes a quotient so short."""


def _short_division(x: Expr, y: Expr, has_fma: bool, halves: tuple[Expr, Expr] | None) -> Expr:
    """The remainder in one step, for a quotient of few bits."""
    return _made_positive(Division(y, _SINGLE_BITS, has_fma, halves).once(x), y)


# Terms.


def _abs(x: Expr) -> Expr:
    if isinstance(x, Const):
        return build.const(abs(x.value), x.dtype)
    return Apply(ops.ABS, (x,))


def _double(value: float) -> Expr:
    return build.const(value, F64)


def _times(a: Expr, b: Expr) -> Expr:
    return Apply(ops.MUL, (a, b))


def _less(a: Expr, b: Expr) -> Expr:
    return Apply(ops.SUB, (a, b))


class Division(Struct, frozen=True):
    """Long division by `y`: `bits` of the quotient per step."""

    y: Expr
    bits: int
    has_fma: bool
    halves: tuple[Expr, Expr] | None = None
    """`y` as the sum of two, where ``q * y`` has more bits than a float64."""

    def run(self, scaled: Expr, steps: int) -> Expr:
        """``scaled * 2**(bits * steps)`` modulo `y`, between ``-y`` and ``y``."""
        power = _double(2.0**self.bits)
        estimate = _times(Apply(ops.DIV, (_double(1.0), self.y)), power)
        rest = scaled
        for _ in range(steps):
            rest = self._reduced(_times(rest, power), self._quotient(rest, estimate))
        return rest

    def once(self, value: Expr) -> Expr:
        """``value`` modulo `y`, between ``-y`` and ``y``, for a quotient below ``2**bits``."""
        return self._reduced(value, self._quotient(value, Apply(ops.DIV, (_double(1.0), self.y))))

    def _quotient(self, rest: Expr, estimate: Expr) -> Expr:
        if self.has_fma:
            rounded: Expr = Apply(ops.FMA, (rest, estimate, _double(ROUND)))
        else:
            rounded = Apply(ops.ADD, (_times(rest, estimate), _double(ROUND)))
        return _less(rounded, _double(ROUND))

    def _reduced(self, value: Expr, quotient: Expr) -> Expr:
        if self.halves is not None:
            high, low = self.halves
            return _less(_less(value, _times(quotient, high)), _times(quotient, low))
        if self.has_fma:
            return Apply(ops.FMA, (Apply(ops.NEG, (quotient,)), self.y, value))
        return _less(value, _times(quotient, self.y))


def _made_positive(rest: Expr, y: Expr) -> Expr:
    return build.select(build.lt(rest, _double(0.0)), Apply(ops.ADD, (rest, y)), rest)


# float32 in float64.

_SINGLE_BITS = 28


def _remainder_of_singles(x: Expr, y: Expr) -> Expr:
    """Both operands hold float32 values; the products of a step are exact even without FMA."""
    steps = -(-(128 - _least_exponent(y, -149)) // _SINGLE_BITS)
    scaled = _times(x, _double(2.0 ** (-_SINGLE_BITS * steps)))
    return _made_positive(Division(y, _SINGLE_BITS, False).run(scaled, steps), y)


def _least_exponent(y: Expr, least: int) -> int:
    """A lower bound of ``floor(log2(y))``: tight for a literal, which saves most of the steps."""
    if isinstance(y, Const) and 0 < y.value < math.inf:
        return max(least, math.frexp(y.value)[1] - 1)
    return least


# float64 on mantissas.

_MANTISSA = (1 << 52) - 1
_BIAS = 1023
_LIFT = 110
"""Subnormal operands are scaled by this power of two to have an exponent."""
_HEADROOM = 200
"""Divisions are done with y scaled by this power of two, so that x scaled down stays normal."""


def _remainder_of_doubles(x: Expr, y: Expr, has_fma: bool) -> Expr:
    bits = 50 if has_fma else 26
    x_mantissa, x_exponent = _parts(x)
    y_mantissa, y_exponent = _parts(y)
    ratio = 1023 - _least_exponent(y, -1074)
    runs = -(-ratio // 1050)
    steps = -(-ratio // (runs * bits))
    most = steps * bits
    divisor = _times(y_mantissa, _double(2.0**_HEADROOM))
    division = Division(divisor, bits, has_fma, None if has_fma else _halves(divisor))
    rest = x_mantissa
    left = build.maximum(build.sub(x_exponent, y_exponent), _int(0))
    for _ in range(runs):
        part = build.minimum(left, _int(most))
        left = build.sub(left, part)
        scaled = _times(rest, _power(build.add(part, _int(_HEADROOM - most))))
        rest = _times(division.run(scaled, steps), _double(2.0**-_HEADROOM))
    rest = _made_positive(rest, y_mantissa)
    # Two factors, since a power may be subnormal: only the last product needs to be.
    first = build.maximum(y_exponent, _int(-1000))
    return _times(_times(rest, _power(first)), _power(build.sub(y_exponent, first)))


def _int(value: int) -> Expr:
    return build.const(value, I64)


def _parts(x: Expr) -> tuple[Expr, Expr]:
    """Mantissa in [1, 2) and exponent of a positive finite float64."""
    if isinstance(x, Const) and 0 < x.value < math.inf:
        fraction, above = math.frexp(x.value)
        return _double(2 * fraction), _int(above - 1)
    small = build.lt(x, _double(2.0**-1022))
    bits = build.bitcast(build.select(small, _times(x, _double(2.0**_LIFT)), x), I64)
    exponent_bits = Apply(ops.SHR, (bits, _int(52)))
    exponent = build.sub(exponent_bits, build.select(small, _int(_BIAS + _LIFT), _int(_BIAS)))
    mantissa = Apply(ops.OR, (Apply(ops.AND, (bits, _int(_MANTISSA))), _int(_BIAS << 52)))
    return build.bitcast(mantissa, F64), exponent


def _power(exponent: Expr) -> Expr:
    """``2.0**exponent`` for the exponent of a normal float64."""
    biased = build.add(exponent, _int(_BIAS))
    return build.bitcast(Apply(ops.SHL, (biased, _int(52))), F64)


def _halves(y: Expr) -> tuple[Expr, Expr]:
    """The upper 27 bits of `y`, cut off towards zero, and the rest."""
    cut = Apply(ops.AND, (build.bitcast(y, I64), _int(-1 << 26)))
    high = build.bitcast(cut, F64)
    return high, _less(y, high)
