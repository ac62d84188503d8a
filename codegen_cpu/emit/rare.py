"""Choices of which one side is seldom needed: a branch, and that side a function of its own.

In: `likely` nodes. Out: a test whether any lane needs the rare side, and a call of a function that
computes it, a register at a time. Written out, the exact reduction of a large angle would be most
of a kernel's code, once for each vector and each tail, and most of the time to compile it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_cpu.emit.function import FunctionText
from tilewright.codegen_cpu.emit.operations import Spelling
from tilewright.codegen_cpu.emit.shuffles import Shuffles
from tilewright.codegen_cpu.emit.types import Types
from tilewright.codegen_cpu.emit.values import ValueEmitter
from tilewright.ir.dtypes import BOOL
from tilewright.ir.emit.environment import Lanes, Value
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Const, Expr, Load, Var
from tilewright.ir.traverse import rewrite

NAME = "@RARE"
"""Stands for the name of a function in its text, until equal texts have been found."""


class BranchEmitter(ValueEmitter):
    """Operations, and branches on what seldom happens."""

    def __init__(self, function: FunctionText, types: Types, spelling: Spelling) -> None:
        super().__init__(function, types, spelling)
        self.shuffles = Shuffles(function, types)
        self._rare: dict[tuple[Expr, tuple[Expr, ...], tuple[int, ...]], str] = {}

    def likely(self, node: Apply) -> Value:
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
        function.begin("loads", lazy=True)
        function.open(slow)
        other = self._rare_side(rare, lanes)
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
            elif isinstance(binding, Value):
                counts.append(binding.lanes)
        return max(counts)

    # The rare side.

    def _rare_side(self, rare: Expr, lanes: int) -> str:
        """The value of `rare`, of `lanes` lanes."""
        inputs = self._inputs(rare) if self.spelling.register_bits else None
        if inputs is None:
            return self.splat(self.evaluate(rare), rare.dtype, lanes)
        values = [self.evaluate(node) for node in inputs]
        width = max(1, self.spelling.register_bits // rare.dtype.bits)
        widths = tuple(1 if v.lanes == 1 < lanes else width for v in values)
        key = (rare, tuple(inputs), widths)
        name = self._rare.get(key)
        if name is None:
            name = self._rare[key] = self._rare_function(rare, inputs, widths, width)
        return self._called(name, rare, list(zip(inputs, values, widths, strict=True)), lanes)

    def _inputs(self, rare: Expr) -> list[Expr] | None:
        """The nodes at which what has a value already begins; None where something else is needed
        than operations on them."""
        found: dict[Expr, None] = {}
        seen: set[Expr] = set()
        stack = [rare]
        while stack:
            node = stack.pop()
            if node in seen or isinstance(node, Const):
                continue
            seen.add(node)
            if node.dtype is not BOOL and self.find(node) is not None:
                found[node] = None
            elif isinstance(node, Apply):
                stack.extend(node.operands)
            else:
                return None
        return list(found)

    def _rare_function(
        self, rare: Expr, inputs: Sequence[Expr], widths: Sequence[int], lanes: int
    ) -> str:
        """The name of the function that computes `rare` on one register of each of its inputs."""
        variables = [Var(f"p{k}", dtype=node.dtype) for k, node in enumerate(inputs)]
        body = rewrite(rare, lambda node: None, dict(zip(inputs, variables, strict=True)))
        kinds = [self.types.value(v.dtype, w) for v, w in zip(variables, widths, strict=True)]
        shown = ", ".join(f"{kind} %p{k}" for k, kind in enumerate(kinds))
        result = self.types.value(rare.dtype, lanes)
        function = FunctionText(f"define internal {result} {NAME}({shown}) cold noinline nounwind")
        emitter = _Body(function, self.types, self.spelling)
        for k, (variable, width) in enumerate(zip(variables, widths, strict=True)):
            emitter.environment.bindings[variable] = Value(f"%p{k}", width, 0)
        text = emitter.splat(emitter.evaluate(body), rare.dtype, lanes)
        function.current.terminator = f"ret {result} {text}"
        return self.spelling.define(function.text(), NAME)

    def _called(
        self, name: str, rare: Expr, inputs: list[tuple[Expr, Value, int]], lanes: int
    ) -> str:
        """Calls for as many registers as `lanes` fill, their results end to end."""
        shuffles, depth = self.shuffles, self.function.depth
        width = max(1, self.spelling.register_bits // rare.dtype.bits)
        result = self.types.value(rare.dtype, width)
        parts = []
        for first in range(0, lanes, width):
            operands = []
            for node, value, given in inputs:
                text = value.text
                if given > 1 and lanes > width:
                    part = range(first, first + width)
                    text = shuffles.part(text, node.dtype, lanes, part, depth)
                elif given > 1:
                    text = shuffles.widened(text, node.dtype, lanes, width, depth)
                operands.append(f"{self.types.value(node.dtype, given)} {text}")
            parts.append(self.function.assign(f"call {result} {name}({', '.join(operands)})"))
        size = width
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [shuffles.joined(low, high, rare.dtype, size, depth) for low, high in pairs]
            size *= 2
        return shuffles.narrowed(parts[0], rare.dtype, size, lanes, depth)


class _Body(BranchEmitter):
    """The inside of a function of values: nothing but operations."""

    def load(self, node: Load) -> Value:
        raise IRError(f"a function of values reads {node.source.name}")
