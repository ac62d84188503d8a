"""Emitting operations and constants: their operands' values -> the text of expressions."""

from __future__ import annotations

from tilewright.codegen_glsl.emit.function import FunctionText
from tilewright.codegen_glsl.emit.operations import spell
from tilewright.codegen_glsl.emit.textures import Samplers
from tilewright.codegen_glsl.emit.types import COMPONENTS, literal, type_name
from tilewright.ir.emit.environment import Environment, Lanes, Value
from tilewright.ir.emit.expressions import ExpressionEmitter
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.ops import Op

LANES = len(COMPONENTS)


class ValueEmitter(ExpressionEmitter[FunctionText]):
    """Evaluates expressions into one function; loads and registers are left to subclasses."""

    def __init__(self, samplers: Samplers) -> None:
        super().__init__(FunctionText(), Environment())
        self.samplers = samplers
        self.helpers: dict[Op, None] = {}

    def evaluate_lanes(self, node: Expr) -> str:
        """The text of `node` as a vector."""
        value = self.evaluate(node)
        if value.lanes == LANES:
            return value.text
        return f"{type_name(node.dtype, LANES)}({value.text})"

    def literal(self, node: Const) -> str:
        return literal(node.value, node.dtype)

    def lane_numbers(self, lanes: Lanes) -> str:
        items = ", ".join(str(lanes.start + k) for k in range(lanes.count))
        return f"ivec{lanes.count}({items})"

    def apply(self, node: Apply, values: list[Value]) -> Value:
        lanes = max(v.lanes for v in values)
        dtypes = [o.dtype for o in node.operands]
        self.helpers[node.op] = None
        right = spell(
            node.op, node.dtype, dtypes, lanes, [v.text for v in values], [v.lanes for v in values]
        )
        return self.assign(type_name(node.dtype, lanes), right, lanes, self.depth_of(node))

    def assign(self, kind: str, right: str, lanes: int, depth: int) -> Value:
        """A value that is written down under a name."""
        return Value(self.function.assign(kind, right, depth), lanes, depth)
