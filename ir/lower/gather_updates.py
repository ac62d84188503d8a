"""A scatter -> a nest in which every element of the target looks through all updates.

Without a combiner the last update wins, so each element searches for the number of its last one;
with a combiner the updates of an element are reduced. Costs elements times updates.
"""

from __future__ import annotations

from tilewright.ir import build
from tilewright.ir.analysis.affine import offset, row_major_strides
from tilewright.ir.dtypes import I32, INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Ordered, Stage
from tilewright.ir.traverse import substitute


def gather_updates(step: Ordered) -> Nest:
    """``target[e] = combine(target[e], the updates of e)`` for every element e."""
    size = build.product(step.target.root.shape)
    flat = Buffer(step.target.name, (size,), step.target.dtype, base=step.target)
    element = Var("e", size)
    here = offset(step.indices, row_major_strides(step.target.shape))
    hit = build.eq(here, element)
    old = Load(flat, (element,))
    if step.combiner is None:
        return _last_update(step, flat, element, hit, old)
    combiner = COMBINERS[step.combiner]
    if combiner.op is None:
        raise IRError(f"a scatter cannot combine by {combiner.name}")
    found = Buffer("updates", (), step.value.dtype, "scratch")
    value = build.select(hit, step.value, identity(combiner.name, step.value.dtype))
    gathered = Stage((), step.axes, combiner.name, value, found, ())
    combined = Apply(combiner.op, (old, Load(found, ())))
    stored = Stage((), (), None, combined, flat, (element,))
    return Nest(step.name, (element,), (gathered, stored), (found,))


def _last_update(step: Ordered, flat: Buffer, element: Var, hit: Expr, old: Expr) -> Nest:
    number: Expr = build.index(0)
    for axis in step.axes:
        assert axis.extent is not None
        number = build.add(build.mul(number, build.index(axis.extent)), axis)
    found = Buffer("last", (), I32, "scratch")
    none = build.const(-1, I32)
    candidate = build.select(hit, build.cast(number, I32), none)
    search = Stage((), step.axes, "max", candidate, found, ())
    last = Load(found, ())
    position = build.cast(build.maximum(last, build.const(0, I32)), INDEX)
    value = substitute(step.value, unravelled(step.axes, position))
    chosen = build.select(build.ge(last, build.const(0, I32)), value, old)
    stored = Stage((), (), None, chosen, flat, (element,))
    return Nest(step.name, (element,), (search, stored), (found,))


def unravelled(axes: tuple[Var, ...], position: Expr) -> dict[Var, Expr]:
    """Each axis as a digit of a row-major position."""
    bindings: dict[Var, Expr] = {}
    for axis in reversed(axes):
        assert axis.extent is not None
        extent = build.index(axis.extent)
        bindings[axis] = build.mod(position, extent)
        position = build.floordiv(position, extent)
    return bindings
