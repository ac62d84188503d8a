"""NumPy's meaning of operations in terms of those that WGSL computes reliably.

A shader compiler may assume that no float is NaN or infinite, so both are recognised by their bits,
``min`` and ``max`` are told apart from NaN by hand, and ``!=`` of floats is ``!(a == b)``, which
no NaN makes false. Conversions from float to integer saturate, with NaN to 0, as on every target.
"""

from __future__ import annotations

import math

import numpy as np

from tilewright.codegen_wgsl.emit.operations import LEGAL
from tilewright.ir import build, ops
from tilewright.ir.dtypes import BOOL, F16, F32, I32, INDEX, U32
from tilewright.ir.elementary import Machine, expand
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.legal import floats, integers
from tilewright.ir.ops import Op
from tilewright.ir.traverse import Rule

MACHINE = Machine(has_fma=False, ieee=False, has_f64=False, scale=False, native=LEGAL & ops.NATIVE)
_MAGNITUDE = 0x7FFFFFFF
_SIGN = 0x80000000
_INFINITY = 0x7F800000


class Rules:
    """The rules of one kernel. `raw` are operations that a rule made and that stay as they are."""

    def __init__(self) -> None:
        self.raw: set[Expr] = set()

    def all(self) -> tuple[Rule, ...]:
        """In the order in which they are tried at a node."""
        return (
            shift_instead_of_divide,
            integers.expand_integer_division,
            integers.expand_shifts,
            integers.expand_integer_sign,
            integers.expand_signed_popcount,
            integers.expand_bool_extremes,
            expand_bool_order,
            bits_of_half,
            drop_likely,
            self.expand_extremes,
            expand_classification,
            expand_inequality,
            expand_copysign,
            self.expand_remainder,
            floats.expand_floor_division,
            floats.expand_division_by_zero,
            floats.expand_nextafter,
            self.expand_conversion,
            expand_elementary,
        )

    def _keep(self, op: Op, operands: tuple[Expr, ...], dtype: object = None) -> Expr:
        node = Apply(op, operands, dtype if op.result == "given" else None)  # type: ignore[arg-type]
        self.raw.add(node)
        return node

    def expand_extremes(self, node: Expr) -> Expr | None:
        """``min``/``max`` let NaN win, ``fmin``/``fmax`` let the number win."""
        if not isinstance(node, Apply) or node.op not in _EXTREMES or node in self.raw:
            return None
        if node.dtype is not F32:
            return None
        a, b = node.operands
        chosen = self._keep(_EXTREMES[node.op], (a, b))
        if node.op in (ops.MIN, ops.MAX):
            return _unless_nan(b, b, _unless_nan(a, a, chosen))
        return _unless_nan(b, a, _unless_nan(a, b, chosen))

    def expand_remainder(self, node: Expr) -> Expr | None:
        """``fmod`` by one division, exact while the quotient is below 2**24."""
        if not isinstance(node, Apply) or node.op is not ops.FMOD or node.dtype is not F32:
            return None
        x, y = node.operands
        zero = build.zero(F32)
        size = Apply(ops.ABS, (y,))
        step = Apply(ops.COPYSIGN, (size, x))
        quotient = Apply(ops.TRUNC, (Apply(ops.DIV, (x, y)),))
        rest = _minus_product(x, quotient, y)
        # The division may round the quotient to the next whole number, up or down.
        crossed = build.lt(Apply(ops.MUL, (rest, step)), zero)
        rest = build.select(crossed, Apply(ops.ADD, (rest, step)), rest)
        over = build.ge(Apply(ops.ABS, (rest,)), size)
        rest = build.select(over, Apply(ops.SUB, (rest, step)), rest)
        rest = build.select(build.lt(Apply(ops.ABS, (x,)), size), x, rest)
        undefined = Apply(ops.OR, (build.eq(y, zero), Apply(ops.ISINF, (x,))))
        rest = build.select(undefined, build.const(math.nan, F32), rest)
        return build.select(is_nan(x), x, build.select(is_nan(y), y, rest))

    def expand_conversion(self, node: Expr) -> Expr | None:
        """Float to integer saturates; anything to bool is a comparison with 0."""
        if not isinstance(node, Apply) or node.op is not ops.CAST or node in self.raw:
            return None
        (x,) = node.operands
        if node.dtype is BOOL:
            return Apply(ops.NE, (x, build.zero(x.dtype)))
        if x.dtype is not F32 or node.dtype not in (I32, U32, INDEX):
            return None
        target = I32 if node.dtype is INDEX else node.dtype
        low, high = float(target.min), float(target.max + 1)
        whole = self._keep(ops.CAST, (x,), target)
        whole = build.select(
            build.ge(x, build.const(high, F32)), build.const(target.max, target), whole
        )
        whole = build.select(
            build.lt(x, build.const(low, F32)), build.const(target.min, target), whole
        )
        return build.cast(_unless_nan(x, build.zero(target), whole), node.dtype)


_EXTREMES = {ops.MIN: ops.MIN, ops.MAX: ops.MAX, ops.FMIN: ops.MIN, ops.FMAX: ops.MAX}


def bits_of_half(node: Expr) -> Expr | None:
    """The bits of a literal of float16, which has no literals without the device's support."""
    match node:
        case Apply(op=ops.BITCAST, operands=(Const(dtype=dtype) as x,)) if dtype is F16:
            return build.const(int(np.float16(x.value).view(np.uint16)), node.dtype)
    return None


