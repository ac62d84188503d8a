"""Copies of contraction operands in the order in which the inner loop reads them.

In: a nest and the axis that will lie across lanes. ``out[m, n] = sum_k A[m, k] * B[n, k]`` reads B
along k: if vectors lie along n, one small copy of B as (k, n) makes every load of the inner loop
contiguous; if they lie along k, the same is true of a B that is stored as (k, n). A copy costs one
read and one write per element, and the contraction reads each many times.
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
_ROW_PADDING = 16
"""Elements between rows: at a power of two they would compete for the same lines of the cache."""


def pack_operands(nest: Nest, axis: Var) -> tuple[Nest, tuple[Nest, ...], tuple[Buffer, ...]]:
    """The nest reading packed copies of what does not lie along `axis`, the nests that make them,
    and their buffers."""
    stage = contraction(nest)
    if stage is None:
        return nest, (), ()
    copies: list[Nest] = []
    buffers: list[Buffer] = []
    for access in accesses(nest):
        if access.stride(axis) in (0, 1) or not is_worth_a_copy(nest, stage, access):
            continue
        nest, stage, copy, buffer = _pack(nest, stage, access, axis, len(copies))
        copies.append(copy)
        buffers.append(buffer)
    return nest, tuple(copies), tuple(buffers)


def contraction(nest: Nest) -> Stage | None:
    """The nest's one reducing stage, if it adds products and no stage has axes of its own."""
    reducing = [s for s in nest.stages if s.reduce_axes]
    if len(reducing) != 1 or any(s.axes for s in nest.stages):
        return None
    return reducing[0] if is_product(reducing[0]) else None


def is_worth_a_copy(nest: Nest, stage: Stage, access: Access) -> bool:
    """Whether `access` is a load of `stage` from what can be copied, and is read often enough."""
    if points(nest.outer) * points(stage.reduce_axes) < _LEAST_WORK:
        return False
    node = _load_of(stage, access)
    if node is None or len(set(node.indices)) != len(node.indices):
        return False
    if any(not isinstance(i, Var) or not isinstance(i.extent, int) for i in node.indices):
        return False
    return points(tuple(a for a in nest.outer if access.stride(a) == 0)) >= _LEAST_REUSE


def _pack(
    nest: Nest, stage: Stage, access: Access, axis: Var, number: int
) -> tuple[Nest, Stage, Nest, Buffer]:
    """Replace one load by a load from a copy ordered (other axes…, reduced axes…, `axis`)."""
    node = _load_of(stage, access)
    assert node is not None
    order = [v for v in (*nest.outer, *stage.reduce_axes) if v in node.indices and v is not axis]
    order.append(axis)
    sizes = [v.extent for v in order if isinstance(v.extent, int)]
    if axis in stage.reduce_axes:
        sizes[-1] += _ROW_PADDING
    buffer = Buffer(f"{nest.name}_p{number}", sizes, node.dtype)
    fresh = {v: Var(v.name, v.extent) for v in order}
    copied = substitute(node, fresh)
    axes = tuple(fresh[v] for v in order)
    copy_stage = Stage((), (), None, copied, buffer, axes, "pack")
    copy = Nest(f"{nest.name}_pack{number}", axes, (copy_stage,), ())
    packed = Load(buffer, tuple(order))

    def swap(old: Load) -> Expr | None:
        return packed if _same(old, node) else None

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
