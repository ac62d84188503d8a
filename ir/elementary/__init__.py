"""Elementary functions as IR arithmetic, the same on every target.

In: an operation of `ir/ops.py` that is marked elementary, its operands, and the `Machine` that the
result must run on. Out: an expression of operations that every target has. `numerics.md` states
the errors promised; `tests/ir/test_elementary.py` measures them.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import ops
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.elementary.error_function import erf, erfc
from tilewright.ir.elementary.exponential import exp, exp2, expm1, sigmoid
from tilewright.ir.elementary.fast import fast_form, fast_power
from tilewright.ir.elementary.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from tilewright.ir.elementary.in_context import ROUNDS
from tilewright.ir.elementary.inverse_trigonometric import acos, asin, atan, atan2
from tilewright.ir.elementary.logarithm import log, log1p, log2, log10
from tilewright.ir.elementary.power import power
from tilewright.ir.elementary.roots import cbrt, hypot, rsqrt
from tilewright.ir.elementary.term import Machine, Term, cast
from tilewright.ir.elementary.trigonometric import cos, sin, tan
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr
from tilewright.ir.ops import Op

__all__ = ["Machine", "expand", "expand_in_context", "fast_form", "fast_power"]

_UNARY: dict[Op, Callable[[Term, Machine], Term]] = {
    ops.EXP: exp,
    ops.EXP2: exp2,
    ops.EXPM1: expm1,
    ops.SIGMOID: sigmoid,
    ops.LOG: log,
    ops.LOG2: log2,
    ops.LOG10: log10,
    ops.LOG1P: log1p,
    ops.SIN: sin,
    ops.COS: cos,
    ops.TAN: tan,
    ops.ASIN: asin,
    ops.ACOS: acos,
    ops.ATAN: atan,
    ops.SINH: sinh,
    ops.COSH: cosh,
    ops.TANH: tanh,
    ops.ASINH: asinh,
    ops.ACOSH: acosh,
    ops.ATANH: atanh,
    ops.ERF: erf,
    ops.ERFC: erfc,
    ops.CBRT: cbrt,
    ops.RSQRT: rsqrt,
}
_BINARY: dict[Op, Callable[[Term, Term, Machine], Term]] = {
    ops.ATAN2: atan2,
    ops.HYPOT: hypot,
    ops.POW: power,
}


def expand(op: Op, operands: tuple[Expr, ...], machine: Machine) -> Expr:
    """``op(*operands)`` in terms of arithmetic; float16 is computed in float32."""
    terms = [Term(operand) for operand in operands]
    dtype = terms[0].dtype
    if dtype is F16:
        terms = [cast(term, F32) for term in terms]
    if op in _UNARY:
        result = _UNARY[op](terms[0], machine)
    elif op in _BINARY:
        result = _BINARY[op](terms[0], terms[1], machine)
    else:
        raise IRError(f"{op.name} is not an elementary function")
    return cast(result, dtype).expr


def expand_in_context(node: Expr, machine: Machine, round_: int) -> Expr | None:
    """A shorter form where what an operand is computed from says enough about it. It takes
    operands that are not expanded yet, and a whole expression round by round."""
    for rule in ROUNDS[round_]:
        shorter = rule(node, machine)
        if shorter is not None:
            return shorter
    return None
