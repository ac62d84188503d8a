"""Cutting an axis where index expressions change their form.

A stencil that reflects at the border reads ``|x - 1|``: near the edge a decreasing run of
elements, elsewhere an increasing one. Between the cuts every minimum, maximum, remainder and
comparison over the axis has one outcome, so that the middle can be vectorised; `simplify_indices`
then proves it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.lower.simplify_indices import index_simplifier
from tilewright.ir.program import Nest, Stage
from tilewright.ir.traverse import refold, substitute

_LEAST_SHARE = 0.5


class Interior(Struct, frozen=True):
    """``start … stop - 1`` of an axis; the whole axis where nothing needs cutting."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


def interior(
    stages: Sequence[Stage],
    axis: Var,
    start: int = 0,
    stop: int | None = None,
    wide: int | None = None,
) -> Interior:
    """The largest middle part of `axis`, or of ``start … stop - 1`` on it, in which the stages'
    index expressions keep one form. A rule that leaves less than half of the rest and less than
    `wide` points does not count."""
    if not isinstance(axis.extent, int):
        return Interior(0, 0)
    search = _Search(axis, start, axis.extent if stop is None else stop, wide)
    for stage in stages:
        search.visit((stage.value, *stage.indices))
    return Interior(search.start, search.stop)


def nest_inside(nest: Nest, axis: Var) -> Nest:
    """The nest as it reads in the interior of `axis`, where boundary rules do nothing."""
    inside = interior(nest.stages, axis)
    if (inside.start, inside.stop) in ((0, 0), (0, axis.extent)):
        return nest
    short = Var(axis.name, inside.size)
    place = build.add(short, build.index(inside.start))
    simplify = index_simplifier()

    def moved(value: Expr) -> Expr:
        return substitute(simplify(substitute(value, {axis: place})), {short: axis})

    stages = tuple(
        replace(s, value=moved(s.value), indices=tuple(moved(i) for i in s.indices))
        for s in nest.stages
    )
    return replace(nest, stages=stages)


class _Search:
    """Narrows the interior, one expression after the other."""

    def __init__(self, axis: Var, start: int, stop: int, wide: int | None) -> None:
        self.axis = axis
        self.start, self.stop = start, stop
        self.middle = (start + stop) // 2
        self.wide = stop - start if wide is None else wide
        self._resolved: dict[Expr, Expr] = {}

    def visit(self, roots: tuple[Expr, ...]) -> None:
        """Resolve expressions, operands first: what they are inside the interior."""
        for node in post_order(roots):
            if node.dtype is not INDEX and not _compares(node):
                continue
            self._resolved[node] = self._resolve(node)

    def _resolve(self, node: Expr) -> Expr:
        if not isinstance(node, Apply):
            return node
        operands = tuple(self._resolved.get(o, o) for o in node.operands)
        current: Expr = Apply(node.op, operands, node.dtype if node.op.result == "given" else None)
        match node.op:
            case ops.MIN | ops.MAX:
                side = self._side(*operands)
                if side is None:
                    return current
                first = (side >= 0) == (node.op is ops.MAX)
                return operands[0] if first else operands[1]
            case ops.MOD:
                return self._remainder(*operands) or current
            case _ if _compares(node):
                self._side(*operands)
                return current
            case _:
                return refold(current) or current

    def _side(self, a: Expr, b: Expr) -> int | None:
        """1 or -1: whether ``a - b`` is at least or below 0 in the interior, narrowed for it."""
        form = self._affine(build.sub(a, b))
        if form is None:
            return None
        factor, low, high = form
        here = factor * self.middle + low
        if here >= 0:
            return 1 if self._require(factor, low) else None
        # a - b <= -1 everywhere in the interior, whatever the other variables are.
        return -1 if self._require(-factor, -high - 1) else None

    def _remainder(self, a: Expr, b: Expr) -> Expr | None:
        divisor = build.known(b) or 0
        form = self._affine(a)
        if form is None or divisor <= 0:
            return None
        factor, low, high = form
        quotient = (factor * self.middle + low) // divisor
        base = quotient * divisor
        before = self.start, self.stop
        if self._require(factor, low - base) and self._require(-factor, base + divisor - 1 - high):
            return build.sub(a, build.index(base))
        self.start, self.stop = before  # half of the condition gains nothing
        return None

    def _affine(self, node: Expr) -> tuple[int, int, int] | None:
        """``factor * axis + [low, high]``; None where it is anything else or does not move."""
        form = linear(node)
        factor = form.coefficient(self.axis)
        rest = form.without(self.axis)
        if not factor or any(self.axis in post_order((t,)) for t in rest.terms):
            return None
        low, high = interval(rest.expression())
        return None if low is None or high is None else (factor, low, high)

    def _require(self, factor: int, constant: int) -> bool:
        """Narrow to where ``factor * axis + constant >= 0``, unless too little is left."""
        start, stop = self.start, self.stop
        if factor > 0:
            start = max(start, -(constant // factor))
        else:
            stop = min(stop, constant // -factor + 1)
        left = stop - start
        if left < self.wide and left < _LEAST_SHARE * (self.stop - self.start):
            return False
        self.start, self.stop = start, stop
        return True


def _compares(node: Expr) -> bool:
    return (
        isinstance(node, Apply) and node.op in ops.COMPARISONS and node.operands[0].dtype is INDEX
    )
