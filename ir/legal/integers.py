"""Integer division, remainder and shifts with NumPy's answers for every operand."""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import F32, F64, I32, INDEX, unsigned_of
from tilewright.ir.expr import Apply, Const, Expr, Size
from tilewright.ir.traverse import rewrite_to_fixpoint


def expand_integer_division(node: Expr) -> Expr | None:
    """``//``, ``%`` and `fmod` in terms of `quo` and `rem`, which are never given a divisor of 0
    or -1 (LLVM's division would trap). ``x // 0 == x % 0 == 0``."""
    if not isinstance(node, Apply) or node.op not in _DIVISIONS or node.dtype.kind not in "iux":
        return None
    a, b = node.operands
    if node.dtype is INDEX:
        return _index_division(node.op, a, b)
    return _unsigned(node.op, a, b) if node.dtype.kind == "u" else _signed(node.op, a, b)


def legal_size(size: Size) -> Size:
    """A size over open dimensions with its divisions expanded as those of statements are."""
    return size if isinstance(size, int) else rewrite_to_fixpoint(size, _SIZE_RULES, {})


_SIZE_RULES = (expand_integer_division,)
_DIVISIONS = (ops.FLOORDIV, ops.MOD, ops.FMOD)


def _index_division(op: ops.Op, a: Expr, b: Expr) -> Expr:
    """Index operands are made non-negative, so that targets may divide them as unsigned."""
    if (interval(b)[0] or 0) < 1 and not isinstance(b, Const):
        return _by_size(op, a, b)
    low, high = interval(a)
    raw = ops.QUO if op is ops.FLOORDIV else ops.REM
    if low is not None and low >= 0:
        return Apply(raw, (a, b))
    divisor = build.known(b)
    steps = -(low // divisor) if low is not None and divisor else None
    # An index has 32 bits on some targets.
    if steps and divisor and (high or 0) + steps * divisor <= I32.max:
        shifted = build.add(a, build.index(steps * divisor))
        quotient = Apply(raw, (shifted, b))
        return build.sub(quotient, build.index(steps)) if op is ops.FLOORDIV else quotient
    negative = build.lt(a, build.index(0))
    # floor(a / b) = -1 - floor((-1 - a) / b) for negative a.
    magnitude = build.select(negative, build.sub(build.index(-1), a), a)
    quotient = Apply(ops.QUO, (magnitude, b))
    floor = build.select(negative, build.sub(build.index(-1), quotient), quotient)
    return floor if op is ops.FLOORDIV else build.sub(a, build.mul(floor, b))


def _by_size(op: ops.Op, a: Expr, b: Expr) -> Expr:
    """By an open dimension, which may be 0: processors trap, even where nothing needs the
    quotient."""
    safe = build.maximum(b, build.index(1))
    quotient = _index_division(op, a, safe)
    return build.select(build.eq(b, build.index(0)), build.index(0), quotient)


def _unsigned(op: ops.Op, a: Expr, b: Expr) -> Expr:
    raw = ops.QUO if op is ops.FLOORDIV else ops.REM
    if isinstance(b, Const):
        return Apply(raw, (a, b)) if b.value else build.zero(a.dtype)
    nothing = build.eq(b, build.zero(b.dtype))
    result = Apply(raw, (a, build.select(nothing, build.const(1, b.dtype), b)))
    return build.select(nothing, build.zero(a.dtype), result)


def _signed(op: ops.Op, a: Expr, b: Expr) -> Expr:
    zero, one = build.zero(a.dtype), build.const(1, a.dtype)
    if isinstance(b, Const) and b.value in (0, -1):
        return Apply(ops.NEG, (a,)) if b.value and op is ops.FLOORDIV else zero
    if isinstance(b, Const):
        return _floored(op, a, b)
    nothing = build.eq(b, zero)
    minus_one = build.eq(b, build.const(-1, b.dtype))
    safe = build.select(Apply(ops.OR, (nothing, minus_one)), one, b)
    result = _floored(op, a, safe)
    if op is ops.FLOORDIV:
        result = build.select(minus_one, Apply(ops.NEG, (a,)), result)
        return build.select(nothing, zero, result)
    return build.select(Apply(ops.OR, (nothing, minus_one)), zero, result)


def _floored(op: ops.Op, a: Expr, b: Expr) -> Expr:
    """Truncating division corrected where the remainder and the divisor differ in sign."""
    zero = build.zero(a.dtype)
    rest = Apply(ops.REM, (a, b))
    if op is ops.FMOD:
        return rest
    uneven = Apply(ops.NE, (rest, zero))
    signs_differ = build.lt(Apply(ops.XOR, (rest, b)), zero)
    wrong = Apply(ops.AND, (uneven, signs_differ))
    if op is ops.MOD:
        return build.select(wrong, build.add(rest, b), rest)
    quotient = Apply(ops.QUO, (a, b))
    return build.select(wrong, build.sub(quotient, build.const(1, a.dtype)), quotient)


def divide_in_floats(node: Expr) -> Expr | None:
    """`quo` and `rem` of integers of up to 32 bits from a float quotient, where no processor has
    vectors of integer quotients. It is exact: an uneven quotient is at least 1 / divisor away from
    the next whole number, which is more than its rounding. A literal divisor is left to LLVM,
    which multiplies."""
    if not isinstance(node, Apply) or node.op not in (ops.QUO, ops.REM):
        return None
    a, b = node.operands
    if node.dtype.kind not in "iu" or node.dtype.bits > 32 or isinstance(b, Const):
        return None
    wide = F64 if node.dtype.bits == 32 else F32
    ratio = Apply(ops.DIV, (build.cast(a, wide), build.cast(b, wide)))
    quotient = build.cast(ratio, node.dtype)  # truncates
    if node.op is ops.QUO:
        return quotient
    return build.sub(a, build.mul(quotient, b))


def expand_shifts(node: Expr) -> Expr | None:
    """Shifts by the width or more, or by a negative amount, give 0 or the sign."""
    if not isinstance(node, Apply) or node.op not in (ops.SHL, ops.SHR):
        return None
    value, amount = node.operands
    raw = ops.SHL_RAW if node.op is ops.SHL else ops.SHR_RAW
    bits = value.dtype.bits
    if isinstance(amount, Const) and 0 <= amount.value < bits:
        return Apply(raw, (value, amount))
    if value.dtype.kind == "u":
        inside = build.lt(amount, build.const(bits, amount.dtype))
    else:
        unsigned = unsigned_of(value.dtype)
        inside = build.lt(build.cast(amount, unsigned), build.const(bits, unsigned))
    masked = Apply(ops.AND, (amount, build.const(bits - 1, amount.dtype)))
    fill: Expr = build.zero(value.dtype)
    if node.op is ops.SHR and value.dtype.kind != "u":
        fill = Apply(ops.SHR_RAW, (value, build.const(bits - 1, amount.dtype)))
    return build.select(inside, Apply(raw, (value, masked)), fill)


def expand_integer_sign(node: Expr) -> Expr | None:
    """``sign`` and ``abs`` of integers."""
    if not isinstance(node, Apply) or node.dtype.is_float:
        return None
    match node.op:
        case ops.SIGN:
            (x,) = node.operands
            zero, one = build.zero(x.dtype), build.const(1, x.dtype)
            positive = build.select(Apply(ops.GT, (x, zero)), one, zero)
            if x.dtype.kind == "u":
                return positive
            return build.select(build.lt(x, zero), build.const(-1, x.dtype), positive)
        case ops.ABS if node.dtype.kind == "u":
            return node.operands[0]
        case _:
            return None


def expand_bool_extremes(node: Expr) -> Expr | None:
    """``min`` and ``max`` of bools are ``and`` and ``or``."""
    if isinstance(node, Apply) and node.dtype.kind == "b" and node.op in (ops.MIN, ops.MAX):
        return Apply(ops.AND if node.op is ops.MIN else ops.OR, node.operands)
    return None


def expand_signed_popcount(node: Expr) -> Expr | None:
    """NumPy counts the bits of a signed integer's magnitude."""
    if not isinstance(node, Apply) or node.op is not ops.POPCOUNT or not node.dtype.is_signed:
        return None
    magnitude = build.bitcast(Apply(ops.ABS, node.operands), unsigned_of(node.dtype))
    return build.bitcast(Apply(ops.POPCOUNT, (magnitude,)), node.dtype)
