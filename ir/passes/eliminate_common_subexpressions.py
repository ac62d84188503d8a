"""Equal nodes become one: value numbering of whole tensors.

In: a graph. Out: the same graph in which no two nodes compute the same from the same operands.
Axes are compared by position and operands by identity, which is enough since producers have been
made one before their consumers are looked at. Operands are not reordered. Loops are left alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tilewright.ir import build
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
    """What tells nodes apart; of another form for each kind of node. None for loops and inputs."""
    match node:
        case Compute():
            return _bodies(node.axes, (), (node.body,), keys)
        case Reduction():
            return node.combiner, _bodies(node.axes, node.reduce_axes, (node.body,), keys)
        case Scatter():
            body = _bodies(node.axes, (), (*node.indices, node.value), keys)
            return node.base, node.combiner, body
        case Reshape():
            return node.operand, tuple(keys.of_size(s) for s in node.shape)
        case Scan():
            return node.operand, node.axis, node.combiner
        case Sort():
            return node.operand, node.axis, node.positions
        case Result():
            return node.loop, node.position
        case Constant():
            return _constant(node)
        case _:
            return None


def _bodies(
    axes: Sequence[Var], reduce_axes: Sequence[Var], values: Sequence[Expr], keys: Keys
) -> tuple[Hashable, ...]:
    """The parts of a key that name axes. An extent may depend on another axis, hence its number."""
    numbers = {axis: k for k, axis in enumerate((*axes, *reduce_axes))}
    extents = [axis.extent for axis in numbers if axis.extent is not None]
    sizes = tuple(keys.of(build.index(extent), numbers) for extent in extents)
    return len(axes), sizes, tuple(keys.of(v, numbers) for v in values)


def _constant(node: Constant) -> Hashable:
    if node.array.nbytes > COMPARED_BYTES:
        return id(node.array)
    return node.dtype, node.array.shape, node.array.tobytes()
