"""argmin and argmax become an extreme value and the first position that has it.

Two reductions that fuse into one kernel per row cost a second look at data that is in cache, and
need nothing that a target would have to special-case.
"""

from __future__ import annotations

from collections.abc import Mapping

from tilewright.ir import build, ops
from tilewright.ir.analysis.ranges import largest
from tilewright.ir.dtypes import I32, I64
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import Compute, Graph, Reduction, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.passes.split_large_reductions import in_parts, is_large
from tilewright.ir.traverse import substitute


def lower_arg_reductions(graph: Graph) -> Graph:
    """Every argmin and argmax in terms of min and max."""
    return rewrite_graph(graph, _lower)


def _lower(node: Tensor) -> Tensor | None:
    if not isinstance(node, Reduction) or node.combiner not in ("argmin", "argmax"):
        return None
    first = _first_of_parts(node) if is_large(node) and _has_equal_parts(node) else _first(node)
    out = tuple(Var(a.name, a.extent) for a in node.axes)
    return Compute(
        node.name, out, build.cast(Load(first, out), I64), label=node.label, loc=node.loc
    )


def _first(node: Reduction) -> Reduction:
    """The first position of the extreme value, in two reductions over the same axes."""
    axes = tuple(Var(a.name, a.extent) for a in node.axes)
    reduced = tuple(Var(a.name, a.extent) for a in node.reduce_axes)
    bindings = dict(zip((*node.axes, *node.reduce_axes), (*axes, *reduced), strict=True))
    best = _reduction(node, "value", node.axes, node.reduce_axes, node.combiner[3:], node.body)
    candidate = _candidate(
        substitute(node.body, bindings), Load(best, axes), _position(node, bindings)
    )
    return _reduction(node, "first", axes, reduced, "min", candidate)


def _has_equal_parts(node: Reduction) -> bool:
    """Parts of different lengths would be launches of their own."""
    return all(isinstance(a.extent, int) for a in in_parts(node)[2])


def _first_of_parts(node: Reduction) -> Reduction:
    """As `_first`, in parts that threads share: the first part's position that has the best of
    their extremes."""
    name = node.combiner[3:]
    part, axes, reduced, bindings = in_parts(node)
    places = (part, *axes)
    body = substitute(node.body, bindings)
    best = _reduction(node, "value_parts", places, reduced, name, body)
    part, axes, reduced, bindings = in_parts(node)
    places = (part, *axes)
    body = substitute(node.body, bindings)
    candidate = _candidate(body, Load(best, places), _position(node, bindings))
    first = _reduction(node, "first_parts", places, reduced, "min", candidate)
    axes, again = tuple(Var(a.name, a.extent) for a in node.axes), Var("part", part.extent)
    value = _reduction(node, "value", axes, (again,), name, Load(best, (again, *axes)))
    axes, again = tuple(Var(a.name, a.extent) for a in node.axes), Var("part", part.extent)
    places = (again, *axes)
    candidate = _candidate(Load(best, places), Load(value, axes), Load(first, places))
    return _reduction(node, "first", axes, (again,), "min", candidate)


def _reduction(
    node: Reduction,
    name: str,
    axes: tuple[Var, ...],
    reduced: tuple[Var, ...],
    combiner: str,
    body: Expr,
) -> Reduction:
    name = f"{node.name}_{name}"
    return Reduction(name, axes, reduced, combiner, body, label=node.label, loc=node.loc)


def _candidate(value: Expr, best: Expr, position: Expr) -> Expr:
    """`position` where `value` is the best one, else a greater one than all."""
    found: Expr = Apply(ops.EQ, (value, best))
    if value.dtype.is_float:
        both_nan = Apply(ops.AND, (Apply(ops.ISNAN, (value,)), Apply(ops.ISNAN, (best,))))
        found = Apply(ops.OR, (found, both_nan))
    return build.select(found, position, build.const(position.dtype.max, position.dtype))


def _position(node: Reduction, bindings: Mapping[Var, Expr]) -> Expr:
    """The row-major position in the reduced axes, in 32 bits where that is enough."""
    total: Expr = build.index(0)
    points = 1
    for axis in node.reduce_axes:
        assert axis.extent is not None
        total = build.add(build.mul(total, build.index(axis.extent)), bindings[axis])
        size = largest(axis.extent)
        points = points * size if size is not None else 1 << 62
    return build.cast(total, I32 if points < 1 << 31 else I64)
