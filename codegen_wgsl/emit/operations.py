"""How each legal operation is spelled in WGSL: one row per operation.

A row takes the dtype of the operands and of the result, the number of lanes and the operands' texts
(each a name, a literal or in brackets) and returns an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codegen_wgsl.emit.types import value
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, F16, F32, I32, INDEX, U32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.ops import Op

_INFIX = {
    ops.ADD: "+",
    ops.SUB: "-",
    ops.MUL: "*",
    ops.DIV: "/",
    ops.QUO: "/",
    ops.REM: "%",
    ops.EQ: "==",
    ops.NE: "!=",
    ops.LT: "<",
    ops.LE: "<=",
    ops.GT: ">",
    ops.GE: ">=",
    ops.AND: "&",
    ops.OR: "|",
    ops.XOR: "^",
}
_CALL = {
    ops.ABS: "abs",
    ops.MIN: "min",
    ops.MAX: "max",
    ops.FLOOR: "floor",
    ops.CEIL: "ceil",
    ops.TRUNC: "trunc",
    ops.RINT: "round",  # WGSL rounds halves to even
    ops.SQRT: "sqrt",
    ops.POPCOUNT: "countOneBits",
    ops.MAD: "fma",
    ops.NATIVE_EXP: "exp",
    ops.NATIVE_EXP2: "exp2",
    ops.NATIVE_LOG: "log",
    ops.NATIVE_LOG2: "log2",
    ops.NATIVE_SIN: "sin",
    ops.NATIVE_COS: "cos",
    ops.NATIVE_RSQRT: "inverseSqrt",
    ops.NATIVE_MIN: "min",
    ops.NATIVE_MAX: "max",
}
_PACK = "pack2x16float(vec2<f32>({}, 0.0f))"
_UNPACK = "unpack2x16float({}).x"
_SHIFT = {ops.SHL_RAW: "<<", ops.SHR_RAW: ">>"}
LEGAL = frozenset({*_INFIX, *_CALL, *_SHIFT, ops.NEG, ops.NOT, ops.SELECT, ops.CAST, ops.BITCAST})
VALUES = frozenset({BOOL, I32, U32, F32, INDEX})

Spell = Callable[[str], str]


def operation(op: Op, result: DType, dtype: DType, lanes: int, operands: Sequence[str]) -> str:
    """The expression for `op` on operands of `dtype` (of `select`, the last operand's)."""
    if op in _INFIX:
        if dtype is BOOL and op is ops.XOR:
            return f"{operands[0]} != {operands[1]}"
        return f"{operands[0]} {_INFIX[op]} {operands[1]}"
    if op in _CALL:
        return f"{_CALL[op]}({', '.join(operands)})"
    if op in _SHIFT:
        return f"{operands[0]} {_SHIFT[op]} {_shift_amount(dtype, lanes, operands[1])}"
    match op:
        case ops.NEG:
            return f"{value(U32, lanes)}(0u) - {operands[0]}" if dtype is U32 else f"-{operands[0]}"
        case ops.NOT:
            return f"!{operands[0]}" if dtype is BOOL else f"~{operands[0]}"
        case ops.SELECT:
            return f"select({operands[2]}, {operands[1]}, {operands[0]})"
        case ops.CAST:
            return f"{value(result, lanes)}({operands[0]})"
        case ops.BITCAST:
            if F16 in (dtype, result):
                return _half_bitcast(dtype, lanes, operands[0])
            return f"bitcast<{value(result, lanes)}>({operands[0]})"
    raise IRError(f"{op.name} on {dtype} is not legal in WGSL")


def _shift_amount(dtype: DType, lanes: int, amount: str) -> str:
    """Amounts are unsigned in WGSL, whatever is shifted."""
    if dtype is U32:
        return amount
    if amount.isdigit():
        return f"{amount}u"
    return f"{value(U32, lanes)}({amount})"


def is_call(op: Op, dtype: DType) -> bool:
    """Whether the spelling needs no brackets inside of another expression."""
    if op in _CALL or op is ops.SELECT:
        return True
    return op in (ops.CAST, ops.BITCAST)


def packed_half(op: Op, result: DType, lanes: int, operand: str) -> str:
    """A conversion from or to float16 where that is no type: it is the low half of a ``u32``."""
    if op is ops.BITCAST:
        return operand
    if result is F16:
        return _lanewise(lanes, operand, _PACK.format, U32)
    return _lanewise(lanes, operand, _UNPACK.format, F32)


def _half_bitcast(source: DType, lanes: int, operand: str) -> str:
    """Between a float16 and the low half of a ``u32``; naga has no `bitcast` of two of them."""
    if source is F16:
        return _lanewise(lanes, operand, lambda x: _PACK.format(f"f32({x})"), U32)
    return _lanewise(lanes, operand, lambda x: f"f16({_UNPACK.format(x)})", F16)


def _lanewise(lanes: int, operand: str, spell: Spell, result: DType) -> str:
    """Functions that WGSL has for scalars only."""
    if lanes == 1:
        return spell(operand)
    parts = ", ".join(spell(f"{operand}.{'xyzw'[k]}") for k in range(lanes))
    return f"{value(result, lanes)}({parts})"
