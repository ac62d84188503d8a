"""Emitting expressions: an `Expr` under the current bindings of variables -> a `Value`.

Values are remembered under the node and the iterations of expanded loops that it depends on. What
is read from registers is remembered only until the end of the statement.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tilewright.codegen_glsl.emit.block import FunctionText, Value
from tilewright.codegen_glsl.emit.operations import spell
from tilewright.codegen_glsl.emit.textures import Samplers
from tilewright.codegen_glsl.emit.types import COMPONENTS, literal, type_name
from tilewright.ir import ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.ops import Op

LANES = len(COMPONENTS)


class Lanes:
    """The binding of the vector loop's variable: iteration k is component k."""


ALL_LANES = Lanes()
Binding = Value | Lanes | int


@dataclass(frozen=True, slots=True)
class Facts:
    """What an expression depends on: variables, and whether it reads registers."""

    variables: tuple[Var, ...]
    volatile: bool


class ValueEmitter:
    """Evaluates expressions into one function; loads and registers are left to subclasses."""

    def __init__(self, samplers: Samplers) -> None:
        self.function = FunctionText()
        self.samplers = samplers
        self.bindings: dict[Var, Binding] = {}
        self.helpers: dict[Op, None] = {}
        self._facts: dict[Expr, Facts] = {}
        self._volatile: dict[Hashable, Value] = {}

    def begin_statement(self) -> None:
        """Forget what was read from registers: a store may have changed it."""
        self._volatile.clear()

    def evaluate(self, root: Expr) -> Value:
        """The value of `root`, writing what is not known yet. Iterative: expressions are deep."""
        stack = [root]
        while stack:
            node = stack[-1]
            if self.find(node) is not None:
                stack.pop()
                continue
            missing = [o for o in self.needed(node) if self.find(o) is None]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self._remember(node, self._compute(node))
        value = self.find(root)
        assert value is not None
        return value

    def evaluate_lanes(self, node: Expr) -> str:
        """The text of `node` as a vector."""
        value = self.evaluate(node)
        if value.lanes == LANES:
            return value.text
        return f"{type_name(node.dtype, LANES)}({value.text})"

    # Remembering.

    def find(self, node: Expr) -> Value | None:
        if isinstance(node, Const):
            known = int(node.value) if node.dtype is INDEX else None
            return Value(literal(node.value, node.dtype), 1, 0, known)
        if isinstance(node, Var):
            return self._variable(node)
        facts = self.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            return self._volatile.get(key)
        return self.function.blocks[self.depth(facts)].values.get(key)

    def _remember(self, node: Expr, value: Value) -> None:
        facts = self.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            self._volatile[key] = value
        else:
            self.function.blocks[self.depth(facts)].values[key] = value

    def _key(self, node: Expr, facts: Facts) -> Hashable:
        expanded = tuple(b for v in facts.variables if isinstance(b := self.bindings.get(v), int))
        return (node, expanded) if expanded else node

    def facts(self, node: Expr) -> Facts:
        found = self._facts.get(node)
        if found is None:
            for inner in post_order((node,)):
                if inner not in self._facts:
                    self._facts[inner] = self._combine(inner)
            found = self._facts[node]
        return found

    def _combine(self, node: Expr) -> Facts:
        if isinstance(node, Var):
            return Facts((node,), False)
        parts = [self._facts[o] for o in node.operands]
        variables = tuple(dict.fromkeys(v for p in parts for v in p.variables))
        volatile = any(p.volatile for p in parts)
        if isinstance(node, Load) and isinstance(node.source, Buffer):
            volatile = volatile or node.source.space == "register"
        return Facts(variables, volatile)

    def depth(self, facts: Facts) -> int:
        """The outermost block in which something with these facts can stand."""
        if facts.volatile:
            return self.function.depth
        depths = (
            binding.depth
            for variable in facts.variables
            if isinstance(binding := self.bindings.get(variable), Value)
        )
        return max(depths, default=0)

    def _variable(self, node: Var) -> Value:
        binding = self.bindings.get(node)
        match binding:
            case Value():
                return binding
            case int():
                return Value(str(binding), 1, 0, binding)
            case Lanes():
                return Value("ivec4(0, 1, 2, 3)", LANES, 0)
            case _:
                raise IRError(f"variable {node.name} is not bound here")

    # Computing.

    def needed(self, node: Expr) -> Sequence[Expr]:
        """The operands that must be values before `node` can be computed."""
        return node.operands

    def _compute(self, node: Expr) -> Value:
        match node:
            case Apply():
                return self._apply(node)
            case Load():
                return self.load(node)
            case _:
                raise IRError(f"{type(node).__name__} cannot be emitted")

    def _apply(self, node: Apply) -> Value:
        values = [v for o in node.operands if (v := self.find(o)) is not None]
        if node.dtype is INDEX:
            folded = _fold_index(node.op, [v.known for v in values])
            if folded is not None:
                return Value(str(folded), 1, 0, folded)
        lanes = max(v.lanes for v in values)
        dtypes = [o.dtype for o in node.operands]
        self.helpers[node.op] = None
        right = spell(
            node.op, node.dtype, dtypes, lanes, [v.text for v in values], [v.lanes for v in values]
        )
        return self.named(type_name(node.dtype, lanes), right, lanes, self.depth(self.facts(node)))

    def named(self, kind: str, right: str, lanes: int, depth: int) -> Value:
        """A value that is written down under a name."""
        return Value(self.function.assign(kind, right, depth), lanes, depth)

    def load(self, node: Load) -> Value:
        raise NotImplementedError


_FOLDED = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.NEG)


def _fold_index(op: Op, known: list[int | None]) -> int | None:
    """The index that an operation on literals gives."""
    values = [k for k in known if k is not None]
    if len(values) < len(known):
        return None
    if op in (ops.QUO, ops.REM):
        a, b = values
        return 0 if b == 0 else a // b if op is ops.QUO else a % b
    return int(op.reference(*values)) if op in _FOLDED else None
