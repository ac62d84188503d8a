"""A reduction to few points over many elements becomes two, so that threads can share the work.

The number of parts depends on the shape alone: the result is the same for any number of threads.
"""

from __future__ import annotations

from tilewright.ir import build
from tilewright.ir.expr import Load, Size, Var
from tilewright.ir.graph import Graph, Reduction, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.traverse import substitute

MOST_POINTS = 16
LEAST_ELEMENTS = 1 << 16
PARTS = 64


def split_large_reductions(graph: Graph) -> Graph:
    """Reductions of at least `LEAST_ELEMENTS` elements to at most `MOST_POINTS` in two steps."""
    return rewrite_graph(graph, _split)


def _split(node: Tensor) -> Tensor | None:
    if not isinstance(node, Reduction) or not node.reduce_axes:
        return None
    points, elements = _static(node.shape), _static(tuple(_extent(a) for a in node.reduce_axes))
    if points is None or elements is None or points > MOST_POINTS or elements < LEAST_ELEMENTS:
        return None
    split = max(node.reduce_axes, key=lambda a: a.extent if isinstance(a.extent, int) else 0)
    size = split.extent
    assert isinstance(size, int)
    parts = min(PARTS, size)
    each = -(-size // parts)
    parts = -(-size // each)
    part = Var("part", parts)
    first = build.mul(part, build.index(each))
    extent: Size = each
    if size % each:
        extent = build.minimum(build.index(each), build.sub(build.index(size), first))
    axes = tuple(Var(a.name, a.extent) for a in node.axes)
    reduced = tuple(Var(a.name, extent if a is split else a.extent) for a in node.reduce_axes)
    bindings = dict(zip((*node.axes, *node.reduce_axes), (*axes, *reduced), strict=True))
    inner = reduced[node.reduce_axes.index(split)]
    body = substitute(node.body, {**bindings, split: build.add(first, inner)})
    about = {"label": node.label, "loc": node.loc}
    partial = Reduction(f"{node.name}_parts", (part, *axes), reduced, node.combiner, body, **about)
    outer = tuple(Var(a.name, a.extent) for a in node.axes)
    again = Var("part", parts)
    value = Load(partial, (again, *outer))
    return Reduction(node.name, outer, (again,), node.combiner, value, **about)


def _extent(axis: Var) -> Size:
    assert axis.extent is not None
    return axis.extent


def _static(shape: tuple[Size, ...]) -> int | None:
    total = 1
    for size in shape:
        if not isinstance(size, int):
            return None
        total *= size
    return total
