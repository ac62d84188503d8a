"""What each NumPy ufunc computes, as an expression of its operands' elements.

The operands come in the dtypes in which NumPy runs the ufunc (`resolve_ufunc`), so a rule need not
promote. A rule returns one expression, or a tuple where the ufunc has several results; where its
dtype is not the ufunc's result dtype yet, the caller casts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace.failures import failure
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F16, F32, I32, I64, unsigned_of
from tilewright.ir.errors import POWER_HELP, NegativePowerError
from tilewright.ir.expr import Const, Expr
from tilewright.ir.ops import Op

Rule = Callable[..., Any]
RULES: dict[np.ufunc, Rule] = {}


def _rule(*ufuncs: np.ufunc) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(ufuncs, rule))
        return rule

    return enter


def operation(op: Op) -> Rule:
    """The rule that applies one operation."""
    return lambda *operands: build.apply(op, *operands)


def constant_like(value: float, x: Expr) -> Expr:
    """A literal of the dtype of `x`."""
    return build.const(value, x.dtype)


_DIRECT = {
    np.true_divide: ops.DIV,
    np.floor_divide: ops.FLOORDIV,
    np.remainder: ops.MOD,
    np.fmod: ops.FMOD,
    np.negative: ops.NEG,
    np.maximum: ops.MAX,
    np.minimum: ops.MIN,
    np.bitwise_and: ops.AND,
    np.bitwise_or: ops.OR,
    np.bitwise_xor: ops.XOR,
    np.invert: ops.NOT,
    np.left_shift: ops.SHL,
    np.right_shift: ops.SHR,
    np.sqrt: ops.SQRT,
    np.rint: ops.RINT,
    np.signbit: ops.SIGNBIT,
    np.copysign: ops.COPYSIGN,
    np.nextafter: ops.NEXTAFTER,
    np.exp: ops.EXP,
    np.exp2: ops.EXP2,
    np.expm1: ops.EXPM1,
    np.log: ops.LOG,
    np.log2: ops.LOG2,
    np.log10: ops.LOG10,
    np.log1p: ops.LOG1P,
    np.sin: ops.SIN,
    np.cos: ops.COS,
    np.tan: ops.TAN,
    np.arcsin: ops.ASIN,
    np.arccos: ops.ACOS,
    np.arctan: ops.ATAN,
    np.arctan2: ops.ATAN2,
    np.sinh: ops.SINH,
    np.cosh: ops.COSH,
    np.tanh: ops.TANH,
    np.arcsinh: ops.ASINH,
    np.arccosh: ops.ACOSH,
    np.arctanh: ops.ATANH,
    np.cbrt: ops.CBRT,
    np.hypot: ops.HYPOT,
}
for _ufunc, _op in _DIRECT.items():
    RULES[_ufunc] = operation(_op)


def _comparison(op: Op) -> Rule:
    """Operands of one dtype, or uint64 against int64, which NumPy compares by value."""

    def rule(a: Expr, b: Expr) -> Expr:
        if a.dtype is b.dtype:
            return build.apply(op, a, b)
        if b.dtype.kind == "u":
            return rule_for_unsigned(_MIRRORED[op], b, a)
        return rule_for_unsigned(op, a, b)

    def rule_for_unsigned(op: Op, a: Expr, b: Expr) -> Expr:
        """A negative `b` is below every `a`."""
        negative = build.apply(ops.LT, b, build.zero(b.dtype))
        below = build.TRUE if op in (ops.GT, ops.GE, ops.NE) else build.FALSE
        return build.select(negative, below, build.apply(op, a, build.cast(b, a.dtype)))

    return rule


_MIRRORED = {
    ops.EQ: ops.EQ,
    ops.NE: ops.NE,
    ops.LT: ops.GT,
    ops.GT: ops.LT,
    ops.LE: ops.GE,
    ops.GE: ops.LE,
}
RULES.update(
    {
        np.equal: _comparison(ops.EQ),
        np.not_equal: _comparison(ops.NE),
        np.less: _comparison(ops.LT),
        np.less_equal: _comparison(ops.LE),
        np.greater: _comparison(ops.GT),
        np.greater_equal: _comparison(ops.GE),
    }
)


def _on_bools(op: Op, op_on_bools: Op) -> Rule:
    """Arithmetic on bools is logic."""
    return lambda a, b: build.apply(op_on_bools if a.dtype is BOOL else op, a, b)


RULES[np.add] = _on_bools(ops.ADD, ops.OR)
RULES[np.subtract] = operation(ops.SUB)
RULES[np.multiply] = _times = _on_bools(ops.MUL, ops.AND)


@_rule(np.positive, np.conjugate)
def _unchanged(x: Expr) -> Expr:
    return x


@_rule(np.absolute, np.fabs)
def _absolute(x: Expr) -> Expr:
    return x if x.dtype.kind in "bu" else build.apply(ops.ABS, x)


@_rule(np.sign)
def _sign(x: Expr) -> Expr:
    return build.apply(ops.SIGN, x)


def _whole(op: Op) -> Rule:
    """Rounding leaves integers and bools as they are."""
    return lambda x: build.apply(op, x) if x.dtype.is_float else x


RULES[np.floor] = _whole(ops.FLOOR)
RULES[np.ceil] = _whole(ops.CEIL)
RULES[np.trunc] = _whole(ops.TRUNC)


def _test(op: Op, otherwise: Expr) -> Rule:
    """A question about floats whose answer is fixed for integers."""
    return lambda x: build.apply(op, x) if x.dtype.is_float else otherwise


RULES[np.isnan] = _test(ops.ISNAN, build.FALSE)
RULES[np.isinf] = _test(ops.ISINF, build.FALSE)
RULES[np.isfinite] = _test(ops.ISFINITE, build.TRUE)


def _ignoring_nan(op: Op, op_on_integers: Op) -> Rule:
    return lambda a, b: build.apply(op if a.dtype.is_float else op_on_integers, a, b)


RULES[np.fmin] = _ignoring_nan(ops.FMIN, ops.MIN)
RULES[np.fmax] = _ignoring_nan(ops.FMAX, ops.MAX)


def _truth(x: Expr) -> Expr:
    return x if x.dtype is BOOL else build.apply(ops.NE, x, build.zero(x.dtype))


def _logical(op: Op) -> Rule:
    return lambda *operands: build.apply(op, *(_truth(x) for x in operands))


RULES[np.logical_and] = _logical(ops.AND)
RULES[np.logical_or] = _logical(ops.OR)
RULES[np.logical_xor] = _logical(ops.XOR)
RULES[np.logical_not] = _logical(ops.NOT)


@_rule(np.square)
def _square(x: Expr) -> Any:
    return _times(x, x)


@_rule(np.reciprocal)
def _reciprocal(x: Expr) -> Expr:
    if x.dtype.is_float:
        return build.apply(ops.DIV, constant_like(1, x), x)
    one = constant_like(1, x)
    unit = build.apply(ops.EQ, x, one)
    if x.dtype.is_signed:
        unit = build.apply(ops.OR, unit, build.apply(ops.EQ, x, constant_like(-1, x)))
    return build.select(unit, x, build.zero(x.dtype))


@_rule(np.deg2rad, np.radians)
def _radians(x: Expr) -> Expr:
    return build.apply(ops.MUL, x, constant_like(math.pi / 180, x))


@_rule(np.rad2deg, np.degrees)
def _degrees(x: Expr) -> Expr:
    return build.apply(ops.MUL, x, constant_like(180 / math.pi, x))


@_rule(np.heaviside)
def _heaviside(x: Expr, at_zero: Expr) -> Expr:
    zero, one = build.zero(x.dtype), constant_like(1, x)
    positive = build.select(build.apply(ops.GT, x, zero), one, at_zero)
    result = build.select(build.apply(ops.LT, x, zero), zero, positive)
    return build.select(build.apply(ops.ISNAN, x), x, result)


@_rule(np.logaddexp)
def _logaddexp(a: Expr, b: Expr) -> Expr:
    return _log_of_sum(a, b, ops.EXP, ops.LOG1P, math.log(2))


@_rule(np.logaddexp2)
def _logaddexp2(a: Expr, b: Expr) -> Expr:
    def log2_1p(x: Expr) -> Expr:
        scale = constant_like(1 / math.log(2), x)
        return build.apply(ops.MUL, build.apply(ops.LOG1P, x), scale)

    return _log_of_sum(a, b, ops.EXP2, log2_1p, 1.0)


def _log_of_sum(a: Expr, b: Expr, exp: Op, log1p: Any, log_of_2: float) -> Expr:
    """``log(base**a + base**b)`` without overflow; infinities of one sign do not cancel."""
    if a.dtype is F16:
        wide = _log_of_sum(build.cast(a, F32), build.cast(b, F32), exp, log1p, log_of_2)
        return build.cast(wide, F16)
    gap = build.apply(ops.ABS, build.apply(ops.SUB, a, b))
    power = build.apply(exp, build.apply(ops.NEG, gap))
    rest = build.apply(log1p, power) if isinstance(log1p, Op) else log1p(power)
    sum_ = build.apply(ops.ADD, build.apply(ops.MAX, a, b), rest)
    twice = build.apply(ops.ADD, a, constant_like(log_of_2, a))
    return build.select(build.apply(ops.EQ, a, b), twice, sum_)


@_rule(np.divmod)
def _divmod(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    return build.apply(ops.FLOORDIV, a, b), build.apply(ops.MOD, a, b)


@_rule(np.modf)
def _modf(x: Expr) -> tuple[Expr, Expr]:
    whole = build.apply(ops.TRUNC, x)
    rest = build.apply(ops.COPYSIGN, build.apply(ops.SUB, x, whole), x)
    infinite = build.apply(ops.ISINF, x)
    zero = build.apply(ops.COPYSIGN, build.zero(x.dtype), x)
    return build.select(infinite, zero, rest), whole


@_rule(np.ldexp)
def _ldexp(x: Expr, exponent: Expr) -> Expr:
    """In three steps: ``2**exponent`` alone may overflow or vanish where the product does not.

    The largest step, which is a normal number, comes last: what comes before is exact where the
    result is no zero, so only one product rounds.
    """
    step = {16: 14, 32: 126, 64: 1022}[x.dtype.bits]
    rest = build.cast(_limited(exponent, 3 * step), I32)
    parts = []
    for _ in range(3):
        parts.append(_limited(rest, step))
        rest = build.sub(rest, parts[-1])
    for part in reversed(parts):
        power = build.apply(ops.EXP2, build.cast(part, x.dtype))
        x = build.apply(ops.MUL, x, power)
    return x


def _limited(value: Expr, limit: int) -> Expr:
    """An integer between ``-limit`` and ``limit``."""
    low, high = build.const(-limit, value.dtype), build.const(limit, value.dtype)
    return build.minimum(build.maximum(value, low), high)


@_rule(np.bitwise_count)
def _bitwise_count(x: Expr) -> Expr:
    """Of the magnitude, which of the least integer is one more than the dtype holds."""
    if x.dtype is BOOL:
        return x
    return build.apply(ops.POPCOUNT, _magnitude(x) if x.dtype.is_signed else x)


@_rule(np.float_power)
def _float_power(base: Expr, exponent: Expr) -> Expr:
    return build.apply(ops.POW, base, exponent)


@_rule(np.power)
def power(base: Expr, exponent: Expr) -> Expr:
    """``base ** exponent``; small whole exponents are products."""
    if isinstance(exponent, Const):
        if base.dtype.is_integer:
            if exponent.value < 0:
                raise failure(
                    NegativePowerError,
                    "integers to negative integer powers are not allowed, and the exponent is "
                    f"{int(exponent.value)}",
                    help=POWER_HELP,
                )
            return _repeated_product(base, int(exponent.value))
        if exponent.value in (1.0, 2.0, 3.0, 4.0):
            return _repeated_product(base, int(exponent.value))
    if base.dtype.is_float:
        return build.apply(ops.POW, base, exponent)
    return _integer_power(base, exponent)


def _repeated_product(base: Expr, exponent: int) -> Expr:
    result: Expr | None = None
    square = base
    while exponent > 0:
        if exponent & 1:
            result = square if result is None else build.mul(result, square)
        exponent >>= 1
        if exponent:
            square = build.mul(square, square)
    return constant_like(1, base) if result is None else result


def _integer_power(base: Expr, exponent: Expr) -> Expr:
    """By squaring, one step per bit of the exponent; the host tests that none is negative."""
    from tilewright.compiler.trace.positions import add_check
    from tilewright.ir.analysis.tensor_ranges import bounds

    least, _ = bounds(exponent)
    if exponent.dtype.is_signed and (least is None or least < 0):
        add_check(exponent, I64.max, 0, wraps=False, kind="power")
    one = constant_like(1, base)
    result: Expr = one
    square = base
    bits = exponent.dtype.bits - (1 if exponent.dtype.is_signed else 0)
    for bit in range(bits):
        mask = build.const(1 << bit, exponent.dtype)
        chosen = build.apply(ops.NE, build.apply(ops.AND, exponent, mask), build.zero(mask.dtype))
        result = build.mul(result, build.select(chosen, square, one))
        if bit + 1 < bits:
            square = build.mul(square, square)
    return result


def _magnitude(x: Expr) -> Expr:
    """``abs(x)`` as an unsigned integer, which holds that of the least one too."""
    return build.bitcast(build.apply(ops.ABS, x), unsigned_of(x.dtype))


def _greatest_common_divisor(a: Expr, b: Expr) -> Expr:
    """Euclid's algorithm, as many steps as the worst case (Fibonacci numbers) of the dtype."""
    if a.dtype.is_signed:
        divisor = _greatest_common_divisor(_magnitude(a), _magnitude(b))
        return build.bitcast(divisor, a.dtype)
    steps = {8: 13, 16: 24, 32: 47, 64: 93}[a.dtype.bits]
    for _ in range(steps):
        # x % 0 is 0 here, so a finished pair (g, 0) is kept by the select.
        finished = build.apply(ops.EQ, b, build.zero(b.dtype))
        a, b = build.select(finished, a, b), build.apply(ops.MOD, a, b)
    return a


RULES[np.gcd] = _greatest_common_divisor


@_rule(np.lcm)
def _least_common_multiple(a: Expr, b: Expr) -> Expr:
    if a.dtype.is_signed:
        return build.bitcast(_least_common_multiple(_magnitude(a), _magnitude(b)), a.dtype)
    divisor = _greatest_common_divisor(a, b)
    return build.mul(build.floordiv(a, divisor), b)
