"""The `math` module under tracing: Python floats in and out, known at run time only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tilewright.compiler.trace.dispatch import bare, has_traced
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import active
from tilewright.compiler.trace.weak import element
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F64, I64
from tilewright.ir.errors import DTypeError, TraceError
from tilewright.ir.expr import Expr


def _operand(value: Any, name: str) -> Expr:
    if isinstance(value, Handle):
        if any(not isinstance(s, int) or s != 1 for s in value.sizes):
            raise failure(
                DTypeError,
                f"math.{name} takes one number, not an array of shape {value.sizes}",
                help=f"use np.{name} if there is one",
            )
        expr = value.element([build.index(0)] * value.rank)
    else:
        expr = element(value)
    return build.cast(expr, F64)


def _traced(name: str, rule: Callable[..., Expr]) -> Callable[..., Any]:
    plain = getattr(math, name)

    def run(*values: Any) -> Any:
        if not has_traced(values):
            return plain(*map(bare, values))
        result = rule(*(_operand(v, name) for v in values))
        if result.dtype.kind == "b":
            return active().value((), result, f"math.{name}")
        return active().weak(result)

    return run


def _refused(name: str) -> Callable[..., Any]:
    plain = getattr(math, name)

    def run(*values: Any, **keywords: Any) -> Any:
        if not has_traced((*values, *keywords.values())):
            return plain(*map(bare, values), **keywords)
        raise failure(
            TraceError,
            f"math.{name} is not supported on values that are known at run time only",
            help="use a NumPy function, or a static argument",
        )

    return run


def _times(factor: float) -> Callable[[Expr], Expr]:
    return lambda x: build.mul(x, build.const(factor, F64))


def _log(x: Expr, base: Expr | None = None) -> Expr:
    natural = build.apply(ops.LOG, x)
    return natural if base is None else build.apply(ops.DIV, natural, build.apply(ops.LOG, base))


def _to_int(op: Any) -> Callable[[Expr], Expr]:
    return lambda x: build.cast(build.apply(op, x), I64)


def _chain(op: Any) -> Callable[..., Expr]:
    def rule(*operands: Expr) -> Expr:
        result = operands[0]
        for operand in operands[1:]:
            result = build.apply(op, result, operand)
        return build.apply(ops.ABS, result) if len(operands) == 1 else result

    return rule


_SINGLE = {
    "exp": ops.EXP,
    "exp2": ops.EXP2,
    "expm1": ops.EXPM1,
    "log2": ops.LOG2,
    "log10": ops.LOG10,
    "log1p": ops.LOG1P,
    "sqrt": ops.SQRT,
    "cbrt": ops.CBRT,
    "sin": ops.SIN,
    "cos": ops.COS,
    "tan": ops.TAN,
    "asin": ops.ASIN,
    "acos": ops.ACOS,
    "atan": ops.ATAN,
    "atan2": ops.ATAN2,
    "sinh": ops.SINH,
    "cosh": ops.COSH,
    "tanh": ops.TANH,
    "asinh": ops.ASINH,
    "acosh": ops.ACOSH,
    "atanh": ops.ATANH,
    "erf": ops.ERF,
    "erfc": ops.ERFC,
    "fabs": ops.ABS,
    "fmod": ops.FMOD,
    "copysign": ops.COPYSIGN,
    "pow": ops.POW,
    "isnan": ops.ISNAN,
    "isinf": ops.ISINF,
    "isfinite": ops.ISFINITE,
}

_RULES: dict[str, Callable[..., Expr]] = {
    **{n: (lambda *x, op=op: build.apply(op, *x)) for n, op in _SINGLE.items()},
    "log": _log,
    "floor": _to_int(ops.FLOOR),
    "ceil": _to_int(ops.CEIL),
    "trunc": _to_int(ops.TRUNC),
    "radians": _times(math.pi / 180),
    "degrees": _times(180 / math.pi),
    "hypot": _chain(ops.HYPOT),
}

MATH: dict[str, Callable[..., Any]] = {
    name: _traced(name, _RULES[name]) if name in _RULES else _refused(name)
    for name in dir(math)
    if callable(getattr(math, name)) and not name.startswith("_")
}