def _magnitude(x: Expr) -> Expr:
    return Apply(ops.AND, (build.bitcast(x, U32), build.const(_MAGNITUDE, U32)))


def is_nan(x: Expr) -> Expr:
    """By its bits: comparisons may assume that there is no NaN."""
    return Apply(ops.GT, (_magnitude(x), build.const(_INFINITY, U32)))


def never_nan(x: Expr) -> bool:
    """Whether `x` is a literal or a converted integer."""
    if isinstance(x, Const):
        return not math.isnan(x.value)
    return isinstance(x, Apply) and x.op is ops.CAST and x.operands[0].dtype.kind in "biux"


def _unless_nan(tested: Expr, then: Expr, otherwise: Expr) -> Expr:
    """`then` where `tested` is NaN, else `otherwise`."""
    return otherwise if never_nan(tested) else build.select(is_nan(tested), then, otherwise)


def _minus_product(x: Expr, a: Expr, b: Expr) -> Expr:
    """``x - a * b`` where that is small beside `x`, rounded once (Dekker's product): `fma` need not
    be fused in WGSL."""
    product = Apply(ops.MUL, (a, b))
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = Apply(ops.SUB, (a, a_high)), Apply(ops.SUB, (b, b_high))
    error: Expr = Apply(ops.SUB, (Apply(ops.MUL, (a_high, b_high)), product))
    for one, two in ((a_high, b_low), (a_low, b_high), (a_low, b_low)):
        error = Apply(ops.ADD, (error, Apply(ops.MUL, (one, two))))
    return Apply(ops.SUB, (Apply(ops.SUB, (x, product)), error))


def _upper_half(x: Expr) -> Expr:
    """The first 12 of 24 significant digits, so that products of halves are exact."""
    bits = Apply(ops.AND, (build.bitcast(x, U32), build.const(0xFFFFF000, U32)))
    return build.bitcast(bits, F32)


def expand_classification(node: Expr) -> Expr | None:
    """``isnan``, ``isinf``, ``isfinite`` and ``signbit`` by bits; ``sign`` by comparisons."""
    if not isinstance(node, Apply) or not node.operands or node.operands[0].dtype is not F32:
        return None
    x = node.operands[0]
    infinity = build.const(_INFINITY, U32)
    match node.op:
        case ops.ISNAN:
            return is_nan(x)
        case ops.ISINF:
            return Apply(ops.EQ, (_magnitude(x), infinity))
        case ops.ISFINITE:
            return Apply(ops.LT, (_magnitude(x), infinity))
        case ops.SIGNBIT:
            sign = Apply(ops.AND, (build.bitcast(x, U32), build.const(_SIGN, U32)))
            return Apply(ops.NE, (sign, build.zero(U32)))
        case ops.SIGN:
            return floats.expand_classification(node)
        case _:
            return None


def expand_bool_order(node: Expr) -> Expr | None:
    """WGSL orders no bools: ``a < b`` is ``!a & b``."""
    if (
        not isinstance(node, Apply)
        or node.op not in _BOOL_ORDER
        or node.operands[0].dtype is not BOOL
    ):
        return None
    swapped, negated = _BOOL_ORDER[node.op]
    a, b = reversed(node.operands) if swapped else node.operands
    less = Apply(ops.AND, (Apply(ops.NOT, (a,)), b))
    return Apply(ops.NOT, (less,)) if negated else less


# Of ``a < b``: with operands exchanged, negated.
_BOOL_ORDER = {
    ops.LT: (False, False),
    ops.GT: (True, False),
    ops.GE: (False, True),
    ops.LE: (True, True),
}


def drop_likely(node: Expr) -> Expr | None:
    """A hint that WGSL has no words for."""
    if isinstance(node, Apply) and node.op is ops.LIKELY:
        return build.select(*node.operands)
    return None


def expand_inequality(node: Expr) -> Expr | None:
    """``a != b`` of floats: an ordered comparison would say that NaN equals everything."""
    if isinstance(node, Apply) and node.op is ops.NE and node.operands[0].dtype is F32:
        return Apply(ops.NOT, (Apply(ops.EQ, node.operands),))
    return None


def expand_copysign(node: Expr) -> Expr | None:
    """The magnitude of one operand and the sign bit of the other."""
    if not isinstance(node, Apply) or node.op is not ops.COPYSIGN:
        return None
    x, y = node.operands
    sign = Apply(ops.AND, (build.bitcast(y, U32), build.const(_SIGN, U32)))
    return build.bitcast(Apply(ops.OR, (_magnitude(x), sign)), F32)


def shift_instead_of_divide(node: Expr) -> Expr | None:
    """Index operands of `quo` and `rem` are not negative, so powers of two are shifts and masks."""
    if not isinstance(node, Apply) or node.dtype is not INDEX:
        return None
    if node.op not in (ops.QUO, ops.REM) or not isinstance(node.operands[1], Const):
        return None
    divisor = int(node.operands[1].value)
    if divisor.bit_count() != 1:
        return None
    if node.op is ops.REM:
        return Apply(ops.AND, (node.operands[0], build.index(divisor - 1)))
    return Apply(ops.SHR_RAW, (node.operands[0], build.index(divisor.bit_length() - 1)))


def expand_elementary(node: Expr) -> Expr | None:
    """Elementary functions in terms of arithmetic."""
    if isinstance(node, Apply) and node.op.elementary:
        return expand(node.op, node.operands, MACHINE)
    return None
