"""Emitting expressions: an `Expr` under the current bindings of variables -> a `Value`.

Evaluation is lazy and remembers what it placed. The key of a remembered value is the node together
with whatever changes between evaluations of it: the bindings of expanded loop variables, and the
versions of the storage that it reads.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.types import Types, literal
from tilewright.ir import ops
from tilewright.ir.affine import Linear, linear, offset, row_major_strides
from tilewright.ir.dtypes import BOOL, INDEX, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, LaneReduce, Load, Var, post_order
from tilewright.ir.kernel import Buffer


@dataclass(frozen=True, slots=True)
class Value:
    """A name or literal, how many lanes it has, and the outermost scope that knows it."""

    text: str
    lanes: int
    depth: int
    known: int | None = None


@dataclass(frozen=True, slots=True)
class Lanes:
    """Binding of a vector loop's variable: `count` consecutive iterations from `start`."""

    start: int
    count: int


Binding = Value | Lanes | int


@dataclass(frozen=True, slots=True)
class Facts:
    """What an expression depends on.

    `volatile`: it reads registers, whose contents change. `pinned`: it holds a branch, so that it
    cannot move to another place than where it is first needed.
    """

    variables: tuple[Var, ...]
    roots: tuple[Buffer, ...]
    volatile: bool
    pinned: bool


