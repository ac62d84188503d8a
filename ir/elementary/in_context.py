"""Shorter forms of functions where what an operand is computed from says enough about it.

In: an operation whose operands are not expanded yet. Out: the same value from fewer operations, as
exact as function by function or within a bound of its own (docs/numerics.md); or None. Only for
IEEE arithmetic, where infinities and their quotients are what they should be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from tilewright.ir import build, ops
from tilewright.ir.analysis.signs import signs
from tilewright.ir.dtypes import F16
from tilewright.ir.elementary.logarithm import log1p_of_fraction
from tilewright.ir.elementary.term import Machine, Term, at_most
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.ops import Op

_TANH_IS_ONE = 20.0  # beyond, in float64 too


def tanh_of_softplus(node: Expr, machine: Machine) -> Expr | None:
    """``tanh(log(1 + e**x))`` is ``w / (w + 2)`` for ``w = e**x (e**x + 2)``: nothing cancels, and
    instead of three functions it takes one. The logarithm may be written as `softplus` has it."""
    if not machine.ieee or not _is(node, ops.TANH) or node.dtype is F16:
        return None
    x = _softplus_argument(node.operands[0])
    if x is None:
        return None
    power = Term(build.apply(ops.EXP, at_most(Term(x), _TANH_IS_ONE).expr))
    w = power * (power + 2.0)
    return (w / (w + 2.0)).expr


def tanh_and_one(node: Expr, machine: Machine) -> Expr | None:
    """``1 + tanh(u)`` is ``2 / (1 + e**(-2 u))``, and keeps its digits for negative u: within the
    bound of `sigmoid`."""
    if not machine.ieee or node.dtype is F16 or not isinstance(node, Apply):
        return None
    if node.op not in (ops.ADD, ops.SUB):
        return None
    one, tanh = node.operands
    if node.op is ops.ADD and _is(one, ops.TANH):
        one, tanh = tanh, one
    if not _is(tanh, ops.TANH) or not _is_literal(one, 1.0):
        return None
    power = build.apply(ops.EXP, _times(tanh.operands[0], -2.0 if node.op is ops.ADD else 2.0))
    return (2.0 / (Term(power) + 1.0)).expr


def log1p_of_power(node: Expr, machine: Machine) -> Expr | None:
    """``log1p(exp(x))`` for x that is never positive."""
    if not machine.ieee or not _is(node, ops.LOG1P) or node.dtype is F16:
        return None
    (fraction,) = node.operands
    if not _is(fraction, ops.EXP) or signs(fraction.operands[0]).positive:
        return None
    return log1p_of_fraction(Term(fraction), machine).expr


def _softplus_argument(node: Expr) -> Expr | None:
    """x of ``log1p(exp(x))``, or of ``log1p(exp(-abs(x))) + max(x, 0)`` in any order."""
    if _is(node, ops.LOG1P) and _is(node.operands[0], ops.EXP):
        return node.operands[0].operands[0]
    if not _is(node, ops.ADD):
        return None
    for logarithm, bounded in (node.operands, node.operands[::-1]):
        if not _is(logarithm, ops.LOG1P) or not _is(bounded, ops.MAX):
            continue
        for x, zero in (bounded.operands, bounded.operands[::-1]):
            if _is_literal(zero, 0.0) and _is_minus_size(logarithm.operands[0], x):
                return x
    return None


def _is_minus_size(power: Expr, x: Expr) -> bool:
    """Whether this is ``exp(-abs(x))``."""
    for op in (ops.EXP, ops.NEG, ops.ABS):
        if not _is(power, op):
            return False
        power = power.operands[0]
    return power is x


def _times(node: Expr, factor: float) -> Expr:
    """`node` by a power of two, which goes into a literal factor that it has already."""
    if _is(node, ops.MUL):
        for literal, other in (node.operands, node.operands[::-1]):
            if isinstance(literal, Const):
                return (Term(other) * (float(literal.value) * factor)).expr
    return (Term(node) * factor).expr


def _is(node: Expr, op: Op) -> TypeGuard[Apply]:
    return isinstance(node, Apply) and node.op is op


def _is_literal(node: Expr, value: float) -> bool:
    return isinstance(node, Const) and node.value == value


ROUNDS: tuple[tuple[Callable[[Expr, Machine], Expr | None], ...], ...] = (
    (tanh_of_softplus, tanh_and_one),
    (log1p_of_power,),
)
"""Rules to apply to a whole expression, round by round: the first ones look for logarithms."""
