"""Floor division of int64 by a literal -> multiplication by its reciprocal, in halves of 32 bits.

No processor has vectors of 64-bit quotients or of the high halves of 64-bit products; compilers
take the lanes apart for both. Products of 32-bit halves exist everywhere.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I64, U64
from tilewright.ir.expr import Apply, Const, Expr

_HALF = (1 << 32) - 1


def multiply_by_reciprocal(node: Expr) -> Expr | None:
    """``a // d`` and ``a % d`` for a literal d above 0."""
    if not isinstance(node, Apply) or node.op not in (ops.FLOORDIV, ops.MOD):
        return None
    a, b = node.operands
    if node.dtype is not I64 or not isinstance(b, Const) or b.value <= 0:
        return None
    divisor = int(b.value)
    if divisor & (divisor - 1):
        quotient = _floor(a, divisor)
        return quotient if node.op is ops.FLOORDIV else build.sub(a, build.mul(quotient, b))
    if node.op is ops.MOD:
        return Apply(ops.AND, (a, build.const(divisor - 1, I64)))
    return Apply(ops.SHR, (a, build.const(divisor.bit_length() - 1, I64)))


def _floor(a: Expr, divisor: int) -> Expr:
    """``~(~a // d)`` below zero: the numerator has 63 bits, for which a factor of 64 is exact.

    With 2^(l-1) < d < 2^l, the factor ``m = floor(2^(63+l) / d) + 1`` is below 2^64, and
    ``m d`` exceeds 2^(63+l) by at most d < 2^l: so little that ``floor(x m / 2^(63+l))`` is the
    quotient for every x below 2^63 (Granlund and Montgomery, 1994).
    """
    sign = Apply(ops.SHR, (a, build.const(63, I64)))
    bits = divisor.bit_length()
    factor = (1 << 63 + bits) // divisor + 1
    magnitude = build.cast(Apply(ops.XOR, (a, sign)), U64)
    quotient = _shifted(_high_product(magnitude, factor), bits - 1)
    return Apply(ops.XOR, (build.cast(quotient, I64), sign))


def _high_product(x: Expr, factor: int) -> Expr:
    """The upper 64 of the 128 bits of ``x * factor``."""
    low, high = _low_half(x), _shifted(x, 32)
    factor_low, factor_high = build.const(factor & _HALF, U64), build.const(factor >> 32, U64)
    first = _shifted(build.mul(low, factor_low), 32)
    second = build.add(build.mul(high, factor_low), first)
    third = build.add(build.mul(low, factor_high), _low_half(second))
    carried = build.add(_shifted(second, 32), _shifted(third, 32))
    return build.add(build.mul(high, factor_high), carried)


def _low_half(x: Expr) -> Expr:
    return Apply(ops.AND, (x, build.const(_HALF, U64)))


def _shifted(x: Expr, bits: int) -> Expr:
    return Apply(ops.SHR, (x, build.const(bits, U64)))
