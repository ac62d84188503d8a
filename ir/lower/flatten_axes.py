"""A nest over several outer axes -> the nest over one, the number of a point in row-major order.

The places on the former axes are quotients and remainders of the number. Other than in
`collapse_axes` accesses need not walk the axes as one; only what is stored must lie in that order.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from tilewright.ir.expr import Expr, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import accesses
from tilewright.ir.lower.workgroup.grid import split_index
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import substitute


def can_flatten(nest: Nest) -> bool:
    """Whether every store fills an array in the order of the outer axes' points."""
    sizes = [a.extent for a in nest.outer if isinstance(a.extent, int)]
    if len(sizes) < len(nest.outer) or any(s.axes for s in nest.stages):
        return False
    steps = {a: math.prod(sizes[k + 1 :]) for k, a in enumerate(nest.outer)}
    for access in accesses(nest):
        if not access.is_store:
            continue
        wanted = {a: step for a, step in steps.items() if a.extent != 1}
        found = {a: step for a, step in access.form.terms.items() if a not in steps or a in wanted}
        if access.form.constant or found != wanted or _size(access.buffer) != math.prod(sizes):
            return False
    return True


def flatten_axes(nest: Nest) -> Nest:
    """`nest`, of which `can_flatten` holds, over one outer axis."""
    sizes = [a.extent for a in nest.outer if isinstance(a.extent, int)]
    number = Var(nest.outer[-1].name, math.prod(sizes))
    places = dict(zip(nest.outer, split_index(number, sizes), strict=True))
    memo: dict[Expr, Expr] = {}

    def stage(old: Stage) -> Stage:
        made = replace(old, value=substitute(old.value, places, memo=memo))
        if old.target in nest.locals:
            return made
        buffer = old.target
        flat = Buffer(buffer.name, (number.extent or 0,), buffer.dtype, buffer.space, base=buffer)
        return replace(made, target=flat, indices=(number,))

    return replace(nest, outer=(number,), stages=tuple(stage(s) for s in nest.stages))


def _size(buffer: Buffer) -> int:
    return math.prod(n for n in buffer.shape if isinstance(n, int))
