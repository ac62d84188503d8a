"""A scatter -> a nest in which every element of the target looks through all updates.

Without a combiner the last update wins, so each element searches for the number of its last one;
with a combiner the updates of an element are reduced. Costs elements times updates.
"""

from __future__ import annotations

from tilewright.ir import build
from tilewright.ir.dtypes import I32, INDEX
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Expr, Load, Var
from tilewright.ir.graph import COMBINERS, identity
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.scatter_axes import ScatterAxes, unravelled
from tilewright.ir.program import Nest, Ordered, Stage
from tilewright.ir.traverse import substitute


def gather_updates(step: Ordered, axes: ScatterAxes) -> Nest:
    """``target[e] = combine(target[e], the updates of e)`` for every element e."""
    hit = build.eq(axes.bucket, axes.here)
    old = Load(axes.target, axes.elements)
    if not axes.updates:
        return _only_update(step, axes, hit, old)
    if step.combiner is None:
        return _last_update(step, axes, hit, old)
    combiner = COMBINERS[step.combiner]
    found = Buffer("updates", (), step.value.dtype, "scratch")
    value = build.select(hit, axes.value, identity(combiner.name, step.value.dtype))
    gathered = Stage((), axes.updates, combiner.name, value, found, ())
    combined = _combined(step, old, Load(found, ()))
    stored = Stage((), (), None, combined, axes.target, axes.elements)
    return Nest(step.name, axes.elements, (gathered, stored), (found,))


def _combined(step: Ordered, old: Expr, value: Expr) -> Expr:
    if step.combiner is None:
        return value
    combiner = COMBINERS[step.combiner]
    if combiner.op is None:
        raise IRError(f"a scatter cannot combine by {combiner.name}")
    return Apply(combiner.op, (old, value))


def _only_update(step: Ordered, axes: ScatterAxes, hit: Expr, old: Expr) -> Nest:
    """Each element has one update at most: there is nothing to look through."""
    value = build.select(hit, _combined(step, old, axes.value), old)
    stored = Stage((), (), None, value, axes.target, axes.elements)
    return Nest(step.name, axes.elements, (stored,), ())


def _last_update(step: Ordered, axes: ScatterAxes, hit: Expr, old: Expr) -> Nest:
    found = Buffer("last", (), I32, "scratch")
    none = build.const(-1, I32)
    candidate = build.select(hit, build.cast(_number(axes.updates), I32), none)
    search = Stage((), axes.updates, "max", candidate, found, ())
    last = Load(found, ())
    position = build.cast(build.maximum(last, build.const(0, I32)), INDEX)
    value = substitute(axes.value, unravelled(axes.updates, position))
    chosen = build.select(build.ge(last, build.const(0, I32)), value, old)
    stored = Stage((), (), None, chosen, axes.target, axes.elements)
    return Nest(step.name, axes.elements, (search, stored), (found,))


def _number(axes: tuple[Var, ...]) -> Expr:
    """The row-major number of an update."""
    number: Expr = build.index(0)
    for axis in axes:
        assert axis.extent is not None
        number = build.add(build.mul(number, build.index(axis.extent)), axis)
    return number
