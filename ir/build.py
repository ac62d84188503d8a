"""Functions that make scalar expressions, folding what is known.

Only identities that hold for every input are applied (``x + 0`` for integers, never for floats:
``-0.0 + 0``). Index arithmetic is folded eagerly since views and tiles make a lot of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Source, Value
from tilewright.ir.ops import Op

Fold = Callable[[Expr, Expr], Expr | None]

TRUE = Const(True, BOOL)
FALSE = Const(False, BOOL)


def const(value: Value, dtype: DType) -> Const:
    """A literal of `dtype`; an integer wraps, a float is rounded to it."""
    if dtype.is_float:
        with np.errstate(all="ignore"):
            return Const(float(dtype.numpy.type(value)), dtype)
    if dtype is BOOL:
        return TRUE if value else FALSE
    return Const((int(value) - dtype.min) % (1 << dtype.bits) + dtype.min, dtype)


def from_bits(bits: int, dtype: DType) -> Const:
    """The float literal with this bit pattern."""
    code = {16: ("<H", "<e"), 32: ("<I", "<f"), 64: ("<Q", "<d")}[dtype.bits]
    return Const(struct.unpack(code[1], struct.pack(code[0], bits))[0], dtype)


def index(value: Size) -> Expr:
    """A size or an int as an index expression."""
    return Const(value, INDEX) if isinstance(value, int) else value


def zero(dtype: DType) -> Const:
    return const(0, dtype)


def is_const(node: Size, value: int) -> bool:
    """Whether `node` is the integer literal `value` (never a bool or a float)."""
    if isinstance(node, int):
        return node == value
    return isinstance(node, Const) and node.dtype.is_integer and node.value == value


def known(node: Size) -> int | None:
    """The integer that `node` is known to be, or None."""
    if isinstance(node, int):
        return node
    if isinstance(node, Const) and node.dtype.is_integer:
        return int(node.value)
    return None


def apply(op: Op, *operands: Expr) -> Expr:
    """`op` on operands: folded if all are literals and the target cannot matter."""
    rule = FOLDED.get(op)
    if rule is not None and operands[0].dtype.kind in "iux":
        folded = rule(*operands)
        if folded is not None:
            return folded
    return Apply(op, operands)


def add(a: Expr, b: Expr) -> Expr:
    return apply(ops.ADD, a, b)


def sub(a: Expr, b: Expr) -> Expr:
    return apply(ops.SUB, a, b)


def mul(a: Expr, b: Expr) -> Expr:
    return apply(ops.MUL, a, b)


def floordiv(a: Expr, b: Expr) -> Expr:
    return apply(ops.FLOORDIV, a, b)


def mod(a: Expr, b: Expr) -> Expr:
    return apply(ops.MOD, a, b)


def minimum(a: Expr, b: Expr) -> Expr:
    return apply(ops.MIN, a, b)


def maximum(a: Expr, b: Expr) -> Expr:
    return apply(ops.MAX, a, b)


def lt(a: Expr, b: Expr) -> Expr:
    return apply(ops.LT, a, b)


def ge(a: Expr, b: Expr) -> Expr:
    return apply(ops.GE, a, b)


def eq(a: Expr, b: Expr) -> Expr:
    return apply(ops.EQ, a, b)


def logical_and(a: Expr, b: Expr) -> Expr:
    if a is TRUE or b is FALSE:
        return b
    if b is TRUE or a is FALSE:
        return a
    return Apply(ops.AND, (a, b))


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    if isinstance(condition, Const):
        return yes if condition.value else no
    return yes if yes is no else Apply(ops.SELECT, (condition, yes, no))


def cast(value: Expr, dtype: DType) -> Expr:
    """`value` converted to `dtype`; the node itself if it is of that dtype already."""
    if value.dtype is dtype:
        return value
    if isinstance(value, Const):
        if not (value.dtype.is_float and dtype.is_integer):
            return const(value.value, dtype)
        return const(ops.convert(np.float64(value.value), dtype.numpy).item(), dtype)
    return Apply(ops.CAST, (value,), dtype)


def bitcast(value: Expr, dtype: DType) -> Expr:
    """The bits of `value` read as `dtype` of the same width."""
    return value if value.dtype is dtype else Apply(ops.BITCAST, (value,), dtype)


def load(source: Source, *indices: Expr) -> Load:
    return Load(source, indices)


# Sizes: ints where static, index expressions where a dimension is open.


def size_add(a: Size, b: Size) -> Size:
    return a + b if isinstance(a, int) and isinstance(b, int) else _size(add(index(a), index(b)))


def size_sub(a: Size, b: Size) -> Size:
    return a - b if isinstance(a, int) and isinstance(b, int) else _size(sub(index(a), index(b)))


def size_mul(a: Size, b: Size) -> Size:
    return a * b if isinstance(a, int) and isinstance(b, int) else _size(mul(index(a), index(b)))


def size_floordiv(a: Size, b: int) -> Size:
    return a // b if isinstance(a, int) else _size(floordiv(a, index(b)))


def product(sizes: tuple[Size, ...]) -> Size:
    result: Size = 1
    for size in sizes:
        result = size_mul(result, size)
    return result


def _size(node: Expr) -> Size:
    value = known(node)
    return node if value is None else value


# Folding of integer arithmetic.


def _literals(a: Expr, b: Expr) -> tuple[int, int] | None:
    if isinstance(a, Const) and isinstance(b, Const):
        return int(a.value), int(b.value)
    return None


def _fold_add(a: Expr, b: Expr) -> Expr | None:
    pair = _literals(a, b)
    if pair:
        return const(pair[0] + pair[1], a.dtype)
    if is_const(b, 0):
        return a
    if is_const(a, 0):
        return b
    if isinstance(a, Const):
        return apply(ops.ADD, b, a)  # literals to the right, so that they meet
    if isinstance(b, Const) and isinstance(a, Apply) and a.op is ops.ADD:
        inner = a.operands[1]
        if isinstance(inner, Const):
            return apply(ops.ADD, a.operands[0], const(inner.value + b.value, a.dtype))
    return None


def _fold_sub(a: Expr, b: Expr) -> Expr | None:
    if a is b:
        return zero(a.dtype)
    if isinstance(b, Const):
        return apply(ops.ADD, a, const(-b.value, a.dtype))
    return None


def _fold_mul(a: Expr, b: Expr) -> Expr | None:
    pair = _literals(a, b)
    if pair:
        return const(pair[0] * pair[1], a.dtype)
    if is_const(b, 1) or is_const(a, 0):
        return a
    if is_const(a, 1) or is_const(b, 0):
        return b
    if isinstance(a, Const):
        return apply(ops.MUL, b, a)
    if isinstance(b, Const) and isinstance(a, Apply) and a.op is ops.MUL:
        inner = a.operands[1]
        if isinstance(inner, Const):
            return apply(ops.MUL, a.operands[0], const(inner.value * b.value, a.dtype))
    return None


def _fold_floordiv(a: Expr, b: Expr) -> Expr | None:
    pair = _literals(a, b)
    if pair:
        return const(pair[0] // pair[1] if pair[1] else 0, a.dtype)
    return a if is_const(b, 1) else None


def _fold_mod(a: Expr, b: Expr) -> Expr | None:
    pair = _literals(a, b)
    if pair:
        return const(pair[0] % pair[1] if pair[1] else 0, a.dtype)
    return zero(a.dtype) if is_const(b, 1) else None


def _fold_min(a: Expr, b: Expr) -> Expr | None:
    pair = _literals(a, b)
    return const(min(pair), a.dtype) if pair else (a if a is b else None)


def _fold_max(a: Expr, b: Expr) -> Expr | None:
    pair = _literals(a, b)
    return const(max(pair), a.dtype) if pair else (a if a is b else None)


def _fold_compare(op: Op) -> Fold:
    def fold(a: Expr, b: Expr) -> Expr | None:
        pair = _literals(a, b)
        return const(bool(op.reference(*pair)), BOOL) if pair else None

    return fold


FOLDED: dict[Op, Fold] = {
    ops.ADD: _fold_add,
    ops.SUB: _fold_sub,
    ops.MUL: _fold_mul,
    ops.FLOORDIV: _fold_floordiv,
    ops.MOD: _fold_mod,
    ops.MIN: _fold_min,
    ops.MAX: _fold_max,
    **{op: _fold_compare(op) for op in ops.COMPARISONS},
}
