"""Emitting operations and constants: their operands' values -> the text of expressions.

An expression that is used once becomes part of the expression that uses it; others are named.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.codegen_wgsl.emit import types
from tilewright.codegen_wgsl.emit.function import FunctionText
from tilewright.codegen_wgsl.emit.operations import is_call, operation, packed_half
from tilewright.codegen_wgsl.emit.uses import CountingEnvironment
from tilewright.ir import ops
from tilewright.ir.dtypes import F16, U32, DType
from tilewright.ir.emit.environment import Lanes, Value
from tilewright.ir.emit.expressions import ExpressionEmitter
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load

_DEEPEST = 6
_LONGEST = 88


class Pending(Value, frozen=True):
    """Text that is to be used once, inside of another expression."""

    nesting: int = 0


class ValueEmitter(ExpressionEmitter[FunctionText]):
    """Evaluates expressions into the current scope; loads are left to a subclass. `native_half`:
    float16 is a type, and not the low half of a ``u32``."""

    native_half = False

    def __init__(self, environment: CountingEnvironment) -> None:
        super().__init__(FunctionText(), environment)
        self.uses = environment.uses
        self.opaque: dict[int, str] = {}

    def named(self, root: Expr) -> Value:
        return self._settle(root, self.evaluate(root))

    def _settle(self, node: Expr, value: Value) -> Value:
        """Name a value that was waiting to be used."""
        if not isinstance(value, Pending):
            return value
        named = Value(self.function.let(value.text, value.depth), value.lanes, value.depth)
        self.remember(node, named)
        return named

    def literal(self, node: Const) -> str:
        if types.is_literal(node.value, node.dtype):
            return types.literal(node.value, node.dtype)
        text = f"bitcast<f32>({self._opaque(types.bits(float(node.value)))})"
        return f"f16({text})" if node.dtype is F16 else text

    def _opaque(self, bits: int) -> str:
        """A variable that holds `bits`: what it yields is no constant expression, where NaN and
        infinities would be errors."""
        return self.opaque.setdefault(bits, f"k{len(self.opaque)}")

    def lane_numbers(self, lanes: Lanes) -> str:
        items = ", ".join(str(lanes.start + k) for k in range(lanes.count))
        return f"vec{lanes.count}<i32>({items})"

    # Operations.

    def apply(self, node: Apply, values: list[Value]) -> Value:
        dtype = node.operands[-1].dtype
        depth = self.depth_of(node)
        lanes = max(v.lanes for v in values)
        packed = F16 in (dtype, node.dtype) and not self.native_half
        by_lane = lanes > 1 and (packed or _is_half_bitcast(node))
        nesting = 0
        texts: list[str] = []
        for operand, value in zip(node.operands, values, strict=True):
            if value.depth < depth or by_lane:
                value = self._settle(operand, value)
            if isinstance(value, Pending):
                nesting = max(nesting, value.nesting + 1)
            texts.append(self._operand_text(node, operand, value, lanes))
        if node.op is ops.CAST and _is_same(dtype, node.dtype):
            return self._unchanged(node, values[0])
        if packed:
            right = packed_half(node.op, node.dtype, lanes, texts[0])
        else:
            right = operation(node.op, node.dtype, dtype, lanes, texts)
        return self.place(node, right, lanes, depth, nesting)

    def _unchanged(self, cast: Apply, value: Value) -> Value:
        """A cast that is none in WGSL. Its users take it for a call, which needs no brackets."""
        if self.uses.get(cast, 2) != 1:
            return self._settle(cast.operands[0], value)
        return replace(value, text=f"({value.text})") if isinstance(value, Pending) else value

    def place(self, node: Expr, right: str, lanes: int, depth: int, nesting: int = 0) -> Value:
        """A computed expression: left waiting for its only user, or named."""
        once = self.uses.get(node, 2) == 1
        if once and nesting < _DEEPEST and len(right) < _LONGEST:
            return Pending(right, lanes, depth, nesting=nesting)
        return Value(self.function.let(right, depth), lanes, depth)

    def _operand_text(self, user: Apply, node: Expr, value: Value, lanes: int) -> str:
        text = value.text
        if value.lanes < lanes:
            packed = node.dtype is F16 and not self.native_half
            kind = types.value(U32 if packed else node.dtype, lanes)
            return f"{kind}({text})"
        if isinstance(value, Pending):
            inner_call = isinstance(node, Load) or (
                isinstance(node, Apply) and is_call(node.op, node.dtype)
            )
            alone = is_call(user.op, user.dtype)
            return text if inner_call or alone else f"({text})"
        return f"({text})" if text.startswith("-") and not is_call(user.op, user.dtype) else text

    def splat(self, value: Value, dtype: DType, lanes: int) -> str:
        """The text of `value` as `lanes` values."""
        if value.lanes == lanes:
            return value.text
        if value.lanes != 1:
            raise IRError(f"{value.lanes} lanes are stored to {lanes}")
        return f"{types.value(dtype, lanes)}({value.text})"


def _is_half_bitcast(node: Apply) -> bool:
    return node.op is ops.BITCAST and F16 in (node.dtype, node.operands[0].dtype)


def _is_same(a: DType, b: DType) -> bool:
    """Whether both are one type in WGSL."""
    return F16 not in (a, b) and types.scalar(a) == types.scalar(b)
