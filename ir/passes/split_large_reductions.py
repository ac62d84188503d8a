"""A reduction to few points over many elements is done in parts, so that threads share the work.

The number of parts depends on the shape alone: the result is the same for any number of threads.
"""

from __future__ import annotations

from tilewright.ir import build
from tilewright.ir.analysis.affine import linear, offset, row_major_strides
from tilewright.ir.expr import Apply, Expr, Load, Size, Var, post_order
from tilewright.ir.graph import COMBINERS, Compute, Graph, Reduction, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.ops import Op
from tilewright.ir.traverse import substitute

MOST_POINTS = 16
LEAST_ELEMENTS = 1 << 16
PARTS = 64
LEAST_PARTS = 16


def split_large_reductions(graph: Graph) -> Graph:
    """Reductions of at least `LEAST_ELEMENTS` elements to at most `MOST_POINTS` in two steps."""
    return rewrite_graph(graph, _split)


def _split(node: Tensor) -> Tensor | None:
    if not isinstance(node, Reduction) or not is_large(node):
        return None
    part, axes, reduced, bindings = in_parts(node)
    body = substitute(node.body, bindings)
    about = {"label": node.label, "loc": node.loc}
    partial = Reduction(f"{node.name}_parts", (part, *axes), reduced, node.combiner, body, **about)
    outer = tuple(Var(a.name, a.extent) for a in node.axes)
    parts = part.extent
    assert isinstance(parts, int)
    if partial.dtype.is_float and node.combiner in ("add", "mul"):
        loads: list[Expr] = [Load(partial, (build.index(k), *outer)) for k in range(parts)]
        return Compute(node.name, outer, _balanced(COMBINERS[node.combiner].op, loads), **about)
    again = Var("part", parts)
    value = Load(partial, (again, *outer))
    return Reduction(node.name, outer, (again,), node.combiner, value, **about)


def is_large(node: Reduction) -> bool:
    """Whether threads should share the work of few points."""
    if not node.reduce_axes:
        return False
    points, elements = _static(node.shape), _static(tuple(_extent(a) for a in node.reduce_axes))
    if points is None or elements is None:
        return False
    return points <= MOST_POINTS and elements >= LEAST_ELEMENTS


def in_parts(
    node: Reduction,
) -> tuple[Var, tuple[Var, ...], tuple[Var, ...], dict[Var, Expr]]:
    """One reduced axis cut: a variable for the part, new axes and reduced axes of one part, and
    what the old ones are in terms of them."""
    split = _cut_axis(node)
    size = split.extent
    assert isinstance(size, int)
    each = -(-size // _parts_of(size))
    part = Var("part", -(-size // each))
    first = build.mul(part, build.index(each))
    extent: Size = each
    if size % each:
        extent = build.minimum(build.index(each), build.sub(build.index(size), first))
    axes = tuple(Var(a.name, a.extent) for a in node.axes)
    reduced = tuple(Var(a.name, extent if a is split else a.extent) for a in node.reduce_axes)
    bindings: dict[Var, Expr] = dict(
        zip((*node.axes, *node.reduce_axes), (*axes, *reduced), strict=True)
    )
    inner = reduced[node.reduce_axes.index(split)]
    return part, axes, reduced, {**bindings, split: build.add(first, inner)}


def _cut_axis(node: Reduction) -> Var:
    """The axis along which elements lie furthest apart, so that a part is a stretch of memory; the
    longest where that has too few points."""
    sizes = {a: a.extent for a in node.reduce_axes if isinstance(a.extent, int)}
    apart = dict.fromkeys(sizes, 0)
    for load in post_order((node.body,)):
        if not isinstance(load, Load) or _static(load.source.shape) is None:
            continue
        form = linear(offset(load.indices, row_major_strides(load.source.shape)))
        for axis in sizes:
            apart[axis] = max(apart[axis], abs(form.coefficient(axis)))
    long = [a for a, size in sizes.items() if size >= LEAST_PARTS]
    if not long:
        return max(sizes, key=lambda a: sizes[a])
    return max(long, key=lambda a: (apart[a], sizes[a]))


def _parts_of(size: int) -> int:
    """`PARTS`, or a little fewer if parts are all of one length then."""
    most = min(PARTS, size)
    for parts in range(most, most // 2, -1):
        if size % parts == 0:
            return parts
    return most


def _balanced(op: Op | None, terms: list[Expr]) -> Expr:
    """A tree of height log2 of the terms: what a reduction would add to its own height is more
    than the promise of `numerics.md` leaves to the results of parts."""
    assert op is not None
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        odd = terms[-1:] if len(terms) % 2 else []
        terms = [Apply(op, pair) for pair in pairs] + odd
    return terms[0]


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
