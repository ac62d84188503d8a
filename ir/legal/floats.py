"""Float operations with NumPy's answers for NaN, infinities and signed zeros (IEEE targets)."""

from __future__ import annotations

import math

from tilewright.ir import build, ops
from tilewright.ir.analysis.magnitudes import is_number
from tilewright.ir.dtypes import BOOL, F16, F32, U32, signed_of
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.ops import Op


def isnan(x: Expr) -> Expr:
    return Apply(ops.ISNAN, (x,))


def expand_extremes(node: Expr) -> Expr | None:
    """``min``/``max`` let NaN win, ``fmin``/``fmax`` let the number win."""
    if not isinstance(node, Apply) or not node.dtype.is_float or node.op not in _COMPARE:
        return None
    a, b = node.operands
    # A comparison and a select are one instruction, which yields b if either is NaN.
    chosen = build.select(Apply(_COMPARE[node.op], (a, b)), a, b)
    if node.op in (ops.FMIN, ops.FMAX):
        return chosen if is_number(b) else build.select(isnan(b), a, chosen)
    if is_number(a):
        return chosen
    return _beside_literal(node.op, a, b) or build.select(isnan(a), a, chosen)


def _beside_literal(op: Op, x: Expr, literal: Expr) -> Expr | None:
    """The operands in turn: the one instruction then yields `x` if that is NaN. It also yields `x`
    of two zeros, where the answer is the literal."""
    if not isinstance(literal, Const) or not is_number(literal):
        return None
    chosen = build.select(Apply(_COMPARE[op], (literal, x)), literal, x)
    if literal.value != 0:
        return chosen
    if op is ops.MAX and math.copysign(1.0, literal.value) > 0:
        return Apply(ops.ADD, (chosen, literal))  # -0.0 + 0.0 is 0.0
    return None


_COMPARE = {ops.MIN: ops.LT, ops.MAX: ops.GT, ops.FMIN: ops.LT, ops.FMAX: ops.GT}


def expand_classification(node: Expr) -> Expr | None:
    """``isinf``, ``isfinite``, ``signbit`` and ``sign``."""
    if not isinstance(node, Apply) or not node.operands or not node.operands[0].dtype.is_float:
        return None
    x = node.operands[0]
    infinity = build.const(float("inf"), x.dtype)
    match node.op:
        case ops.ISINF:
            return build.eq(Apply(ops.ABS, (x,)), infinity)
        case ops.ISFINITE:
            return build.lt(Apply(ops.ABS, (x,)), infinity)
        case ops.SIGNBIT:
            bits = build.bitcast(x, signed_of(x.dtype))
            return build.lt(bits, build.zero(bits.dtype))
        case ops.SIGN:
            zero, one = build.zero(x.dtype), build.const(1, x.dtype)
            known = build.select(build.lt(x, zero), build.const(-1, x.dtype), zero)
            known = build.select(Apply(ops.GT, (x, zero)), one, known)
            return build.select(isnan(x), x, known)
        case _:
            return None


def expand_floor_division(node: Expr) -> Expr | None:
    """``//`` and ``%`` of floats, from the exact remainder `fmod` (as NumPy's npy_divmod)."""
    if not isinstance(node, Apply) or not node.dtype.is_float:
        return None
    if node.op not in (ops.FLOORDIV, ops.MOD):
        return None
    a, b = node.operands
    zero, one = build.zero(a.dtype), build.const(1, a.dtype)
    rest = Apply(ops.FMOD, (a, b))
    uneven = Apply(ops.NE, (rest, zero))
    signs_differ = Apply(ops.NE, (build.lt(b, zero), build.lt(rest, zero)))
    wrong = Apply(ops.AND, (uneven, signs_differ))
    if node.op is ops.MOD:
        moved = build.select(wrong, Apply(ops.ADD, (rest, b)), rest)
        return build.select(uneven, moved, build.select(isnan(rest), rest, _signed_zero(b)))
    quotient: Expr = Apply(ops.DIV, (Apply(ops.SUB, (a, rest)), b))
    quotient = build.select(wrong, Apply(ops.SUB, (quotient, one)), quotient)
    whole: Expr = Apply(ops.FLOOR, (quotient,))
    above = Apply(ops.GT, (Apply(ops.SUB, (quotient, whole)), build.const(0.5, a.dtype)))
    whole = build.select(above, Apply(ops.ADD, (whole, one)), whole)
    ratio = Apply(ops.DIV, (a, b))
    whole = build.select(Apply(ops.NE, (quotient, zero)), whole, Apply(ops.COPYSIGN, (zero, ratio)))
    return build.select(build.eq(b, zero), ratio, whole)


