"""Copies of contraction operands in the order in which the inner loop reads them.

``out[m, n] = sum_k A[m, k] * B[n, k]`` reads B along k, but vectors should lie along n. One small
copy of B as (k, n) makes every load of the inner loop contiguous. A copy costs one read and one
write per element, and the contraction reads each many times.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import Access, accesses, flat, points
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute

_LEAST_REUSE = 8
_LEAST_WORK = 1 << 15


def pack_operands(nest: Nest) -> tuple[Nest, tuple[Nest, ...], tuple[Buffer, ...]]:
    """The nest reading packed copies, the nests that make them, and their buffers."""
    stage = _contraction(nest)
    if stage is None:
        return nest, (), ()
    axis = _column_axis(nest, stage)
    if axis is None:
        return nest, (), ()
    copies: list[Nest] = []
    buffers: list[Buffer] = []
    for access in accesses(nest):
        if access.stage is not stage or access.is_store or not access.stride(axis):
            continue
        if access.stride(axis) == 1:
            continue
        made = _pack(nest, stage, access, axis, len(copies))
        if made is None:
            return nest, (), ()
        nest, stage, copy, buffer = made
        copies.append(copy)
        buffers.append(buffer)
    return nest, tuple(copies), tuple(buffers)


def _contraction(nest: Nest) -> Stage | None:
    """The nest's one reducing stage, if it adds products and there is much to add."""
    reducing = [s for s in nest.stages if s.reduce_axes]
    if len(reducing) != 1 or any(s.axes for s in nest.stages) or len(nest.outer) < 2:
        return None
    stage = reducing[0]
    work = points(nest.outer) * points(stage.reduce_axes)
    return stage if is_product(stage) and work >= _LEAST_WORK else None


def _column_axis(nest: Nest, stage: Stage) -> Var | None:
    """The outer axis that the result is contiguous along, if an operand is not."""
    found = accesses(nest)
    stores = [a for a in found if a.is_store]
    for axis in nest.outer:
        if any(a.stride(axis) != 1 for a in stores) or not stores:
            continue
        loads = [a for a in found if a.stage is stage and not a.is_store]
        if any(a.stride(axis) is None for a in loads):
            return None
        moving = [a for a in loads if a.stride(axis)]
        others = [a for a in nest.outer if a is not axis]
        if moving and any(a.stride(axis) != 1 for a in moving) and _reused(moving, others):
            return axis
    return None


def _reused(moving: list[Access], others: list[Var]) -> bool:
    """Whether each operand along the axis is read again for many points of other axes."""
    return all(
        points(tuple(a for a in others if access.stride(a) == 0)) >= _LEAST_REUSE
        for access in moving
    )


def _pack(
    nest: Nest, stage: Stage, access: Access, axis: Var, number: int
) -> tuple[Nest, Stage, Nest, Buffer] | None:
    """Replace one load by a load from a copy ordered (other axes…, reduced axes…, `axis`)."""
    node = _load_of(stage, access)
    if node is None or len(set(node.indices)) != len(node.indices):
        return None
    used = [n for n in post_order(node.indices) if isinstance(n, Var)]
    if any(not isinstance(i, Var) for i in node.indices):
        return None
    order = [v for v in (*nest.outer, *stage.reduce_axes) if v in used and v is not axis]
    order.append(axis)
    sizes = [v.extent for v in order if isinstance(v.extent, int)]
    if len(sizes) < len(order):
        return None
    buffer = Buffer(f"{nest.name}_p{number}", sizes, node.dtype)
    fresh = {v: Var(v.name, v.extent) for v in order}
    copied = substitute(node, fresh)
    axes = tuple(fresh[v] for v in order)
    copy_stage = Stage((), (), None, copied, buffer, axes, "pack")
    copy = Nest(f"{nest.name}_pack{number}", axes, (copy_stage,), ())
    packed = Load(buffer, tuple(order))

    def swap(old: Load) -> Expr | None:
        return packed if old is node or _same(old, node) else None

    changed = replace(stage, value=substitute(stage.value, {}, swap))
    stages = tuple(changed if s is stage else s for s in nest.stages)
    return replace(nest, stages=stages), changed, copy, buffer


def _load_of(stage: Stage, access: Access) -> Load | None:
    for node in post_order((stage.value,)):
        if not isinstance(node, Load) or node.source is not access.buffer:
            continue
        if flat(access.buffer, node.indices).terms == access.form.terms:
            return node
    return None


def _same(a: Load, b: Load) -> bool:
    return a.source is b.source and a.indices == b.indices
