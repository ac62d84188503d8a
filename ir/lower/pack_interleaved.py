"""Copies of records that a nest reads again and again, field by field.

``iou[i, j]`` reads the four corners of box `j`, which lie side by side: vectors along `j` would be
shuffled together for every `i`. A copy with the fields apart costs one read and one write for each
element; then every load is of neighbours.

In: a nest. Out: the nest reading copies, the nests that make them, and their buffers.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import points
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute

_LEAST_REUSE = 8


def pack_interleaved(
    nest: Nest, most_fields: int
) -> tuple[Nest, tuple[Nest, ...], tuple[Buffer, ...]]:
    """The nest with the fields of all such records apart. Records of more than `most_fields` are
    walked along themselves, or are the operands of products."""
    axis = _vector_axis(nest)
    if axis is None:
        return nest, (), ()
    loads = _loads(nest)
    written = {s.target.root for s in nest.stages}
    sources = dict.fromkeys(n.source for n in loads if isinstance(n.source, Buffer))
    packed: dict[Buffer, Buffer] = {}
    copies: list[Nest] = []
    for source in sources:
        inside = [n for n in loads if n.source is source]
        if source.root in written or not 2 <= _fields(source) <= most_fields:
            continue
        if _is_worth_it(nest, source, inside, axis):
            packed[source] = Buffer(f"{nest.name}_f{len(packed)}", _turned(source), source.dtype)
            copies.append(_copy(source, packed[source]))
    return _reading(nest, packed), tuple(copies), tuple(packed.values())


def _vector_axis(nest: Nest) -> Var | None:
    """The axis along which results are neighbours, if maps are all that is left at its points."""
    if len(nest.outer) < 2 or any(s.axes for s in nest.stages):
        return None
    last = nest.outer[-1]
    stored = [s for s in nest.stages if s.target not in nest.locals]
    return last if all(s.indices and s.indices[-1] is last for s in stored) else None


def _is_worth_it(nest: Nest, source: Buffer, loads: list[Load], axis: Var) -> bool:
    shape = source.shape
    if source.base is not None or source.strides is not None or source.space != "global":
        return False
    if not all(isinstance(n, int) for n in shape) or shape[-2] != axis.extent:
        return False
    if any(n.indices[-2] is not axis or axis in post_order(_others(n)) for n in loads):
        return False
    return points(nest.outer) >= _LEAST_REUSE * math.prod(n for n in shape if isinstance(n, int))


def _fields(source: Buffer) -> int:
    last = source.shape[-1] if len(source.shape) > 1 else 0
    return last if isinstance(last, int) else 0


def _others(load: Load) -> tuple[Expr, ...]:
    return (*load.indices[:-2], load.indices[-1])


def _turned(source: Buffer) -> tuple[int, ...]:
    *outer, records, fields = (n for n in source.shape if isinstance(n, int))
    return (*outer, fields, records)


def _copy(source: Buffer, packed: Buffer) -> Nest:
    axes = tuple(Var(f"i{k}", size) for k, size in enumerate(packed.shape))
    value = Load(source, (*axes[:-2], axes[-1], axes[-2]))
    return Nest(packed.name, axes, (Stage((), (), None, value, packed, axes),), ())


def _reading(nest: Nest, packed: dict[Buffer, Buffer]) -> Nest:
    memo: dict[Expr, Expr] = {}

    def load(node: Load) -> Expr | None:
        target = packed.get(node.source)  # type: ignore[call-overload]
        if target is None:
            return None
        *outer, record, field = node.indices
        return Load(target, (*outer, field, record))

    stages = tuple(
        replace(s, value=substitute(s.value, {}, load, memo)) if packed else s for s in nest.stages
    )
    return replace(nest, stages=stages)


def _loads(nest: Nest) -> list[Load]:
    roots = [e for s in nest.stages for e in (s.value, *s.indices)]
    return [n for n in post_order(roots) if isinstance(n, Load)]
