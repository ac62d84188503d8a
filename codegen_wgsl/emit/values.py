"""Emitting expressions: an `Expr` under the current bindings of variables -> a `Value`.

An expression that is used once becomes part of the expression that uses it; others are named and
remembered. The key of a remembered value is the node together with whatever changes between
evaluations of it: the bindings of expanded loop variables, and versions of the storage it reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tilewright.codegen_wgsl.emit import types
from tilewright.codegen_wgsl.emit.environment import Environment, Facts, Lanes, Value
from tilewright.codegen_wgsl.emit.operations import is_call, operation
from tilewright.codegen_wgsl.emit.scopes import Scopes
from tilewright.ir import ops
from tilewright.ir.dtypes import F16, INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var

_DEEPEST = 6
_LONGEST = 88
_FOLDED = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.NEG)


class ValueEmitter:
    """Evaluates expressions into the current scope; loads are left to a subclass."""

    def __init__(self, environment: Environment) -> None:
        self.scopes = Scopes()
        self.environment = environment
        self.opaque: dict[int, str] = {}
        self._volatile: dict[Hashable, Value] = {}

    def begin_statement(self) -> None:
        """Registers may have changed: forget what was read from them."""
        self._volatile.clear()

    def evaluate(self, root: Expr) -> Value:
        """The value of `root` here. Iterative: chains are deep."""
        stack = [root]
        while stack:
            node = stack[-1]
            if self.find(node) is not None:
                stack.pop()
                continue
            missing = [o for o in self.needed(node) if self.find(o) is None]
            if missing:
                stack += missing
                continue
            stack.pop()
            self._remember(node, self._compute(node))
        found = self.find(root)
        assert found is not None
        return found

    def named(self, root: Expr) -> Value:
        """The value of `root` as a name or a literal."""
        return self._settle(root, self.evaluate(root))

    def needed(self, node: Expr) -> Sequence[Expr]:
        """The operands that must be values before `node` can be computed."""
        return node.operands

    # Memory of what was computed.

    def find(self, node: Expr) -> Value | None:
        """The value of `node` if it has one already."""
        if isinstance(node, Const):
            return self._constant(node)
        if isinstance(node, Var):
            return self._variable(node)
        facts = self.environment.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            return self._volatile.get(key)
        for depth in range(self.scopes.depth, -1, -1):
            found = self.scopes.stack[depth].known.get(key)
            if isinstance(found, Value):
                return found
        return None

    def _remember(self, node: Expr, value: Value) -> None:
        facts = self.environment.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            self._volatile[key] = value
        else:
            self.scopes.stack[self.depth(facts)].known[key] = value

    def _key(self, node: Expr, facts: Facts) -> Hashable:
        bindings = self.environment.bindings
        expanded = tuple(b for v in facts.variables if not isinstance(b := bindings.get(v), Value))
        versions = tuple(self.environment.versions.get(r, 0) for r in facts.roots)
        return (node, expanded, versions) if expanded or versions else node

    def depth(self, facts: Facts) -> int:
        """The outermost scope in which something with these facts can be placed."""
        if facts.volatile:
            return self.scopes.depth
        depth = self.scopes.branch_depth()
        for variable in facts.variables:
            binding = self.environment.bindings.get(variable)
            if isinstance(binding, Value):
                depth = max(depth, binding.depth)
        for root in facts.roots:
            depth = max(depth, self.scopes.load_depth(id(root)))
        return depth

    def _settle(self, node: Expr, value: Value) -> Value:
        """Name a value that was waiting to be used."""
        if not value.pending:
            return value
        named = Value(self.scopes.let(value.text, value.depth), value.lanes, value.depth)
        self._remember(node, named)
        return named

    # Leaves.

    def _constant(self, node: Const) -> Value:
        if not types.is_literal(node.value, node.dtype):
            return Value(f"bitcast<f32>({self._opaque(types.bits(float(node.value)))})", 1, 0)
        known = int(node.value) if node.dtype is INDEX else None
        return Value(types.literal(node.value, node.dtype), 1, 0, known)

    def _opaque(self, bits: int) -> str:
        """A variable that holds `bits`: what it yields is no constant expression, where NaN and
        infinities would be errors."""
        return self.opaque.setdefault(bits, f"k{len(self.opaque)}")

    def _variable(self, node: Var) -> Value:
        binding = self.environment.bindings.get(node)
        match binding:
            case Value():
                return binding
            case int():
                return Value(str(binding), 1, 0, binding)
            case Lanes(start, 1):
                return Value(str(start), 1, 0, start)
            case Lanes(start, count):
                items = ", ".join(str(start + k) for k in range(count))
                return Value(f"vec{count}<i32>({items})", count, 0)
            case _:
                raise IRError(f"variable {node.name} is not bound here")

    # Computing.

    def _compute(self, node: Expr) -> Value:
        match node:
            case Apply():
                return self._apply(node)
            case Load():
                return self.load(node)
            case _:
                raise IRError(f"{type(node).__name__} cannot be emitted in WGSL")

    def load(self, node: Load) -> Value:
        raise NotImplementedError

    def _apply(self, node: Apply) -> Value:
        values = [self._operand(o) for o in node.operands]
        dtype = node.operands[-1].dtype
        folded = _fold(node, values)
        if folded is not None:
            return Value(str(folded), 1, 0, folded)
        if node.op is ops.ADD and node.dtype is INDEX:
            for one, other in (values, values[::-1]):
                if one.known == 0:
                    return other
        depth = self.depth(self.environment.facts(node))
        lanes = max(v.lanes for v in values)
        by_lane = lanes > 1 and F16 in (dtype, node.dtype)
        nesting = 0
        texts: list[str] = []
        for operand, value in zip(node.operands, values, strict=True):
            if value.pending and (value.depth < depth or by_lane):
                value = self._settle(operand, value)
            nesting = max(nesting, value.nesting + 1 if value.pending else 0)
            texts.append(self._operand_text(node, operand, value, lanes))
        if node.op is ops.CAST and _is_same(dtype, node.dtype):
            return Value(texts[0], lanes, depth)
        right = operation(node.op, node.dtype, dtype, lanes, texts)
        return self.place(node, right, lanes, depth, nesting)

    def place(self, node: Expr, right: str, lanes: int, depth: int, nesting: int = 0) -> Value:
        """A computed expression: left waiting for its only user, or named."""
        once = self.environment.uses.get(node, 2) == 1
        if once and nesting < _DEEPEST and len(right) < _LONGEST:
            return Value(right, lanes, depth, None, True, nesting)
        return Value(self.scopes.let(right, depth), lanes, depth)

    def _operand(self, node: Expr) -> Value:
        value = self.find(node)
        assert value is not None
        return value

    def _operand_text(self, user: Apply, node: Expr, value: Value, lanes: int) -> str:
        text = value.text
        if value.lanes < lanes:
            kind = types.value(node.dtype, lanes)
            return f"{kind}({text})"
        if value.pending:
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


def _is_same(a: DType, b: DType) -> bool:
    """Whether both are one type in WGSL."""
    return F16 not in (a, b) and types.scalar(a) == types.scalar(b)


def _fold(node: Apply, values: list[Value]) -> int | None:
    """Index arithmetic on the literals that unrolled loops make."""
    if node.dtype is not INDEX or any(v.known is None for v in values):
        return None
    known = [v.known for v in values if v.known is not None]
    if node.op in (ops.QUO, ops.FLOORDIV):
        return known[0] // known[1] if known[1] else 0
    if node.op in (ops.REM, ops.MOD):
        return known[0] % known[1] if known[1] else 0
    return int(node.op.reference(*known)) if node.op in _FOLDED else None
