"""A scatter with many updates -> several launches with fewer, in the same order.

In: an `Ordered` step, which one thread runs. Out: steps that visit the same points in the same
order, none of which has more than `longest`. Drivers end what runs for too long, some without a
word: Mesa's software rasteriser leaves every loop after 65 535 rounds.
"""

from __future__ import annotations

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.expr import Expr, Var
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.gather_updates import unravelled
from tilewright.ir.program import Ordered, Repeat, Step
from tilewright.ir.traverse import substitute


def split_ordered(step: Ordered, longest: int) -> tuple[Step, ...]:
    """`step`, whose axes have known sizes, in parts of its points in row-major order."""
    total = points(step.axes)
    if total <= longest:
        return (step,)
    whole, rest = divmod(total, longest)
    counter = Var("part", whole)
    start = build.mul(counter, build.index(longest))
    parts: tuple[Step, ...] = (Repeat(counter, (_part(step, start, longest),)),)
    if rest:
        parts += (_part(step, build.index(total - rest), rest),)
    return parts


def _part(step: Ordered, start: Expr, count: int) -> Ordered:
    """The points from number `start` on."""
    point = Var("p", count)
    bindings = unravelled(step.axes, build.add(start, point))
    memo: dict[Expr, Expr] = {}
    return replace(
        step,
        axes=(point,),
        indices=tuple(substitute(i, bindings, memo=memo) for i in step.indices),
        value=substitute(step.value, bindings, memo=memo),
    )
