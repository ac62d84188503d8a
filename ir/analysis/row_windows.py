"""Which rows of an image a stencil reads: an index as a boundary rule of ``row + offsets``.

``max(min(y + r - 1, 1079), 0)`` is the rule ``max(min(z, 1079), 0)`` at ``z = y + r - 1``, which
lies between -1 and 1 rows beyond `y` if `r` runs to 2.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from tilewright.ir.analysis.affine import Linear, linear
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import INDEX
from tilewright.ir.expr import Apply, Expr, Var, post_order
from tilewright.ir.interpret.values import evaluate, reads_nothing
from tilewright.ir.traverse import rewrite, substitute, variables


class Reach(Struct, frozen=True):
    """From the lowest to the highest offset of what is read."""

    low: int
    high: int

    @property
    def extra(self) -> int:
        """Rows beyond those that are computed."""
        return self.high - self.low

    def beyond(self, other: Reach) -> Reach:
        """What is read for rows that themselves reach so far."""
        return Reach(self.low + other.low, self.high + other.high)

    def joined(self, other: Reach) -> Reach:
        return Reach(min(self.low, other.low), max(self.high, other.high))


class Window(Struct, frozen=True, eq=False):
    """A boundary rule: an expression of `place`, or the place itself where there is none."""

    rule: Expr | None = None
    place: Var | None = None

    @property
    def is_plain(self) -> bool:
        return self.rule is None

    def at(self, place: Expr) -> Expr:
        """The row that the rule gives for a place."""
        if self.rule is None or self.place is None:
            return place
        return substitute(self.rule, {self.place: place})

    def rows(self, first: int, last: int) -> np.ndarray:
        """The rows for the places ``first … last``."""
        places = np.arange(first, last + 1)
        if self.rule is None or self.place is None:
            return places
        return np.broadcast_to(
            evaluate((self.rule,), {self.place: places}, reads_nothing)[0], places.shape
        )


def row_offset(index: Expr, row: Var) -> Linear | None:
    """What is added to `row` in an index; None where it stands in several sums or in none."""
    sums = row_sums(index, row)
    if not sums:
        return None
    first, *others = (linear(s) for s in sums)
    if any((o.terms, o.constant) != (first.terms, first.constant) for o in others):
        return None
    return first.without(row)


def row_window(index: Expr, row: Var) -> tuple[Window, Reach] | None:
    """The boundary rule of an index, and how far it reaches; None where it is no such rule."""
    offset = row_offset(index, row)
    if offset is None:
        return None
    low, high = interval(offset.expression())
    if low is None or high is None:
        return None
    sums = set(row_sums(index, row) or ())
    place = Var("place", dtype=INDEX)
    rule = rewrite(index, lambda node: place if node in sums else None)
    if rule is place:
        return Window(), Reach(low, high)
    if set(variables((rule,))) != {place}:
        return None
    return Window(rule, place), Reach(low, high)


def row_sums(index: Expr, row: Var) -> list[Expr] | None:
    """The outermost sums of which `row` is a term; None where it stands elsewhere."""
    found: list[Expr] = []
    stack = [index]
    seen: set[Expr] = set()
    while stack:
        node = stack.pop()
        if node in seen or row not in post_order((node,)):
            continue
        seen.add(node)
        form = linear(node)
        if form.coefficient(row) == 1 and _stands_alone(form, row):
            found.append(node)
        elif isinstance(node, Apply) and node.dtype is INDEX:
            stack += node.operands
        else:
            return None
    return found


def _stands_alone(form: Linear, row: Var) -> bool:
    return all(isinstance(atom, Var) for atom in form.terms)
