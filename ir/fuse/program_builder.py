"""The stored tensors of a graph in buffers, and the steps that fill them.

Loops are inlined: the body's graph becomes the steps of a `Repeat`, its state lives in buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from tilewright.ir import build
from tilewright.ir.dtypes import I64, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load, Size, Var, post_order
from tilewright.ir.fuse.columns_apart import store_columns
from tilewright.ir.fuse.group import Group, Grouper, Unit
from tilewright.ir.fuse.inline import Inliner
from tilewright.ir.fuse.narrow_updates import narrow_updates
from tilewright.ir.fuse.nest_builder import NestBuilder
from tilewright.ir.fuse.options import FusionOptions
from tilewright.ir.fuse.repeated_rows import store_repeated_rows
from tilewright.ir.fuse.update_in_place import update_in_place
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
    Input,
    Loop,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
    While,
)
from tilewright.ir.kernel import Buffer
from tilewright.ir.passes import run_passes
from tilewright.ir.program import (
    Copy,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
    Step,
)
from tilewright.ir.traverse import replace_sources, substitute

if TYPE_CHECKING:
    import numpy as np


def build_program(graph: Graph, options: FusionOptions, name: str) -> Program:
    """Fuse `graph` (on which the graph passes have run) into launches."""
    if options.repeated_rows:
        graph = store_columns(store_repeated_rows(graph))
    return ProgramBuilder(options, name).program(graph)


class ProgramBuilder:
    """The buffers of one program; graphs (the main one, loop bodies) add their steps."""

    def __init__(self, options: FusionOptions, name: str) -> None:
        self.options = options
        self.name = name
        self.constants: list[tuple[Buffer, np.ndarray]] = []
        self.temporaries: list[Buffer] = []
        self.buffers: dict[Tensor, Buffer] = {}
        self._numbers = count()

    def program(self, graph: Graph) -> Program:
        inputs = [self.buffer(t.shape, t.dtype, "i") for t in graph.inputs]
        self.buffers.update(zip(graph.inputs, inputs, strict=True))
        outputs = [self.buffer(t.shape, t.dtype, "o") for t in graph.roots]
        steps = self.steps(graph, {}, outputs)
        return Program(
            self.name,
            graph.symbols,
            tuple(inputs),
            tuple(outputs),
            tuple(self.constants),
            tuple(self.temporaries),
            tuple(steps),
            graph.checks,
        )

    def buffer(self, shape: Sequence[Size], dtype: DType, prefix: str = "t") -> Buffer:
        return Buffer(f"{prefix}{next(self._numbers)}", shape, dtype)

    def temporary(self, shape: Sequence[Size], dtype: DType) -> Buffer:
        made = self.buffer(shape, dtype)
        self.temporaries.append(made)
        return made

    def steps(
        self, graph: Graph, scalars: dict[Tensor, Expr], outputs: Sequence[Buffer]
    ) -> list[Step]:
        """The steps that compute the graph's roots into `outputs`."""
        return GraphLowering(self, graph, scalars, outputs).steps()


