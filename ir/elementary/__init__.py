"""Elementary functions as IR arithmetic, the same on every target.

In: an operation of `ir/ops.py` that is marked elementary, its operands, and the `Machine` that the
result must run on. Out: an expression of operations that every target has. `numerics.md` states
the errors promised; `tests/ir/test_elementary.py` measures them.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.ir import ops
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.elementary.error_function import erf
from tilewright.ir.elementary.exponential import exp, exp2, sigmoid
from tilewright.ir.elementary.hyperbolic import tanh
from tilewright.ir.elementary.logarithm import log
from tilewright.ir.elementary.term import Machine, Term, cast
from tilewright.ir.elementary.trigonometric import cos, sin
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Expr
from tilewright.ir.ops import Op

__all__ = ["Machine", "expand"]

_UNARY: dict[Op, Callable[[Term, Machine], Term]] = {
    ops.EXP: exp,
    ops.EXP2: exp2,
    ops.LOG: log,
    ops.SIN: sin,
    ops.COS: cos,
    ops.TANH: tanh,
    ops.ERF: erf,
    ops.SIGMOID: sigmoid,
}
_BINARY: dict[Op, Callable[[Term, Term, Machine], Term]] = {}


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