class Environment:
    """Bindings of variables, versions of storage, and facts about expressions."""

    def __init__(self) -> None:
        self.bindings: dict[Var, Binding] = {}
        self.versions: dict[Buffer, int] = {}
        self._facts: dict[Expr, Facts] = {}
        self._offsets: dict[tuple[Buffer, tuple[Expr, ...]], Linear] = {}

    def stored(self, root: Buffer) -> None:
        """Remember that `root` has changed."""
        self.versions[root] = self.versions.get(root, 0) + 1

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
            return Facts((node,), (), False, False)
        parts = [self._facts[o] for o in node.operands]
        variables = tuple(dict.fromkeys(v for p in parts for v in p.variables))
        roots = tuple(dict.fromkeys(r for p in parts for r in p.roots))
        volatile = any(p.volatile for p in parts)
        if isinstance(node, (Load, LaneReduce)):
            root = _buffer(node).root
            if root.space == "register":
                volatile = True
            elif root not in roots:
                roots = (*roots, root)
        pinned = any(p.pinned for p in parts) or (isinstance(node, Apply) and node.op is ops.LIKELY)
        return Facts(variables, roots, volatile, pinned)

    def offset(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Linear:
        """The element offset of an access, as a linear form."""
        key = (buffer, indices)
        found = self._offsets.get(key)
        if found is None:
            strides = buffer.strides or row_major_strides(buffer.shape)
            found = self._offsets[key] = linear(offset(indices, strides))
        return found


def _buffer(node: Load | LaneReduce) -> Buffer:
    if not isinstance(node.source, Buffer):
        raise IRError(f"{node.source.name} is read in a kernel but is not a buffer")
    return node.source


class ValueEmitter:
    """Evaluates expressions into one function; memory and registers are left to subclasses."""

    def __init__(self, function: FunctionText, types: Types, spelling: Spelling) -> None:
        self.function = function
        self.types = types
        self.spelling = spelling
        self.environment = Environment()
        self._volatile: dict[Hashable, Value] = {}

    def begin_statement(self) -> None:
        """Forget values that were read from registers: a store may have changed them."""
        self._volatile.clear()

    def evaluate(self, root: Expr) -> Value:
        """The value of `root`, emitting what is not known yet. Iterative: expressions are deep."""
        stack = [root]
        while stack:
            node = stack[-1]
            if self._find(node) is not None:
                stack.pop()
                continue
            missing = [o for o in self._needed(node) if self._find(o) is None]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self._remember(node, self._compute(node))
        value = self._find(root)
        assert value is not None
        return value

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

    # Remembering.

    def _find(self, node: Expr) -> Value | None:
        if isinstance(node, Const):
            known = int(node.value) if node.dtype is INDEX else None
            return Value(literal(node.value, node.dtype), 1, 0, known)
        if isinstance(node, Var):
            return self._variable(node)
        facts = self.environment.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            return self._volatile.get(key)
        scopes = self.function.scopes
        depth = self.depth(facts)
        least = 0 if facts.pinned else depth - 1 if scopes[depth].lazy else depth
        for scope in reversed(scopes[least : depth + 1]):
            found = scope.cache.get(key)
            if isinstance(found, Value):
                return found
        return None

    def _remember(self, node: Expr, value: Value) -> None:
        facts = self.environment.facts(node)
        key = self._key(node, facts)
        if facts.volatile:
            self._volatile[key] = value
        else:
            self.function.scopes[self.depth(facts)].cache[key] = value

    def _key(self, node: Expr, facts: Facts) -> Hashable:
        bindings = self.environment.bindings
        expanded = tuple(b for v in facts.variables if not isinstance(b := bindings.get(v), Value))
        versions = tuple(self.environment.versions.get(r, 0) for r in facts.roots)
        return (node, expanded, versions) if expanded or versions else node

    def depth(self, facts: Facts) -> int:
        """The outermost scope in which something with these facts can be placed."""
        if facts.volatile or facts.pinned:
            return self.function.depth
        depth = 0
        for variable in facts.variables:
            binding = self.environment.bindings.get(variable)
            if isinstance(binding, Value) and binding.depth > depth:
                depth = binding.depth
        for root in facts.roots:
            depth = max(depth, self.function.load_floor(id(root)))
        scopes = self.function.scopes
        while depth < self.function.depth and scopes[depth + 1].lazy:
            depth += 1
        return depth

    def _variable(self, node: Var) -> Value:
        binding = self.environment.bindings.get(node)
        match binding:
            case Value():
                return binding
            case int():
                return Value(str(binding), 1, 0, binding)
            case Lanes(start, count):
                if count == 1:
                    return Value(str(start), 1, 0, start)
                items = ", ".join(f"{self.types.index} {start + k}" for k in range(count))
                return Value(f"<{items}>", count, 0)
            case _:
                raise IRError(f"variable {node.name} is not bound here")

    def _needed(self, node: Expr) -> tuple[Expr, ...]:
        """The operands that must be values before `node` can be computed."""
        if isinstance(node, Load):
            buffer = _buffer(node)
            if buffer.space == "register":
                return ()
            return tuple(self.environment.offset(buffer, node.indices).terms)
        if isinstance(node, LaneReduce):
            return ()
        if isinstance(node, Apply) and node.op is ops.LIKELY:
            return node.operands[:2]
        return node.operands

    # Computing.

    def _compute(self, node: Expr) -> Value:
        match node:
            case Apply() if node.op is ops.LIKELY:
                return self._likely(node)
            case Apply():
                return self._apply(node)
            case Load():
                return self.load(node)
            case LaneReduce():
                return self.lane_reduce(node)
            case _:
                raise IRError(f"{type(node).__name__} cannot be emitted")

    def _apply(self, node: Apply) -> Value:
        operands = [self._find(o) for o in node.operands]
        values = [v for v in operands if v is not None]
        dtype = node.operands[-1].dtype
        if dtype is INDEX and node.dtype is INDEX:
            folded = _fold_index(node, values)
            if folded is not None:
                return Value(str(folded), 1, 0, folded)
        lanes = max(v.lanes for v in values)
        facts = self.environment.facts(node)
        depth = self.depth(facts)
        texts = [self.splat(v, o.dtype, lanes) for v, o in zip(values, node.operands, strict=True)]
        if node.op is ops.SELECT:
            right = self._select(node.dtype, lanes, texts)
        elif node.op is ops.SCALE:
            return Value(self._scale(dtype, lanes, texts, depth), lanes, depth)
        else:
            right = self.spelling.operation(node.op, node.dtype, dtype, lanes, texts)
        return Value(self.function.assign(right, depth), lanes, depth)

    def _likely(self, node: Apply) -> Value:
        """The last operand is computed in a branch that is taken if any lane needs it."""
        condition, common, rare = node.operands
        flag, value = self.evaluate(condition), self.evaluate(common)
        lanes = self.lanes_of(node)
        function = self.function
        kind = self.types.value(node.dtype, lanes)
        wide = self.types.value(BOOL, lanes)
        text, shown = self.splat(flag, BOOL, lanes), self.splat(value, node.dtype, lanes)
        every = text
        if lanes > 1:
            name = f"llvm.vector.reduce.and.v{lanes}i1"
            every = function.assign(self.spelling.call(name, "i1", [(wide, text)]))
        before = function.current
        slow, after = function.new_block("rare"), function.new_block("join")
        before.terminator = f"br i1 {every}, label %{after.name}, label %{slow.name}"
        kept = dict(self._volatile)
        function.enter(True, frozenset(), lazy=True)
        function.open(slow)
        other = self.splat(self.evaluate(rare), node.dtype, lanes)
        mixed = function.assign(f"select {wide} {text}, {kind} {shown}, {kind} {other}")
        last = function.current
        last.terminator = f"br label %{after.name}"
        function.leave()
        self._volatile = kept
        function.open(after)
        right = f"phi {kind} [{shown}, %{before.name}], [{mixed}, %{last.name}]"
        return Value(function.assign(right), lanes, function.depth)

    def lanes_of(self, node: Expr) -> int:
        """How many lanes a value has under the present bindings of its variables."""
        counts = [1]
        for variable in self.environment.facts(node).variables:
            binding = self.environment.bindings.get(variable)
            if isinstance(binding, Lanes):
                counts.append(binding.count)
        return max(counts)

    def _scale(self, dtype: DType, lanes: int, texts: list[str], depth: int) -> str:
        """``x * 2**n``: the instruction takes whole registers, of 128 to 512 bits."""
        width = max(128 // dtype.bits, 1 << (lanes - 1).bit_length())
        if lanes == width:
            return self._scale_registers(dtype, lanes, texts, depth)
        wide = [self._widen(t, dtype, lanes, width, depth) for t in texts]
        made = self._scale_registers(dtype, width, wide, depth)
        kind = self.types.value(dtype, width)
        if lanes == 1:
            return self.function.assign(f"extractelement {kind} {made}, i64 0", depth)
        return self._picked(kind, made, "poison", range(lanes), depth)

    def _scale_registers(self, dtype: DType, lanes: int, texts: list[str], depth: int) -> str:
        """As `_scale`, of a power of two of lanes: more than a register are halved."""
        if lanes * dtype.bits <= 512:
            right = self.spelling.operation(ops.SCALE, dtype, dtype, lanes, texts)
            return self.function.assign(right, depth)
        half, kind = lanes // 2, self.types.value(dtype, lanes)
        parts = []
        for first in (0, half):
            lower = range(first, first + half)
            part = [self._picked(kind, t, "poison", lower, depth) for t in texts]
            parts.append(self._scale_registers(dtype, half, part, depth))
        low, high = parts
        return self._picked(self.types.value(dtype, half), low, high, range(lanes), depth)

    def _picked(self, kind: str, a: str, b: str, lanes: range, depth: int) -> str:
        """These lanes of `a` followed by `b`."""
        mask = ", ".join(f"i32 {k}" for k in lanes)
        right = f"shufflevector {kind} {a}, {kind} {b}, <{len(lanes)} x i32> <{mask}>"
        return self.function.assign(right, depth)

    def _widen(self, text: str, dtype: DType, lanes: int, width: int, depth: int) -> str:
        wide = self.types.value(dtype, width)
        if lanes == 1:
            element = self.types.scalar(dtype)
            right = f"insertelement {wide} poison, {element} {text}, i64 0"
            return self.function.assign(right, depth)
        kind = self.types.value(dtype, lanes)
        mask = ", ".join(f"i32 {min(k, lanes)}" for k in range(width))
        right = f"shufflevector {kind} {text}, {kind} poison, <{width} x i32> <{mask}>"
        return self.function.assign(right, depth)

    def _select(self, dtype: DType, lanes: int, texts: list[str]) -> str:
        condition = self.types.value(BOOL, lanes)
        kind = self.types.value(dtype, lanes)
        return f"select {condition} {texts[0]}, {kind} {texts[1]}, {kind} {texts[2]}"

    def load(self, node: Load) -> Value:
        raise NotImplementedError

    def lane_reduce(self, node: LaneReduce) -> Value:
        raise NotImplementedError


def _fold_index(node: Apply, values: list[Value]) -> int | None:
    known = [v.known for v in values]
    if any(k is None for k in known):
        return None
    if node.op in (ops.QUO, ops.FLOORDIV):
        return known[0] // known[1] if known[1] else 0  # type: ignore[operator]
    if node.op in (ops.REM, ops.MOD):
        return known[0] % known[1] if known[1] else 0  # type: ignore[operator]
    if node.op in _FOLDED:
        return int(node.op.reference(*known))
    return None


_FOLDED = (ops.ADD, ops.SUB, ops.MUL, ops.MIN, ops.MAX, ops.NEG)