def expand_division_by_zero(node: Expr) -> Expr | None:
    """``x / 0.0`` with a literal zero, for targets whose compilers fold it to anything.

    By bits: NaN where `x` is zero or NaN, else an infinity with the sign of the quotient.
    """
    if not isinstance(node, Apply) or node.op is not ops.DIV or node.dtype is not F32:
        return None
    x, divisor = node.operands
    if not isinstance(divisor, Const) or divisor.value != 0:
        return None
    bits = build.bitcast(x, U32)
    magnitude = Apply(ops.AND, (bits, build.const(0x7FFFFFFF, U32)))
    sign: Expr = Apply(ops.AND, (bits, build.const(0x80000000, U32)))
    if math.copysign(1.0, divisor.value) < 0:
        sign = Apply(ops.XOR, (sign, build.const(0x80000000, U32)))
    infinity = build.const(0x7F800000, U32)
    undefined = Apply(
        ops.OR,
        (build.eq(magnitude, build.zero(U32)), Apply(ops.GT, (magnitude, infinity))),
    )
    quotient = Apply(ops.OR, (sign, infinity))
    return build.bitcast(build.select(undefined, build.const(0x7FC00000, U32), quotient), F32)


def _signed_zero(like: Expr) -> Expr:
    return Apply(ops.COPYSIGN, (build.zero(like.dtype), like))


def expand_nextafter(node: Expr) -> Expr | None:
    """The next float towards the second operand, by arithmetic on the bits."""
    if not isinstance(node, Apply) or node.op is not ops.NEXTAFTER:
        return None
    x, y = node.operands
    zero = build.zero(x.dtype)
    bits = build.bitcast(x, signed_of(x.dtype))
    one = build.const(1, bits.dtype)
    away = Apply(ops.EQ, (Apply(ops.LT, (x, y)), Apply(ops.GT, (x, zero))))
    moved = build.bitcast(build.select(away, build.add(bits, one), build.sub(bits, one)), x.dtype)
    smallest = Apply(ops.COPYSIGN, (build.from_bits(1, x.dtype), y))
    moved = build.select(build.eq(x, zero), smallest, moved)
    # The operands differ in the sign of zero at most; NumPy has functions of its own for float16.
    moved = build.select(build.eq(x, y), x if x.dtype is F16 else y, moved)
    moved = build.select(isnan(y), y, moved)
    return build.select(isnan(x), x, moved)


_NOT_ARITHMETIC = (ops.CAST, ops.BITCAST, ops.SELECT, ops.LIKELY, ops.SIGNBIT)


def compute_half_in_single(node: Expr) -> Expr | None:
    """float16 arithmetic is done in float32 and rounded after each operation."""
    if not isinstance(node, Apply) or node.op in _NOT_ARITHMETIC:
        return None
    if not any(o.dtype is F16 for o in node.operands) or node.op is ops.NEXTAFTER:
        return None
    wide = Apply(node.op, tuple(build.cast(o, F32) for o in node.operands))
    return wide if wide.dtype is BOOL else build.cast(wide, F16)


def convert_half_through_single(node: Expr) -> Expr | None:
    """float16 meets only float32 in conversions."""
    if not isinstance(node, Apply) or node.op is not ops.CAST:
        return None
    source, target = node.operands[0].dtype, node.dtype
    if F16 not in (source, target) or F32 in (source, target):
        return None
    return build.cast(build.cast(node.operands[0], F32), target)


def split_multiply_add(node: Expr) -> Expr | None:
    """Without a fused instruction `mad` is a multiplication and an addition."""
    if isinstance(node, Apply) and node.op is ops.MAD:
        a, b, c = node.operands
        return Apply(ops.ADD, (Apply(ops.MUL, (a, b)), c))
    return None


def fuse_multiply_add(node: Expr) -> Expr | None:
    """With one it is `fma`."""
    if isinstance(node, Apply) and node.op is ops.MAD:
        return Apply(ops.FMA, node.operands)
    return None
