"""Emitting expressions: an `Expr` under the current bindings of variables -> a `Value`.

Evaluation is lazy and remembers what it placed. The key of a remembered value is the node together
with whatever changes between evaluations of it: the bindings of loops that are written out, and
the versions of the storage that it reads. What is read from registers is remembered only until the
end of the statement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from tilewright.ir import ops
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.analysis.lane_literals import lane_literals
from tilewright.ir.dtypes import INDEX
from tilewright.ir.emit.environment import Environment, Facts, Lanes, Value, buffer_of
from tilewright.ir.emit.scopes import Scopes
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var
from tilewright.ir.ops import Op

F = TypeVar("F", bound=Scopes[Any])


class Offset(Struct):
    """``constant + step * lane + sum(factor * value)``; the `vectors` have a value per lane."""

    constant: int
    step: int = 0
    lanes: int = 1
    scalars: list[tuple[Value, int]] = field(default_factory=list)
    vectors: list[tuple[Value, int]] = field(default_factory=list)


class ExpressionEmitter(ABC, Generic[F]):
    """Evaluates expressions into `function`, which is the text of the target's kind."""

    def __init__(self, function: F, environment: Environment) -> None:
        self.function = function
        self.environment = environment
        self._volatile: dict[Hashable, Value] = {}
        self._literals: dict[Const, Value] = {}

    # What a target spells.

    @abstractmethod
    def literal(self, node: Const) -> str:
        """A constant."""

    @abstractmethod
    def lane_numbers(self, lanes: Lanes) -> str:
        """The vector of the numbers of several iterations."""

    @abstractmethod
    def apply(self, node: Apply, values: list[Value]) -> Value:
        """An operation on operands that have these values."""

    @abstractmethod
    def load(self, node: Load) -> Value:
        """An element, or one for each lane."""

    def lane_reduce(self, node: LaneReduce) -> Value:
        """The lanes of a register combined into one value."""
        raise IRError("a reduction over lanes cannot be emitted here")

    def likely(self, node: Apply) -> Value:
        """A choice whose last operand is computed only where it is needed."""
        raise IRError(f"{node.op.name} cannot be emitted here")

    # The walk.

    def begin_statement(self) -> None:
        """Forget what was read from registers: a store may have changed it."""
        self._volatile.clear()

    def evaluate(self, root: Expr) -> Value:
        """The value of `root`, emitting what is not known yet. Iterative: expressions are deep."""
        at_once = self.find(root)
        if at_once is not None:
            return at_once
        known: dict[Expr, Value] = {}
        waiting: set[Expr] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node in known:
                continue
            if node not in waiting:
                found = self.find(node)
                if found is not None:
                    known[node] = found
                    continue
                missing = [o for o in self._needed(node) if o not in known]
                if missing:
                    waiting.add(node)
                    stack.append(node)
                    stack.extend(reversed(missing))
                    continue
            value = known[node] = self._compute(node, known)
            self.remember(node, value)
        return known[root]

    def named(self, root: Expr) -> Value:
        """The value of `root`, as something that may be written more than once."""
        return self.evaluate(root)

    def resolve(self, form: Linear) -> Offset:
        """The terms of an offset under the current bindings."""
        result = Offset(form.constant)
        for atom, factor in form.terms.items():
            binding = self.environment.bindings.get(atom)
            if isinstance(binding, Lanes):
                result.constant += factor * binding.start
                result.step += factor
                result.lanes = binding.count
                continue
            value = self.named(atom)
            if value.known is not None:
                result.constant += factor * value.known
            elif value.lanes == 1:
                result.scalars.append((value, factor))
            else:
                result.vectors.append((value, factor))
        if result.vectors:
            result.lanes = result.vectors[0][0].lanes
        elif result.lanes == 1 or result.step == 0:
            result.step, result.lanes = 0, 1
        return result

    def by_lane(self, form: Linear) -> tuple[Linear, tuple[int, ...]]:
        """The form without the terms of which the value in each lane is known, and their sum in
        each lane (one number if it is the same in all); no values if there are no such terms."""
        sums: list[int] = []
        rest: dict[Expr, int] = {}
        lanes: dict[Var, Sequence[int]] | None = None
        for atom, factor in form.terms.items():
            if isinstance(atom, Var):
                rest[atom] = factor
                continue
            lanes = self._written_out() if lanes is None else lanes
            each = lane_literals(atom, lanes)
            if each is None:
                rest[atom] = factor
                continue
            old, count = sums or [0], max(len(sums), len(each))
            sums = [old[k % len(old)] + factor * each[k % len(each)] for k in range(count)]
        return Linear(rest, form.constant), tuple(sums)

    def _written_out(self) -> dict[Var, Sequence[int]]:
        """The variables of loops that are written out, and their values in the lanes of now."""
        found: dict[Var, Sequence[int]] = {}
        for variable, binding in self.environment.bindings.items():
            if isinstance(variable, Var) and isinstance(binding, Lanes):
                found[variable] = range(binding.start, binding.start + binding.count)
            elif isinstance(variable, Var) and isinstance(binding, int):
                found[variable] = (binding,)
        return found

    def _needed(self, node: Expr) -> Sequence[Expr]:
        """The operands that must be values before `node` can be computed."""
        match node:
            case Load():
                buffer = buffer_of(node)
                if buffer.space == "register":
                    return ()
                return tuple(self.environment.offset(buffer, node.indices).terms)
            case LaneReduce():
                return ()
            case Apply() if node.op is ops.LIKELY:
                return node.operands[:2]
            case _:
                return node.operands

    def _compute(self, node: Expr, known: Mapping[Expr, Value]) -> Value:
        """The value of a node whose operands are `known`."""
        match node:
            case Apply() if node.op is ops.LIKELY:
                return self.likely(node)
            case Apply():
                values = [known[o] for o in node.operands]
                return _simplified(node, values) or self.apply(node, values)
            case Load():
                return self.load(node)
            case LaneReduce():
                return self.lane_reduce(node)
            case _:
                raise IRError(f"{type(node).__name__} cannot be emitted")

    # Remembering.

    def find(self, node: Expr) -> Value | None:
        """The value of `node`, if it has one already."""
        if isinstance(node, Const):
            return self._constant(node)
        if isinstance(node, Var):
            return self._variable(node)
        facts = self.environment.facts(node)
        key = self._key(node, facts)
        return self._volatile.get(key) if facts.volatile else self.function.find(key)

    def remember(self, node: Expr, value: Value) -> None:
        """Let `value` be that of `node`, where its operands are what they are now."""
        facts = self.environment.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            self._volatile[key] = value
        else:
            depth = max(self._depth(facts), value.depth)
            self.function.stack[depth].values[key] = value

    def depth_of(self, node: Expr) -> int:
        """The outermost scope in which `node` can be placed."""
        return self._depth(self.environment.facts(node))

    def _depth(self, facts: Facts) -> int:
        function = self.function
        if facts.volatile or facts.pinned:
            return function.depth
        depth = function.floor
        for variable in facts.variables:
            binding = self.environment.bindings.get(variable)
            if isinstance(binding, Value) and binding.depth > depth:
                depth = binding.depth
        for root in facts.roots:
            depth = max(depth, function.load_floor(root))
        return function.into_lazy(depth)

    def _key(self, node: Expr, facts: Facts) -> Hashable:
        bindings = self.environment.bindings
        bound = [bindings.get(v) for v in facts.variables]
        expanded = tuple([b for b in bound if not isinstance(b, Value)])
        changed = self.environment.versions
        versions = tuple([changed.get(r, 0) for r in facts.roots])
        return (node, expanded, versions) if expanded or versions else node

    # Leaves.

    def _constant(self, node: Const) -> Value:
        found = self._literals.get(node)
        if found is None:
            known = int(node.value) if node.dtype is INDEX else None
            found = self._literals[node] = Value(self.literal(node), 1, 0, known)
        return found

    def _variable(self, node: Var) -> Value:
        binding = self.environment.bindings.get(node)
        match binding:
            case Value():
                return binding
            case int():
                return Value(str(binding), 1, 0, binding)
            case Lanes(start, 1):
                return Value(str(start), 1, 0, start)
            case Lanes():
                return Value(self.lane_numbers(binding), binding.count, 0)
            case _:
                raise IRError(f"variable {node.name} is not bound here")


_DIVISIONS = (ops.QUO, ops.FLOORDIV, ops.REM, ops.MOD)
_FOLDED = (
    *(ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.NEG, ops.AND, ops.SHR_RAW),
    *_DIVISIONS,
)


def _simplified(node: Apply, values: list[Value]) -> Value | None:
    """Index arithmetic on the literals that loops leave when they are written out."""
    if node.dtype is not INDEX:
        return None
    folded = _folded(node.op, [value.known for value in values])
    if folded is not None:
        return Value(str(folded), 1, 0, folded)
    if node.op is ops.ADD:
        for one, other in (values, values[::-1]):
            if one.known == 0:
                return other
    return None


def _folded(op: Op, operands: list[int | None]) -> int | None:
    known = [k for k in operands if k is not None]
    if op not in _FOLDED or len(known) < len(operands):
        return None
    if op in _DIVISIONS and known[1] == 0:
        return 0
    return int(op.reference(*known))
