"""Where the four elements of a texel lie in an array: axes as digits of one linear position.

In: axes in row-major order, a texel number and a lane. Out: index expressions over the two.
Element ``4 * texel + lane`` is written in mixed radix, one digit per axis. Neighbouring axes that
an access walks as one become a single digit, and digits that are the same for all lanes do not
mention the lane: that is how a later stage sees that one fetch serves four elements.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.ir import build
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.expr import Expr, Var

LANES = 4


class Unravel:
    """The digits of ``4 * texel + lane`` over axes of static extents."""

    def __init__(self, axes: Sequence[Var], texel: Var, lane: Var) -> None:
        self.axes = tuple(axes)
        self.extents = tuple(static_extent(axis) for axis in axes)
        self.below = _products_below(self.extents)
        self.total = 1
        for extent in self.extents:
            self.total *= extent
        self.texel = texel
        self.lane = lane
        self._digits: dict[tuple[int, int], Expr] = {}

    @property
    def position(self) -> Expr:
        """``4 * texel + lane``, which may lie past the end."""
        return build.add(build.mul(self.texel, build.index(LANES)), self.lane)

    def bindings(self) -> dict[Var, Expr]:
        """Every axis as its own digit."""
        return {axis: self._run(k, k) for k, axis in enumerate(self.axes)}

    def offset(self, form: Linear) -> Expr:
        """The linear form with its axes replaced by as few digits as possible; other terms stay."""
        total: Expr = build.index(0)
        last = len(self.axes) - 1
        while last >= 0:
            step = form.coefficient(self.axes[last])
            first = last
            if step:
                while first and form.coefficient(self.axes[first - 1]) == step * (
                    self.below[first - 1] // self.below[last]
                ):
                    first -= 1
                digit = self._run(first, last)
                total = build.add(total, build.mul(digit, build.index(step)))
            last = first - 1
        rest = {a: c for a, c in form.terms.items() if a not in self.axes}
        return build.add(total, Linear(rest, form.constant).expression())

    def _run(self, first: int, last: int) -> Expr:
        """The digit of axes `first` … `last` taken as one."""
        below = self.below[last]
        above = self.below[first] * self.extents[first]
        key = (below, above)
        if key not in self._digits:
            self._digits[key] = self._digit(below, above)
        return self._digits[key]

    def _digit(self, below: int, above: int) -> Expr:
        """``position % above // below``, where `above` is the total or divides it."""
        if above == below:
            return build.index(0)
        if below % LANES == 0:
            return self._part(self.texel, below // LANES, above // LANES, self.total // LANES)
        if below == 1 and above == self.total:
            return self.position  # a fetch past the end is guarded where it is emitted
        if below == 1 and above % LANES == 0:
            texel = self._part(self.texel, 1, above // LANES, self.total // LANES)
            return build.add(build.mul(texel, build.index(LANES)), self.lane)
        return self._part(self._clamped(), below, above, self.total)

    def _part(self, number: Expr, below: int, above: int, total: int) -> Expr:
        if above < total:
            number = build.mod(number, build.index(above))
        return build.floordiv(number, build.index(below))

    def _clamped(self) -> Expr:
        """The position, for elements past the end that of the last element."""
        if self.total % LANES == 0:
            return self.position
        return build.minimum(self.position, build.index(self.total - 1))


def static_extent(axis: Var) -> int:
    """The extent of an axis that is known to be static."""
    assert isinstance(axis.extent, int), axis.name
    return axis.extent


def _products_below(extents: Sequence[int]) -> tuple[int, ...]:
    products: list[int] = []
    product = 1
    for extent in reversed(extents):
        products.append(product)
        product *= extent
    return tuple(reversed(products))
