"""Emitting operations and constants: their operands' values -> LLVM values."""

from __future__ import annotations

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.types import Types, literal
from tilewright.codegen_cpu.emit.whole_registers import WHOLE_REGISTER_OPS, WholeRegisters
from tilewright.ir import ops
from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.emit.environment import Environment, Lanes, Value
from tilewright.ir.emit.expressions import ExpressionEmitter
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const
from tilewright.ir.legal.integers import legal_size


class ValueEmitter(ExpressionEmitter[FunctionText]):
    """Evaluates expressions into one function; memory and registers are left to subclasses."""

    def __init__(self, function: FunctionText, types: Types, spelling: Spelling) -> None:
        super().__init__(function, Environment(legal_size))
        self.types = types
        self.spelling = spelling
        self._whole_registers = WholeRegisters(function, types, spelling)

    def literal(self, node: Const) -> str:
        return literal(node.value, node.dtype)

    def lane_numbers(self, lanes: Lanes) -> str:
        items = (f"{self.types.index} {lanes.start + k}" for k in range(lanes.count))
        return f"<{', '.join(items)}>"

    def splat(self, value: Value, dtype: DType, lanes: int) -> str:
        """The text of `value` with as many lanes as asked."""
        if value.lanes == lanes:
            return value.text
        if value.lanes != 1:
            raise IRError(f"a value of {value.lanes} lanes is used with {lanes} lanes")
        kind = self.types.scalar(dtype)
        if not value.text.startswith("%"):
            return f"splat ({kind} {value.text})"
        wide = self.types.value(dtype, lanes)
        one = self.function.once(
            ("insert", value.text, lanes),
            f"insertelement {wide} poison, {kind} {value.text}, i64 0",
            value.depth,
        )
        return self.function.once(
            ("splat", value.text, lanes),
            f"shufflevector {wide} {one}, {wide} poison, <{lanes} x i32> zeroinitializer",
            value.depth,
        )

    # Operations.

    def apply(self, node: Apply, values: list[Value]) -> Value:
        dtype = node.operands[-1].dtype
        lanes = max(v.lanes for v in values)
        depth = max(self.depth_of(node), *(v.depth for v in values))
        texts = [self.splat(v, o.dtype, lanes) for v, o in zip(values, node.operands, strict=True)]
        if node.op is ops.SELECT:
            right = self._select(node.dtype, lanes, texts)
        elif node.op in WHOLE_REGISTER_OPS:
            return Value(self._whole_registers.emit(node, texts, lanes, depth), lanes, depth)
        elif node.op is ops.CAST and lanes > 1 and _is_float_to_integer(dtype, node.dtype):
            from tilewright.codegen_cpu.emit.conversions import FloatToInteger

            cast = FloatToInteger(self.function, self.types, dtype, node.dtype, lanes, depth)
            return Value(cast.convert(texts[0]), lanes, depth)
        else:
            right = self.spelling.operation(node.op, node.dtype, dtype, lanes, texts)
        return Value(self.function.assign(right, depth), lanes, depth)

    def _select(self, dtype: DType, lanes: int, texts: list[str]) -> str:
        condition = self.types.value(BOOL, lanes)
        kind = self.types.value(dtype, lanes)
        return f"select {condition} {texts[0]}, {kind} {texts[1]}, {kind} {texts[2]}"


def _is_float_to_integer(source: DType, target: DType) -> bool:
    return source.kind == "f" and source.bits >= 32 and target.kind in "iu"
