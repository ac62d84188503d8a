"""A reshape that splits axes, or adds and drops axes of one element, becomes an index map.

Such a reshape can be fused like any other view. One that merges axes stays: on a stored tensor it
costs nothing (the buffer is read under another shape), and as an index map it would divide.
"""

from __future__ import annotations

from tilewright.ir import build
from tilewright.ir.expr import Expr, Load, Size, Var
from tilewright.ir.graph import Compute, Constant, Graph, Input, Reshape, Tensor
from tilewright.ir.graph_rewrite import rewrite_graph


def lower_reshapes(graph: Graph) -> Graph:
    """Reshapes of computed tensors as index maps where no division is needed."""
    return rewrite_graph(graph, _lower)


def _lower(node: Tensor) -> Tensor | None:
    if not isinstance(node, Reshape):
        return None
    operand = node.operand
    while isinstance(operand, Reshape):
        operand = operand.operand
    if isinstance(operand, (Input, Constant)) and operand is node.operand:
        return None
    if operand.shape == node.shape:
        return operand
    axes = tuple(Var(f"i{k}", size) for k, size in enumerate(node.shape))
    indices = split_indices(operand.shape, axes)
    about = {"label": node.label, "loc": node.loc}
    if indices is None:
        return (
            Reshape(node.name, operand, node.shape, **about)
            if operand is not node.operand
            else None
        )
    return Compute(node.name, axes, Load(operand, indices), **about)


def split_indices(old: tuple[Size, ...], axes: tuple[Var, ...]) -> tuple[Expr, ...] | None:
    """Indices into the old shape, if each old axis is a run of whole new ones; else None."""
    indices: list[Expr] = []
    position = 0
    for size in old:
        if size == 1:
            indices.append(build.index(0))
            continue
        total: Expr = build.index(0)
        covered: Size = 1
        while covered != size:
            if position == len(axes):
                return None
            extent = axes[position].extent
            assert extent is not None
            total = build.add(build.mul(total, build.index(extent)), axes[position])
            covered = build.size_mul(covered, extent)
            position += 1
            if isinstance(covered, int) and isinstance(size, int) and covered > size:
                return None
        indices.append(total)
    if any(axis.extent != 1 for axis in axes[position:]):
        return None
    return tuple(indices)
