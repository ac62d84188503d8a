"""Rewriting graphs: nodes are rebuilt on new sources, producers first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr, Source
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
from tilewright.ir.traverse import replace_sources

NodeRule = Callable[[Tensor], Tensor | None]


def rewrite_graph(graph: Graph, rule: NodeRule) -> Graph:
    """`graph` with ``rule(node)`` in place of every node for which that is not None.

    The rule sees nodes whose sources have been replaced already. Inputs stay.
    """
    done: dict[Source, Source] = {}
    changed = False
    for node in graph.nodes():
        rebuilt = _on_sources(node, done)
        replaced = None if isinstance(node, Input) else rule(rebuilt)
        final = rebuilt if replaced is None else replaced
        if final is not node:
            changed = True
        done[node] = final
    if not changed:
        return graph

    def tensor(old: Tensor) -> Tensor:
        new = done[old]
        assert isinstance(new, Tensor)
        return new

    checks = tuple(replace(c, least=tensor(c.least), most=tensor(c.most)) for c in graph.checks)
    return replace(graph, outputs=tuple(map(tensor, graph.outputs)), checks=checks)


def map_expressions(node: Tensor, function: Callable[[Expr], Expr]) -> Tensor:
    """`node` with ``function(e)`` for each of its expressions; itself if that changes none."""
    about = {"label": node.label, "loc": node.loc}
    match node:
        case Compute() | Reduction():
            body = function(node.body)
            if body is node.body:
                return node
            if isinstance(node, Compute):
                return Compute(node.name, node.axes, body, **about)
            axes, reduced = node.axes, node.reduce_axes
            return Reduction(node.name, axes, reduced, node.combiner, body, **about)
        case Scatter():
            old = (*node.indices, node.value)
            *indices, value = new = [function(e) for e in old]
            if all(a is b for a, b in zip(old, new, strict=True)):
                return node
            return Scatter(node.name, node.base, node.axes, indices, value, node.combiner, **about)
        case _:
            return node


def _on_sources(node: Tensor, done: Mapping[Source, Source]) -> Tensor:
    if all(done.get(s, s) is s for s in node.sources):
        return node

    def new(tensor: Tensor) -> Tensor:
        found = done.get(tensor, tensor)
        assert isinstance(found, Tensor)
        return found

    about = {"label": node.label, "loc": node.loc}
    moved: dict[Source, Source] = {s: done[s] for s in node.sources if done.get(s, s) is not s}
    match node:
        case Compute() | Reduction():
            return map_expressions(node, lambda body: replace_sources(body, moved))
        case Reshape():
            return Reshape(node.name, new(node.operand), node.shape, **about)
        case Scan():
            return Scan(node.name, new(node.operand), node.axis, node.combiner, **about)
        case Sort():
            return Sort(node.name, new(node.operand), node.axis, node.positions, **about)
        case Scatter():
            indices = [replace_sources(i, moved) for i in node.indices]
            value = replace_sources(node.value, moved)
            return Scatter(
                node.name, new(node.base), node.axes, indices, value, node.combiner, **about
            )
        case Loop():
            initial, captured = map(new, node.initial), map(new, node.captured)
            return Loop(node.name, node.count, tuple(initial), tuple(captured), node.body, **about)
        case While():
            initial, captured = map(new, node.initial), map(new, node.captured)
            return While(
                node.name, tuple(initial), tuple(captured), node.condition, node.body, **about
            )
        case Result():
            loop = new(node.loop)
            assert isinstance(loop, (Loop, While))
            return Result(node.name, loop, node.position, **about)
        case Input() | Constant():
            return node
        case _:
            raise IRError(f"{type(node).__name__} cannot be rebuilt")
