"""Rows whose length is not a multiple of four, computed as if it were.

In: nests. Out: nests of which those that would pay for odd rows write to a padded temporary, so
that the four elements of a texel lie in one row and are read together; a last nest packs the rows
again where someone needs them packed. What is computed in the padding is never read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace

from tilewright.ir.analysis.affine import linear
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.fragment.grid import FragmentLowering
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Copy, Nest, Stage, Step, leaves, map_steps
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import replace_sources, substitute

# Packing the rows again costs one such load per element.
LEAST_LOADS = 4


def pad_rows(steps: Sequence[Step], external: Collection[Buffer]) -> tuple[Step, ...]:
    """`external` are the buffers that the caller sees: they stay as they are."""
    writes = Counter(_written(steps))
    padded: dict[Buffer, Buffer] = {}
    made: list[Step] = []
    packing: dict[int, Buffer] = {}
    for old in steps:
        (step,) = map_steps((old,), lambda leaf: (_reading(leaf, padded),))
        if not isinstance(step, Nest) or not _pays(step, writes):
            made.append(step)
            continue
        target = step.stages[-1].target
        padded[target] = Buffer(f"{target.name}_rows", _padded_shape(target), target.dtype)
        made.append(_on_padded_rows(step, padded[target]))
        packing[len(made)] = target
        made.append(_pack(step.name, padded[target], target))
    needed = {*external, *_read(made)}
    return tuple(s for k, s in enumerate(made) if k not in packing or packing[k] in needed)


def _reading(step: Step, padded: dict[Buffer, Buffer]) -> Step:
    """A nest that reads padded rows where there are some."""
    if not isinstance(step, Nest) or not padded.keys() & set(_read([step])):
        return step
    mapping = dict(padded)
    stages = tuple(
        replace(s, value=replace_sources(s.value, mapping))  # type: ignore[arg-type]
        for s in step.stages
    )
    return replace(step, stages=stages)


def _pays(nest: Nest, writes: Counter[Buffer]) -> bool:
    # Writes of a view are those of its base.
    if _last_axis(nest) is None or writes[nest.stages[-1].target] != 1:
        return False
    return _odd_loads(nest) >= LEAST_LOADS


def _last_axis(nest: Nest) -> Var | None:
    """The outer axis along the rows of the output, if those have an odd length."""
    final = nest.stages[-1]
    if len(final.indices) < 2 or not all(
        isinstance(a.extent, int) and a.extent for a in nest.outer
    ):
        return None
    axis = next((a for a in nest.outer if a is final.indices[-1]), None)
    if axis is None or axis.extent != final.target.shape[-1]:
        return None
    assert isinstance(axis.extent, int)
    return axis if axis.extent % LANES else None


def _odd_loads(nest: Nest) -> int:
    """How often a texel of the output looks up its four elements one by one."""
    lowering = FragmentLowering(collapse_axes(nest), Schedule())
    count = 0
    for stage in lowering.nest.stages:
        points = 1
        for axis in stage.reduce_axes:
            points *= axis.extent if isinstance(axis.extent, int) else 1
        value = lowering.on_digits(stage.value)
        for node in post_order((value,)):
            if isinstance(node, Load) and _is_odd(node, lowering.lane):
                count += points
    return count


def _is_odd(node: Load, lane: Var) -> bool:
    return any(
        atom is not lane and any(inner is lane for inner in post_order((atom,)))
        for index in node.indices
        for atom in linear(index).terms
    )


def _padded_shape(target: Buffer) -> tuple[int | Expr, ...]:
    *rest, last = target.shape
    assert isinstance(last, int)
    return (*rest, -(-last // LANES) * LANES)


def _on_padded_rows(nest: Nest, target: Buffer) -> Nest:
    last = _last_axis(nest)
    assert last is not None
    longer = Var(last.name, target.shape[-1])
    bindings: dict[Var, Expr] = {last: longer}
    stages = [
        replace(
            stage,
            value=substitute(stage.value, bindings),
            indices=tuple(substitute(index, bindings) for index in stage.indices),
        )
        for stage in nest.stages
    ]
    stages[-1] = replace(stages[-1], target=target)
    outer = tuple(longer if axis is last else axis for axis in nest.outer)
    return replace(nest, outer=outer, stages=tuple(stages))


def _pack(name: str, source: Buffer, target: Buffer) -> Nest:
    axes = tuple(Var(f"i{k}", size) for k, size in enumerate(target.shape))
    stage = Stage((), (), None, Load(source, axes), target, axes)
    return Nest(f"{name}_pack", axes, (stage,), ())


def _written(steps: Sequence[Step]) -> Iterator[Buffer]:
    for step in leaves(steps):
        if isinstance(step, Nest):
            yield step.stages[-1].target.root
        elif isinstance(step, Copy):
            yield step.target.root


def _read(steps: Sequence[Step]) -> Iterator[Buffer]:
    for step in leaves(steps):
        if isinstance(step, Copy):
            yield step.source.root
        if not isinstance(step, Nest):
            continue
        for node in post_order([s.value for s in step.stages]):
            if isinstance(node, Load) and isinstance(node.source, Buffer):
                yield node.source.root
