"""``numerics="fast"``: shorter forms with fewer digits; `ir/analysis/fast_rules.py` bounds them.

In: an operation that is not expanded yet, and the `Machine`. Out: what to compute instead, or None
where the accurate form is as short. NaN may be lost, and what an operation gives at infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tilewright.ir import build, ops
from tilewright.ir.analysis.signs import signs
from tilewright.ir.dtypes import F32, F64
from tilewright.ir.elementary import coefficients
from tilewright.ir.elementary.exponential import FACTS, LOG2_E, SIXTEENTHS
from tilewright.ir.elementary.scaling import SINGLE, flip_sign, nearest_whole, shift_exponent
from tilewright.ir.elementary.term import (
    Machine,
    Term,
    at_least,
    at_most,
    bits,
    horner,
    mad,
    pick,
    scale,
)
from tilewright.ir.expr import Apply, Const, Expr
from tilewright.ir.ops import Op

# pi and 2 pi as sums: eight bits, whose products with whole numbers below 2**16 are exact
HALF_TURN = (3.140625, 0.0009676535897932795)
FULL_TURN = (6.28125, 0.001935307179586559)
_LARGEST = 88.0  # e**x is finite, and so is 1 + e**x
_TANH_IS_ONE = 10.0


def fast_power(node: Expr, machine: Machine) -> Expr | None:
    """``x ** y`` as ``2 ** (y log2 x)`` where x cannot be negative. Before what it is computed from
    is rewritten, which would hide that."""
    if not isinstance(node, Apply) or node.op is not ops.POW or node.dtype is not F32:
        return None
    x, y = node.operands
    if signs(x).negative:
        return None
    if ops.NATIVE_EXP2 in machine.native:
        logarithm, power = ops.NATIVE_LOG2, ops.NATIVE_EXP2
    else:
        logarithm, power = ops.LOG2, ops.EXP2
    return build.apply(power, build.mul(y, build.apply(logarithm, x)))


def fast_form(node: Expr, machine: Machine) -> Expr | None:
    """All other operations, each by its row in the table below."""
    if not isinstance(node, Apply) or node.dtype not in (F32, F64):
        return None
    if node.op in _EXTREMES:
        return _extreme(node, machine)
    if node.dtype is not F32 or node.op not in _FORMS:
        return None
    made = _FORMS[node.op](*(Term(o) for o in node.operands), machine)
    return None if made is None else made.expr


def _extreme(node: Apply, machine: Machine) -> Expr:
    """One instruction, which takes no care of NaN."""
    native, comparison = _EXTREMES[node.op]
    if native in machine.native:
        return Apply(native, node.operands)
    return build.select(Apply(comparison, node.operands), *node.operands)


_EXTREMES = {
    ops.MIN: (ops.NATIVE_MIN, ops.LT),
    ops.MAX: (ops.NATIVE_MAX, ops.GT),
    ops.FMIN: (ops.NATIVE_MIN, ops.LT),
    ops.FMAX: (ops.NATIVE_MAX, ops.GT),
}


def exp(x: Term, machine: Machine) -> Term:
    """e**x, which stays 0 for what masks with -infinity."""
    if ops.NATIVE_EXP in machine.native:
        return _native(ops.NATIVE_EXP, x)
    if machine.pick:
        return _exp_by_table(at_least(x, FACTS[F32].low))
    bounded = at_least(at_most(x, FACTS[F32].finite_high), FACTS[F32].normal_low)
    n = nearest_whole(bounded, LOG2_E, machine)
    r = mad(n.value, -math.log(2.0), bounded)
    return shift_exponent(horner(r, (1.0, 1.0, *coefficients.EXP_FAST[F32])), n, machine)


def _exp_by_table(x: Term) -> Term:
    """As `exponential.exp`, with one term less and log 2 as one constant."""
    sixteenths = SINGLE.rounder / 16.0
    shifted = mad(x, LOG2_E, sixteenths)
    n = shifted - sixteenths
    r = mad(n, -math.log(2.0), x)
    power = pick(bits(shifted), SIXTEENTHS, F32)
    return scale(power * horner(r, (1.0, *coefficients.EXP_SIXTEENTH_FAST[F32])), n)


def sigmoid(x: Term, machine: Machine) -> Term:
    """``1 / (1 + e**-x)`` with a power that is finite."""
    return 1.0 / (exp(at_most(-x, _LARGEST), machine) + 1.0)


def tanh(x: Term, machine: Machine) -> Term | None:
    """``1 - 2 / (e**2x + 1)``: few digits of small results, all of those near 1."""
    if machine.pick:  # seven coefficients, and no quotient
        return None
    bounded = at_most(x, _TANH_IS_ONE)
    return 1.0 - 2.0 / (exp(bounded + bounded, machine) + 1.0)


def sin(x: Term, machine: Machine) -> Term:
    if ops.NATIVE_SIN in machine.native:
        return _native(ops.NATIVE_SIN, _within_a_turn(x, machine))
    return _sin_of_half_turns(x, 0.0, machine)


def cos(x: Term, machine: Machine) -> Term:
    if ops.NATIVE_COS in machine.native:
        return _native(ops.NATIVE_COS, _within_a_turn(x, machine))
    return _sin_of_half_turns(x, 0.5, machine)


def _within_a_turn(x: Term, machine: Machine) -> Term:
    """Built-in functions promise nothing outside of [-pi, pi]."""
    n = nearest_whole(x, 0.5 / math.pi, machine).value
    return mad(n, -FULL_TURN[1], mad(n, -FULL_TURN[0], x))


def _sin_of_half_turns(x: Term, turned: float, machine: Machine) -> Term:
    """The sine of ``x + turned * pi``, for angles of a few thousand turns."""
    n = nearest_whole(x, 1.0 / math.pi, machine, turned)
    steps = n.value - turned if turned else n.value
    r = mad(steps, -HALF_TURN[1], mad(steps, -HALF_TURN[0], x))
    square = r * r
    sine = mad(r, square * horner(square, coefficients.SIN_HALF[F32]), r)
    return flip_sign(at_least(at_most(sine, 1.0), -1.0), n.bits << (F32.bits - 1))


def log(x: Term, machine: Machine) -> Term | None:
    return _native(ops.NATIVE_LOG, x) if ops.NATIVE_LOG in machine.native else None


def log2(x: Term, machine: Machine) -> Term | None:
    return _native(ops.NATIVE_LOG2, x) if ops.NATIVE_LOG2 in machine.native else None


def log10(x: Term, machine: Machine) -> Term | None:
    logarithm = log2(x, machine)
    return None if logarithm is None else logarithm * math.log10(2.0)


def exp2(x: Term, machine: Machine) -> Term | None:
    return _native(ops.NATIVE_EXP2, x) if ops.NATIVE_EXP2 in machine.native else None


def rsqrt(x: Term, machine: Machine) -> Term | None:
    """A built-in function; on CPUs an estimate of 14 bits and a step of Newton's method."""
    if ops.NATIVE_RSQRT not in machine.native:
        return None
    estimate = _native(ops.NATIVE_RSQRT, x)
    if not machine.ieee:
        return estimate
    error = mad(x * estimate, -estimate, 1.0)
    return mad(estimate * 0.5, error, estimate)


def divide(x: Term, y: Term, machine: Machine) -> Term | None:
    """A product with the inverse of a root. Other quotients take no longer than what would replace
    them, an estimate and a step (measured)."""
    if not isinstance(y.expr, Apply) or y.expr.op is not ops.SQRT:
        return None
    root = rsqrt(Term(y.expr.operands[0]), machine)
    if root is None:
        return None
    return root if isinstance(x.expr, Const) and x.expr.value == 1.0 else x * root


def _native(op: Op, x: Term) -> Term:
    return Term(Apply(op, (x.expr,)))


_FORMS: dict[Op, Callable[..., Term | None]] = {
    ops.EXP: exp,
    ops.EXP2: exp2,
    ops.SIGMOID: sigmoid,
    ops.TANH: tanh,
    ops.SIN: sin,
    ops.COS: cos,
    ops.LOG: log,
    ops.LOG2: log2,
    ops.LOG10: log10,
    ops.RSQRT: rsqrt,
    ops.DIV: divide,
}
