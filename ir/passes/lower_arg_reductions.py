"""argmin and argmax become an extreme value and the first position that has it.

Two reductions that fuse into one kernel per row cost a second look at data that is in cache, and
need nothing that a target would have to special-case.
"""

from __future__ import annotations

from tilewright.ir import build, ops
from tilewright.ir.dtypes import I32, I64
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import Compute, Graph, Reduction, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph
from tilewright.ir.ranges import largest
from tilewright.ir.traverse import substitute


def lower_arg_reductions(graph: Graph) -> Graph:
    """Every argmin and argmax in terms of min and max."""
    return rewrite_graph(graph, _lower)


def _lower(node: Tensor) -> Tensor | None:
    if not isinstance(node, Reduction) or node.combiner not in ("argmin", "argmax"):
        return None
    about = {"label": node.label, "loc": node.loc}
    axes, reduced = node.axes, node.reduce_axes
    name = node.combiner[3:]
    extreme = Reduction(f"{node.name}_value", axes, reduced, name, node.body, **about)
    axes, reduced, body = _renamed(node)
    here = Load(extreme, axes)
    found: Expr = Apply(ops.EQ, (body, here))
    if body.dtype.is_float:
        both_nan = Apply(ops.AND, (Apply(ops.ISNAN, (body,)), Apply(ops.ISNAN, (here,))))
        found = Apply(ops.OR, (found, both_nan))
    position, dtype = _position(reduced)
    absent = build.const(dtype.max, dtype)
    candidate = build.select(found, position, absent)
    first = Reduction(f"{node.name}_first", axes, reduced, "min", candidate, **about)
    out = tuple(Var(a.name, a.extent) for a in axes)
    return Compute(node.name, out, build.cast(Load(first, out), I64), **about)


def _renamed(node: Reduction) -> tuple[tuple[Var, ...], tuple[Var, ...], Expr]:
    """The node's axes and body on fresh variables."""
    axes = tuple(Var(a.name, a.extent) for a in node.axes)
    reduced = tuple(Var(a.name, a.extent) for a in node.reduce_axes)
    bindings = dict(zip((*node.axes, *node.reduce_axes), (*axes, *reduced), strict=True))
    return axes, reduced, substitute(node.body, bindings)


def _position(reduced: tuple[Var, ...]):  # type: ignore[no-untyped-def]
    """The row-major position in the reduced axes, in 32 bits where that is enough."""
    total: Expr = build.index(0)
    points = 1
    for axis in reduced:
        assert axis.extent is not None
        total = build.add(build.mul(total, build.index(axis.extent)), axis)
        size = largest(axis.extent)
        points = points * size if size is not None else 1 << 62
    dtype = I32 if points < 1 << 31 else I64
    return build.cast(total, dtype), dtype
