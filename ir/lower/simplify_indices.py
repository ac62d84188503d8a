"""Index arithmetic folded by what is known of the variables' ranges.

Boundary rules (clamp, reflect, wrap) and reshapes leave minima, maxima, remainders and comparisons
of positions. Inside a loop whose variable stays away from the boundary they decide themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import Linear, linear
from tilewright.ir.analysis.intervals import Interval
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.dtypes import I32, INDEX
from tilewright.ir.expr import Apply, Expr, Var
from tilewright.ir.kernel import Stmt, map_expressions
from tilewright.ir.traverse import refold, rewrite


def simplify_indices(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The statements with every index expression in its simplest form."""
    return map_expressions(body, index_simplifier())


def index_simplifier() -> Callable[[Expr], Expr]:
    """A function that simplifies expressions, remembering those that it has seen."""
    return _Simplifier().simplify


class _Simplifier:
    """Remembers what was simplified, and the ranges that it took."""

    def __init__(self) -> None:
        self._done: dict[Expr, Expr] = {}
        self._ranges: dict[Expr, Interval] = {}

    def simplify(self, root: Expr) -> Expr:
        return rewrite(root, self._rule, self._done)

    def _rule(self, node: Expr) -> Expr | None:
        if not isinstance(node, Apply):
            return None
        if node.operands[0].dtype is INDEX and len(node.operands) == 2:
            found = self._index_rule(node)
            if found is not None:
                return found
        found = _or(node) if node.op is ops.OR else None
        return refold(node) if found is None else found

    def _index_rule(self, node: Apply) -> Expr | None:
        a, b = node.operands
        match node.op:
            case ops.MIN | ops.MAX:
                low, high = self._difference(a, b)
                if low is not None and low >= 0:
                    return a if node.op is ops.MAX else b
                if high is not None and high <= 0:
                    return b if node.op is ops.MAX else a
                return _before_widening(node.op, a, b)
            case ops.MOD | ops.FLOORDIV:
                divisor = build.known(b)
                if divisor is None or divisor <= 0:
                    return None
                return self._division(node.op, a, divisor)
            case _ if node.op in ops.COMPARISONS:
                return self._comparison(node.op, *self._difference(a, b))
        return None

    def _range(self, node: Expr) -> Interval:
        return interval(node, self._ranges)

    def _difference(self, a: Expr, b: Expr) -> Interval:
        """The range of ``a - b``, common terms cancelled."""
        return self._linear_range(linear(build.sub(a, b)))

    def _linear_range(self, form: Linear) -> Interval:
        """The range of a sum. A task's tiles end with the axis: ``9 * task + tile`` for ``tile <
        min(9, 255 - 9 * task)`` stays below 255, though the terms alone reach further."""
        low, high = self._sum_of_ranges(form)
        for atom, factor in form.terms.items():
            if not isinstance(atom, Var):
                continue
            for bound in _upper_bounds(atom):
                last = build.mul(build.sub(bound, build.index(1)), build.index(factor))
                ended = linear(build.add(form.without(atom).expression(), last))
                least, most = self._sum_of_ranges(ended)
                if factor > 0:
                    high = most if high is None else high if most is None else min(high, most)
                else:
                    low = least if low is None else low if least is None else max(low, least)
        return low, high

    def _sum_of_ranges(self, form: Linear) -> Interval:
        low: int | None = form.constant
        high: int | None = form.constant
        for atom, factor in form.terms.items():
            least, most = self._range(atom)
            if factor < 0:
                least, most = most, least
            low = None if low is None or least is None else low + factor * least
            high = None if high is None or most is None else high + factor * most
        return low, high

    def _division(self, op: ops.Op, a: Expr, divisor: int) -> Expr | None:
        """The part of `a` that is a multiple of the divisor is divided term by term."""
        form = linear(a)
        whole = {t: f // divisor for t, f in form.terms.items() if f % divisor == 0}
        rest = Linear({t: f for t, f in form.terms.items() if f % divisor}, form.constant)
        rest_expression = rest.expression()
        low, high = self._linear_range(rest)
        if low is None or high is None or low // divisor != high // divisor:
            return self._partly_divided(op, whole, rest_expression, divisor)
        quotient = low // divisor
        if op is ops.FLOORDIV:
            return Linear(whole, quotient).expression()
        return Linear(rest.terms, rest.constant - quotient * divisor).expression()

    def _partly_divided(
        self, op: ops.Op, whole: dict[Expr, int], rest: Expr, divisor: int
    ) -> Expr | None:
        """``(8 * t + i) // 2 -> 4 * t + i // 2``: what lanes add is known when code is made."""
        if not whole:
            return None
        left = Apply(op, (rest, build.index(divisor)))
        return left if op is ops.MOD else build.add(Linear(whole, 0).expression(), left)

    def _comparison(self, op: ops.Op, low: int | None, high: int | None) -> Expr | None:
        """Decide a comparison by the range of the difference of its sides."""
        below = high is not None and high < 0
        above = low is not None and low > 0
        at_most = high is not None and high <= 0
        at_least = low is not None and low >= 0
        verdicts = {
            ops.LT: (below, at_least),
            ops.LE: (at_most, above),
            ops.GT: (above, at_most),
            ops.GE: (at_least, below),
            ops.EQ: (at_most and at_least, below or above),
            ops.NE: (below or above, at_most and at_least),
        }
        true, false = verdicts[op]
        return build.TRUE if true else build.FALSE if false else None


def _upper_bounds(variable: Var) -> tuple[Expr, ...]:
    """What a loop's variable stays below, where that depends on other loops."""
    extent = variable.extent
    if not isinstance(extent, Apply):
        return ()
    return extent.operands if extent.op is ops.MIN else (extent,)


def _before_widening(op: ops.Op, a: Expr, b: Expr) -> Expr | None:
    """``min(index(i), 9) -> index(min(i, 9))``: vectors of i32 hold twice as many lanes."""
    if not isinstance(a, Apply) or a.op is not ops.CAST or a.operands[0].dtype is not I32:
        return None
    bound = build.known(b)  # within the range of `a`, or it had been decided
    if bound is None:
        return None
    return build.cast(Apply(op, (a.operands[0], build.const(bound, I32))), INDEX)


def _or(node: Apply) -> Expr | None:
    a, b = node.operands
    if a is build.TRUE or b is build.FALSE:
        return a
    if b is build.TRUE or a is build.FALSE:
        return b
    return None
