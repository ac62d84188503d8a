"""A running combination -> log2(n) nests, each combining elements twice as far apart.

This is Hillis and Steele's scan: after the step of distance d an element combines the 2 d elements
up to itself. The tree has height log2(n), so sums are more accurate than a loop's.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.errors import IRError, UnsupportedError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import COMBINERS
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.alternate_passes import alternate_passes
from tilewright.ir.program import Nest, Stage, Step
from tilewright.ir.traverse import substitute


def scan_by_doubling(nest: Nest) -> tuple[Step, ...]:
    """The steps that compute a nest of one scanning stage."""
    if len(nest.stages) != 1:
        raise IRError(f"{nest.name} has a scan among other stages")
    (stage,) = nest.stages
    axis = stage.axes[-1]
    if not isinstance(axis.extent, int):
        raise UnsupportedError(f"{nest.name} scans the open dimension {axis.name}")
    count = max(1, (axis.extent - 1).bit_length())
    outer = (*nest.outer, *stage.axes)
    target = stage.target
    one, other = (Buffer(f"{target.name}_scan{k}", target.shape, target.dtype) for k in range(2))

    def combine(number: Expr, old: Buffer, new: Buffer) -> Nest:
        return _combine(nest.name, outer, stage, old, new, number)

    first = Nest(nest.name, outer, (replace(stage, axes=(), combiner=None, target=one),), ())
    passes, last = alternate_passes(count - 1, (one, other), combine)
    return (first, *passes, combine(build.index(count - 1), last, target))


def _combine(
    name: str, outer: tuple[Var, ...], stage: Stage, source: Buffer, target: Buffer, number: Expr
) -> Nest:
    """The pass over a distance of ``2**number``."""
    op = COMBINERS[stage.combined_by].op
    if op is None:
        raise IRError(f"a scan cannot combine by {stage.combiner}")
    axes = {axis: Var(axis.name, axis.extent) for axis in outer}
    along = axes[stage.axes[-1]]
    exponent = build.known(number)
    distance = (
        Apply(ops.SHL_RAW, (build.index(1), number))
        if exponent is None
        else build.index(1 << exponent)
    )
    here = tuple(substitute(index, dict(axes)) for index in stage.indices)
    back = build.maximum(build.sub(along, distance), build.index(0))
    there = tuple(substitute(index, {along: back}) for index in here)
    value = Load(source, here)
    combined = Apply(op, (Load(source, there), value))
    chosen: Expr = build.select(build.ge(along, distance), combined, value)
    made = Stage((), (), None, chosen, target, here, stage.label, stage.loc)
    return Nest(name, tuple(axes.values()), (made,), ())
