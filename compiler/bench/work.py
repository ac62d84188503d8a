"""How much work a kernel does: a graph -> bytes that it must move and operations on floats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from tilewright.ir.expr import Apply, Expr, Size, Var, post_order
from tilewright.ir.graph import Compute, Graph, Loop, Reduction, Scatter, Tensor, While
from tilewright.ir.sizes import evaluate

Symbols = Mapping[Var, int]
# Operations that move a value or choose one, and so are no arithmetic.
_FREE = frozenset({"select", "cast", "bitcast"})
# Above this many operations per byte arithmetic is what limits a kernel, not memory.
_COMPUTE_BOUND = 16.0


class Work(Struct, frozen=True):
    """`bytes` of arguments and results; `flops` as written: an ``exp`` counts as one."""

    bytes: int
    flops: int

    @property
    def is_compute_bound(self) -> bool:
        """Whether GFLOP/s say more than GB/s."""
        return self.flops > _COMPUTE_BOUND * self.bytes

    def rate(self, seconds: float) -> str:
        """The rate in the unit that fits."""
        amount, unit = (self.flops, "FLOP") if self.is_compute_bound else (self.bytes, "B")
        rate = amount / seconds
        prefix, scale = ("G", 1e9) if rate >= 1e8 else ("M", 1e6)
        return f"{rate / scale:.1f} {prefix}{unit}/s"


def work_of(graph: Graph, symbols: Symbols) -> Work:
    """The work of one call, with these values of the open dimensions."""
    moved = sum(
        math.prod(_sizes(t.shape, symbols)) * t.dtype.itemsize
        for t in (*graph.inputs, *graph.outputs)
    )
    return Work(moved, _flops(graph, symbols))


def _flops(graph: Graph, symbols: Symbols) -> int:
    return sum(_node_flops(node, symbols) for node in graph.nodes())


def _node_flops(node: Tensor, symbols: Symbols) -> int:
    match node:
        case Compute():
            return _points(node.axes, symbols) * _operations((node.body,))
        case Reduction():
            combine = 1 if node.body.dtype.is_float else 0
            points = _points((*node.axes, *node.reduce_axes), symbols)
            return points * (_operations((node.body,)) + combine)
        case Scatter():
            return _points(node.axes, symbols) * _operations((*node.indices, node.value))
        case Loop():
            return evaluate(node.count, symbols) * _flops(node.body, symbols)
        case While():
            return _flops(node.body, symbols)  # at least; nobody knows how often
    return 0


def _operations(roots: Sequence[Expr]) -> int:
    return sum(
        isinstance(e, Apply) and e.dtype.is_float and e.op.name not in _FREE
        for e in post_order(roots)
    )


def _points(axes: Sequence[Var], symbols: Symbols) -> int:
    return math.prod(_sizes([a.extent for a in axes if a.extent is not None], symbols))


def _sizes(sizes: Sequence[Size], symbols: Symbols) -> list[int]:
    return [evaluate(size, symbols) for size in sizes]


__all__ = ["Work", "work_of"]
