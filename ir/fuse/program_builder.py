"""The stored tensors of a graph in buffers, and the steps that fill them.

Loops are inlined: see `loop_builder`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct

from tilewright.ir.dtypes import I64, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Load, Size, Var, post_order
from tilewright.ir.fuse.columns_apart import store_columns
from tilewright.ir.fuse.group import Group, Grouper, Unit
from tilewright.ir.fuse.inline import Inliner
from tilewright.ir.fuse.loop_builder import LoopBuilder
from tilewright.ir.fuse.nest_builder import NestBuilder
from tilewright.ir.fuse.options import FusionOptions
from tilewright.ir.fuse.repeated_rows import store_repeated_rows
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
from tilewright.ir.program import (
    Copy,
    Nest,
    Ordered,
    Program,
    SortRows,
    Stage,
    Step,
)
from tilewright.ir.traverse import replace_sources, substitute

if TYPE_CHECKING:
    import numpy as np


def build_program(
    graph: Graph, options: FusionOptions, name: str, fused: list[Fused] | None = None
) -> Program:
    """Fuse `graph` (on which the graph passes have run) into launches; `fused` gets what became of
    it and of the bodies of its loops."""
    if options.repeated_rows:
        graph = store_columns(store_repeated_rows(graph))
    builder = ProgramBuilder(options, name)
    if fused is not None:
        builder.fused = fused
    return builder.program(graph)


class Fused(Struct, frozen=True, eq=False):
    """A graph as it was lowered, and the name of the step that each stored tensor was put into.
    Tensors that are not in it were put into their readers, or are views or given."""

    graph: Graph
    step_of: dict[Tensor, str]


class ProgramBuilder:
    """The buffers of one program; graphs (the main one, loop bodies) add their steps.

    `fused` says what became of each of them, once per time that it was lowered.
    """

    def __init__(self, options: FusionOptions, name: str) -> None:
        self.options = options
        self.name = name
        self.constants: list[tuple[Buffer, np.ndarray]] = []
        self.temporaries: list[Buffer] = []
        self.buffers: dict[Tensor, Buffer] = {}
        self.fused: list[Fused] = []
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
        self.fused = Fused(graph, {})
        builder.fused.append(self.fused)
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
            result.append(self.copy(source, target))
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
            if isinstance(base, (Input, Constant, Result)) or base in self.buffers:
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
        nest = NestBuilder(self, group).nest()
        self.fused.step_of.update((unit.tensor, nest.name) for unit in group.units)
        return nest

    def copy(self, source: Tensor, target: Buffer) -> Step:
        scalar = self.inliner.scalars.get(source)
        if scalar is not None:
            stage = Stage((), (), None, scalar, target, ())
            return Nest("copy", (), (stage,), ())
        axes = tuple(Var(f"i{k}", size) for k, size in enumerate(target.shape))
        value = Load(self.place(source), axes)
        return Nest("copy", axes, (Stage((), (), None, value, target, axes),), ())

    # Everything that is not a nest of maps and reductions.

    def _other(self, node: Tensor) -> list[Step]:
        self.fused.step_of[node] = node.name
        match node:
            case Scan():
                return [self._scan(node)]
            case Sort():
                return [self._sort(node)]
            case Scatter():
                return self._scatter(node)
            case Loop() | While():
                return LoopBuilder(self).steps(node)
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
        start = Copy(self.place(node.base), target)
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


def _loads(value: Expr) -> list[Load]:
    return [n for n in post_order((value,)) if isinstance(n, Load)]


_OUTSIDE = Input("outside", (), I64)
