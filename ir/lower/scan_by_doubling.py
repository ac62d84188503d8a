"""A running combination -> log2(n) nests, each combining elements twice as far apart.

This is Hillis and Steele's scan: after the step of distance d an element combines the 2 d elements
up to itself. The tree has height log2(n), so sums are more accurate than a loop's.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute


def scan_by_doubling(nest: Nest) -> tuple[Nest, ...]:
    """The nests that compute a nest of one scanning stage."""
    if len(nest.stages) != 1:
        raise IRError(f"{nest.name} has a scan among other stages")
    (stage,) = nest.stages
    axis = stage.axes[-1]
    if not isinstance(axis.extent, int):
        raise UnsupportedError(f"{nest.name} scans the open dimension {axis.name}")
    distances = [1 << k for k in range(max(1, (axis.extent - 1).bit_length()))]
    first = replace(stage, axes=(), combiner=None)
    outer = (*nest.outer, *stage.axes)
    buffers = _buffers(stage, len(distances))
    nests = [Nest(nest.name, outer, (replace(first, target=buffers[0]),), ())]
    for k, distance in enumerate(distances):
        nests.append(_combine(nest.name, outer, stage, buffers[k], buffers[k + 1], distance))
    return tuple(nests)


def _buffers(stage: Stage, steps: int) -> list[Buffer]:
    """Two temporaries in turn, and the target last."""
    target = stage.target
    pair = [Buffer(f"{target.name}_scan{k}", target.shape, target.dtype) for k in range(2)]
    return [*(pair[k % 2] for k in range(steps)), target]


def _combine(
    name: str, outer: tuple[Var, ...], stage: Stage, source: Buffer, target: Buffer, distance: int
) -> Nest:
    op = COMBINERS[(stage.combiner or "")[5:]].op
    if op is None:
        raise IRError(f"a scan cannot combine by {stage.combiner}")
    axes = {axis: Var(axis.name, axis.extent) for axis in outer}
    along = axes[stage.axes[-1]]
    here = tuple(substitute(index, dict(axes)) for index in stage.indices)
    back = build.maximum(build.sub(along, build.index(distance)), build.index(0))
    there = tuple(substitute(index, {along: back}) for index in here)
    value = Load(source, here)
    combined = Apply(op, (Load(source, there), value))
    chosen: Expr = build.select(build.ge(along, build.index(distance)), combined, value)
    made = Stage((), (), None, chosen, target, here, stage.label, stage.loc)
    return Nest(name, tuple(axes.values()), (made,), ())