class GraphLowering:
    """One graph: decides, groups, and writes steps in order."""

    def __init__(
        self,
        builder: ProgramBuilder,
        graph: Graph,
        scalars: dict[Tensor, Expr],
        outputs: Sequence[Buffer],
    ) -> None:
        self.builder = builder
        self.graph = graph
        self.outputs = outputs
        self.inliner = Inliner(graph, scalars)
        self.buffers = builder.buffers
        self.readers = self._stored_readers()
        self.grouper = Grouper(builder.options, self.readers)
        self.order: list[Group | Tensor] = []
        self.copies: list[tuple[Tensor, Buffer]] = []

    def steps(self) -> list[Step]:
        self._claim_outputs()
        needed = self._needed()
        for node in self.inliner.nodes:
            if node in self.inliner.stored and node in needed and node not in self.inliner.scalars:
                self._order(node)
        result: list[Step] = []
        for item in self.order:
            result += [self._nest(item)] if isinstance(item, Group) else self._other(item)
        for source, target in self.copies:
            result.append(self._copy(source, target))
        return result

    def _needed(self) -> set[Tensor]:
        """What the results are made of. With their axes of one element gone, inlined bodies may
        read less than those of the graph did."""
        needed: set[Tensor] = set()
        stack = list(self.graph.roots)
        while stack:
            node = stack.pop()
            if node in needed:
                continue
            needed.add(node)
            if node in self.inliner.stored and isinstance(node, (Compute, Reduction)):
                read = {n.source for n in _loads(self.inliner.body(node))}
                stack += [s for s in read if isinstance(s, Tensor)]
            else:
                stack += node.sources
        return needed

    def _claim_outputs(self) -> None:
        """A root computed here is written straight into its output buffer; others are copied."""
        for tensor, output in zip(self.graph.roots, self.outputs, strict=True):
            base = tensor
            while isinstance(base, Reshape) and base not in self.buffers:
                base = base.operand
            given = isinstance(base, (Input, Constant, Result)) or base in self.inliner.scalars
            if given or base in self.buffers:
                self.copies.append((tensor, output))
            elif base is tensor:
                self.buffers[tensor] = output
            else:
                self.buffers[base] = Buffer(f"{output.name}v", base.shape, base.dtype, base=output)

    def _order(self, node: Tensor) -> None:
        match node:
            case Input() | Reshape() | Result():
                return
            case Constant():
                self._constant(node)
            case Compute() | Reduction():
                group = self.grouper.add(self._unit(node))
                if group not in self.order:
                    self.order.append(group)
            case _:
                self.grouper.separate()
                self.order.append(node)

    def _unit(self, node: Compute | Reduction) -> Unit:
        axes = tuple(None if a.extent == 1 else a for a in node.axes)
        reduced = node.reduce_axes if isinstance(node, Reduction) else ()
        return Unit(
            node,
            tuple(a for a in axes if a is not None),
            tuple(a for a in reduced if a.extent != 1),
            node.combiner if isinstance(node, Reduction) and self._reduces(node) else None,
            self.inliner.body(node),
            axes,
        )

    def _reduces(self, node: Reduction) -> bool:
        return any(a.extent != 1 for a in node.reduce_axes)

    def _stored_readers(self) -> dict[Tensor, set[Tensor]]:
        """Who reads a stored tensor, inlined tensors counted as their readers; outputs read by
        nobody are marked as read by themselves' absence: see `_needed_outside`."""
        readers: dict[Tensor, set[Tensor]] = {}
        for node in self.inliner.nodes:
            if node not in self.inliner.stored:
                continue
            if isinstance(node, (Compute, Reduction)):
                body = self.inliner.body(node)
                sources = [n.source for n in _loads(body)]
            else:
                sources = list(node.sources)
            for source in sources:
                assert isinstance(source, Tensor)
                readers.setdefault(source, set()).add(node)
        for root in self.graph.roots:
            base = root
            while isinstance(base, Reshape):
                base = base.operand
            readers.setdefault(base, set()).add(_OUTSIDE)
        return readers

    # Buffers.

    def place(self, tensor: Tensor) -> Buffer:
        """The buffer of a stored tensor, made on demand."""
        found = self.buffers.get(tensor)
        if found is not None:
            return found
        if isinstance(tensor, Reshape):
            base = self.place(tensor.operand)
            made = Buffer(f"{base.name}r", tensor.shape, tensor.dtype, base=base)
        elif isinstance(tensor, Constant):
            return self._constant(tensor)
        else:
            made = self.builder.temporary(tensor.shape, tensor.dtype)
        self.buffers[tensor] = made
        return made

    def _constant(self, node: Constant) -> Buffer:
        found = self.buffers.get(node)
        if found is None:
            found = self.buffers[node] = self.builder.buffer(node.shape, node.dtype, "c")
            self.builder.constants.append((found, node.array))
        return found

    def _on_buffers(self, value: Expr) -> Expr:
        sources = {n.source for n in _loads(value)}
        return replace_sources(value, {s: self.place(s) for s in sources if isinstance(s, Tensor)})

    # Nests.

    def _nest(self, group: Group) -> Nest:
        return NestBuilder(self, group).nest()

    def _copy(self, source: Tensor, target: Buffer) -> Step:
        scalar = self.inliner.scalars.get(source)
        if scalar is not None:
            stage = Stage((), (), None, scalar, target, ())
            return Nest("copy", (), (stage,), ())
        axes = tuple(Var(f"i{k}", size) for k, size in enumerate(target.shape))
        value = Load(self.place(source), axes)
        return Nest("copy", axes, (Stage((), (), None, value, target, axes),), ())

    # Everything that is not a nest of maps and reductions.

    def _other(self, node: Tensor) -> list[Step]:
        match node:
            case Scan():
                return [self._scan(node)]
            case Sort():
                return [self._sort(node)]
            case Scatter():
                return self._scatter(node)
            case Loop():
                return self._loop(node)
            case While():
                return self._while(node)
            case _:
                raise IRError(f"{type(node).__name__} cannot be lowered to a program")

    def _scan(self, node: Scan) -> Step:
        axes = tuple(Var(f"i{k}", size) for k, size in enumerate(node.shape))
        outer = tuple(a for k, a in enumerate(axes) if k != node.axis)
        value = Load(self.place(node.operand), axes)
        stage = Stage(
            (axes[node.axis],),
            (),
            f"scan:{node.combiner}",
            value,
            self.place(node),
            axes,
            node.label,
            node.loc,
        )
        return Nest(node.name, outer, (stage,), ())

    def _sort(self, node: Sort) -> Step:
        source, target = self.place(node.operand), self.place(node)
        return SortRows(node.name, source, target, node.axis, node.positions)

    def _scatter(self, node: Scatter) -> list[Step]:
        target = self.place(node)
        start = self._copy_tensor(self.place(node.base), target)
        bindings = {a: Var(a.name, a.extent) for a in node.axes}
        memo: dict[Expr, Expr] = {}

        def ready(value: Expr) -> Expr:
            inlined = substitute(value, dict(bindings), self.inliner.inlined, memo)
            return self._on_buffers(inlined)

        indices = tuple(ready(i) for i in node.indices)
        axes = tuple(bindings.values())
        return [
            start,
            Ordered(node.name, axes, target, indices, ready(node.value), node.combiner),
        ]

    def _copy_tensor(self, source: Buffer, target: Buffer) -> Step:
        return Copy(source, target)

    # Loops.

    def _loop(self, node: Loop) -> list[Step]:
        states, steps = self._enter(node)
        body = run_passes(node.body)
        _, *rest = body.inputs
        scalars = self._bind(rest, states, node.captured, steps)
        if isinstance(node.count, int) and not _has_loops(body):
            steps += self._in_pairs(node.count, body, scalars, states)
        else:
            counter = Var("step", node.count)
            scalars |= _number(body, counter)
            steps.append(Repeat(counter, tuple(self._round(body, scalars, states))))
        self._leave(node, states)
        return steps

    def _in_pairs(
        self, count: int, body: Graph, scalars: dict[Tensor, Expr], states: list[Buffer]
    ) -> list[Step]:
        """Rounds that write the next state to other buffers and back again: nothing is copied.
        An odd round stands at the end by itself. What is updated in place stays where it is, and
        there are no pairs where that is all of the state."""
        counter = Var("step", count)
        steps, others = self._steps_between(body, scalars | _number(body, counter), states)
        if others == states:
            return [Repeat(counter, tuple(steps))]
        counter = Var("step", count // 2)
        first = build.mul(counter, build.index(2))
        steps = []
        if count > 1:
            there, _ = self._steps_between(body, scalars | _number(body, first), states, others)
            second = scalars | _number(body, build.add(first, build.index(1)))
            back, _ = self._steps_between(body, second, others, states)
            steps.append(Repeat(counter, (*there, *back)))
        if count % 2:
            last = scalars | _number(body, build.index(count - 1))
            steps += self._steps_between(body, last, states, others)[0]
            steps += _copies(others, states)
        return steps

    def _steps_between(
        self,
        body: Graph,
        scalars: dict[Tensor, Expr],
        before: list[Buffer],
        after: list[Buffer] | None = None,
        first: int = 1,
    ) -> tuple[list[Step], list[Buffer]]:
        """One round from the state in `before` to the next one, and the buffers of that: those of
        `after`, or the same where it can be updated in place. The state is the body's inputs from
        `first` on. Constants keep their buffers for further rounds, what is computed does not."""
        known = dict(self.buffers)
        self.buffers.update(zip(body.inputs[first : first + len(before)], before, strict=True))
        fresh = [
            b if b is not a else self.builder.temporary(b.shape, b.dtype)
            for a, b in zip(before, after or before, strict=True)
        ]
        steps = self.builder.steps(body, scalars, fresh)
        known.update({t: b for t, b in self.buffers.items() if isinstance(t, Constant)})
        self.buffers.clear()
        self.buffers.update(known)
        if not self.builder.options.in_place:
            return steps, fresh
        steps, kept, copies = update_in_place(steps, list(zip(before, fresh, strict=True)))
        self.builder.temporaries += copies
        steps = narrow_updates(steps, dict(self.builder.constants))
        return steps, [a if a in kept else b for a, b in zip(before, fresh, strict=True)]

    def _while(self, node: While) -> list[Step]:
        states, steps = self._enter(node)
        condition, body = run_passes(node.condition), run_passes(node.body)
        known = self._bind(condition.inputs, states, node.captured, steps)
        scalars = self._bind(body.inputs, states, node.captured, steps)
        flag = self.builder.temporary((), condition.outputs[0].dtype)
        test = self.builder.steps(condition, known, [flag])
        inner = self._round(body, scalars, states, first=0)
        self._leave(node, states)
        return [*steps, RepeatWhile(tuple(test), flag, tuple(inner))]

    def _enter(self, node: Loop | While) -> tuple[list[Buffer], list[Step]]:
        """The buffers of the state, and the steps that fill them."""
        states: list[Buffer] = []
        steps: list[Step] = []
        for tensor in node.initial:
            made = self._own(tensor, node)
            if made is None or made in states:
                made = self.builder.temporary(tensor.shape, tensor.dtype)
                steps.append(self._copy(tensor, made))
            states.append(made)
        return states, steps

    def _own(self, tensor: Tensor, node: Loop | While) -> Buffer | None:
        """The temporary of a tensor that nothing but the loop `node` reads, and that only as the
        state that it starts with."""
        found = self.buffers.get(tensor)
        once = node.captured.count(tensor) == 0 and isinstance(tensor, (Compute, Reduction))
        if found is None or not once or self.readers.get(tensor) != {node}:
            return None
        return found if found in self.builder.temporaries else None

    def _bind(
        self,
        inputs: Sequence[Input],
        states: list[Buffer],
        captured: Sequence[Tensor],
        steps: list[Step],
    ) -> dict[Tensor, Expr]:
        """Give the inputs of a loop's body their buffers; answers with the captured ones that are
        expressions (the number of an outer round), which some targets need in memory."""
        self.buffers.update(zip(inputs, states, strict=False))
        scalars: dict[Tensor, Expr] = {}
        for tensor, outer in zip(inputs[len(states) :], captured, strict=True):
            if outer not in self.inliner.scalars:
                self.buffers[tensor] = self.place(outer)
            elif self.builder.options.outer_counters:
                scalars[tensor] = self.inliner.scalars[outer]
            else:
                stored = self.buffers[tensor] = self.builder.temporary((), tensor.dtype)
                steps.append(self._copy(outer, stored))
        return scalars

    def _round(
        self,
        body: Graph,
        scalars: dict[Tensor, Expr],
        states: list[Buffer],
        first: int = 1,
    ) -> list[Step]:
        """One step: what is not updated in place in buffers of its own, then copied over the old.
        The state is the body's inputs from `first` on."""
        steps, following = self._steps_between(body, scalars, states, first=first)
        return [*steps, *_copies(following, states)]

    def _leave(self, node: Loop | While, states: list[Buffer]) -> None:
        for result in self.inliner.nodes:
            if isinstance(result, Result) and result.loop is node:
                self.buffers[result] = states[result.position]


def _number(body: Graph, counter: Expr) -> dict[Tensor, Expr]:
    """The first input of a loop's body, which is the number of the round."""
    return {body.inputs[0]: build.cast(counter, I64)}


def _copies(sources: Sequence[Buffer], targets: Sequence[Buffer]) -> list[Step]:
    """What brings each source into its target, if it is not there."""
    return [Copy(s, t) for s, t in zip(sources, targets, strict=True) if s is not t]


def _has_loops(body: Graph) -> bool:
    return any(isinstance(node, (Loop, While)) for node in body.nodes())


def _loads(value: Expr) -> list[Load]:
    return [n for n in post_order((value,)) if isinstance(n, Load)]


_OUTSIDE = Input("outside", (), I64)
