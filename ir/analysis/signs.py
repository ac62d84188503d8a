"""Which signs the value of a float expression can have.

In: an expression. Out: whether it can be negative and whether it can be positive; zeros of both
signs and NaN are always possible. Loads and variables may be anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tilewright.ir import ops
from tilewright.ir.expr import Apply, Const, Expr, post_order


class Signs(NamedTuple):
    """Whether a value can be below and above zero."""

    negative: bool
    positive: bool


ANY = Signs(True, True)
NEVER_NEGATIVE = Signs(False, True)
Rule = Callable[..., Signs]


def signs(root: Expr) -> Signs:
    """The signs that `root` can have."""
    known: dict[Expr, Signs] = {}
    for node in post_order((root,)):
        known[node] = _signs(node, known)
    return known[root]


def _signs(node: Expr, known: dict[Expr, Signs]) -> Signs:
    if isinstance(node, Const):
        return Signs(node.value < 0, node.value > 0)
    if node.dtype.kind in "bu":
        return NEVER_NEGATIVE
    if not isinstance(node, Apply) or not node.dtype.is_float:  # integers wrap around
        return ANY
    if node.op in _NEVER_NEGATIVE or _is_square(node):
        return NEVER_NEGATIVE
    if node.op is ops.DIV and _may_be_negative_zero(node.operands[1]):
        return ANY
    rule = _RULES.get(node.op)
    return rule(*(known[o] for o in node.operands)) if rule else ANY


def _may_be_negative_zero(node: Expr) -> bool:
    """Whether a quotient by `node` may be an infinity of the other sign."""
    if isinstance(node, Const):
        return node.value == 0
    is_positive = isinstance(node, Apply) and node.op in _NEVER_NEGATIVE and node.op is not ops.SQRT
    return not is_positive


def _is_square(node: Apply) -> bool:
    return node.op is ops.MUL and node.operands[0] is node.operands[1]


def _same(a: Signs) -> Signs:
    return a


def _negated(a: Signs) -> Signs:
    return Signs(a.positive, a.negative)


def _either(a: Signs, b: Signs) -> Signs:
    return Signs(a.negative or b.negative, a.positive or b.positive)


def _product(a: Signs, b: Signs) -> Signs:
    return Signs(
        (a.negative and b.positive) or (a.positive and b.negative),
        (a.positive and b.positive) or (a.negative and b.negative),
    )


def _difference(a: Signs, b: Signs) -> Signs:
    return _either(a, _negated(b))


def _smaller(a: Signs, b: Signs) -> Signs:
    return Signs(a.negative or b.negative, a.positive and b.positive)


def _larger(a: Signs, b: Signs) -> Signs:
    return Signs(a.negative and b.negative, a.positive or b.positive)


_NEVER_NEGATIVE = frozenset(
    {ops.ABS, ops.EXP, ops.EXP2, ops.SQRT, ops.SIGMOID, ops.COSH, ops.ERFC, ops.ACOS, ops.HYPOT}
)
_RULES: dict[ops.Op, Rule] = {
    ops.NEG: _negated,
    ops.ADD: _either,
    ops.SUB: _difference,
    ops.MUL: _product,
    ops.DIV: _product,
    ops.SELECT: lambda _, yes, no: _either(yes, no),
    ops.MIN: _smaller,  # `fmin` and `fmax` would give the other operand beside a NaN
    ops.MAX: _larger,
    ops.CAST: _same,
    ops.TANH: _same,
    ops.ERF: _same,
}
