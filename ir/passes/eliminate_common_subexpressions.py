"""Equal nodes become one: value numbering of whole tensors.

In: a graph. Out: the same graph in which no two nodes compute the same from the same operands.
Axes are compared by position and operands by identity, which is enough since producers have been
made one before their consumers are looked at. Operands are not reordered. Loops are left alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tilewright.ir.expr import Expr, Var
from tilewright.ir.graph import (
    Compute,
    Constant,
    Graph,
    Reduction,
    Reshape,
    Result,
    Scan,
    Scatter,
    Sort,
    Tensor,
)
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.structure import Keys

COMPARED_BYTES = 1 << 16
"""Constants larger than this are the same only if they are one array."""


def eliminate_common_subexpressions(graph: Graph) -> Graph:
    """The graph with one node for each value."""
    keys = Keys()
    known: dict[Hashable, Tensor] = {}

    def rule(node: Tensor) -> Tensor | None:
        key = _key(node, keys)
        return None if key is None else known.setdefault(key, node)

    return rewrite_graph(graph, rule)


def _key(node: Tensor, keys: Keys) -> Hashable | None:
    match node:
        case Compute():
            return (Compute, *_bodies(node.axes, (), (node.body,), keys))
        case Reduction():
            body = _bodies(node.axes, node.reduce_axes, (node.body,), keys)
            return (Reduction, node.combiner, *body)
        case Scatter():
            body = _bodies(node.axes, (), (*node.indices, node.value), keys)
            return (Scatter, node.base, node.combiner, *body)
        case Reshape():
            return (Reshape, node.operand, tuple(keys.of_size(s) for s in node.shape))
        case Scan():
            return (Scan, node.operand, node.axis, node.combiner)
        case Sort():
            return (Sort, node.operand, node.axis, node.positions)
        case Result():
            return (Result, node.loop, node.position)
        case Constant():
            return _constant(node)
        case _:
            return None


def _bodies(
    axes: Sequence[Var], reduce_axes: Sequence[Var], values: Sequence[Expr], keys: Keys
) -> tuple[Hashable, ...]:
    """The parts of a key that name axes. An extent may depend on another axis, hence its number."""
    numbers = {axis: k for k, axis in enumerate((*axes, *reduce_axes))}
    extents = tuple(
        axis.extent if isinstance(axis.extent, int) else keys.of(_extent(axis), numbers)
        for axis in numbers
    )
    kinds = tuple(isinstance(axis.extent, int) for axis in numbers)
    return (len(axes), extents, kinds, tuple(keys.of(v, numbers) for v in values))


def _extent(axis: Var) -> Expr:
    assert isinstance(axis.extent, Expr)
    return axis.extent


def _constant(node: Constant) -> Hashable:
    if node.array.nbytes > COMPARED_BYTES:
        return (Constant, id(node.array))
    return (Constant, node.dtype, node.array.shape, node.array.tobytes())
