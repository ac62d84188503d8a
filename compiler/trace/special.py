"""Functions that NumPy lacks: the public ones of `compiler/functions.py`, and scipy.special's.

Stable formulas; floats keep their dtype, integers become floats as under ``np.exp``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import bare, clothe, dispatch, has_traced
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.numpy_elementwise import select_elements
from tilewright.compiler.trace.operands import (
    as_array,
    cast_to,
    elementwise,
    promotion_key,
    resolve_ufunc,
)
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F16, F32
from tilewright.ir.errors import DTypeError, UnsupportedError
from tilewright.ir.expr import Expr
from tilewright.ir.ops import Op


def _as_float(x: Any) -> Handle:
    array = as_array(x)
    return cast_to(array, resolve_ufunc(np.exp, (promotion_key(array),))[-1])


def _wide(rule: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    """Float16 is computed in float32 and rounded once."""

    def run(x: Expr) -> Expr:
        if x.dtype is not F16:
            return rule(x)
        return build.cast(rule(build.cast(x, F32)), F16)

    return run


def _formula(name: str, rule: Callable[[Expr], Expr]) -> Callable[[Any], Any]:
    return lambda x: elementwise(name, _wide(rule), (_as_float(x),))


def _direct(name: str, op: Op) -> Callable[[Any], Any]:
    return _formula(name, lambda x: build.apply(op, x))


def _literal(value: float, x: Expr) -> Expr:
    return build.const(value, x.dtype)


def _zero_at_minus_infinity(x: Expr, value: Expr) -> Expr:
    """The limit of x * weight(x), which -inf * 0 would miss."""
    lowest = build.apply(ops.EQ, x, _literal(-math.inf, x))
    return build.select(lowest, _literal(-0.0, x), value)


def _silu(x: Expr) -> Expr:
    return _zero_at_minus_infinity(x, build.mul(x, build.apply(ops.SIGMOID, x)))


def _gelu_exact(x: Expr) -> Expr:
    tail = build.apply(ops.ERFC, build.mul(x, _literal(-math.sqrt(0.5), x)))
    return _zero_at_minus_infinity(x, build.mul(build.mul(x, _literal(0.5, x)), tail))


def _gelu_tanh(x: Expr) -> Expr:
    """(1 + tanh u) / 2 is sigmoid(2u), which does not cancel for negative u."""
    cube = build.mul(build.mul(build.mul(x, _literal(0.044715, x)), x), x)
    inner = build.mul(build.add(x, cube), _literal(math.sqrt(8 / math.pi), x))
    return _zero_at_minus_infinity(x, build.mul(x, build.apply(ops.SIGMOID, inner)))


def _softplus(x: Expr) -> Expr:
    power = build.apply(ops.EXP, build.apply(ops.NEG, build.apply(ops.ABS, x)))
    return build.add(build.apply(ops.MAX, x, build.zero(x.dtype)), build.apply(ops.LOG1P, power))


def gelu(x: Any, approximate: str = "none") -> Any:
    if approximate not in ("none", "tanh"):
        raise failure(
            DTypeError, f"gelu has no approximation {approximate!r}", help="use 'none' or 'tanh'"
        )
    rule = _gelu_tanh if approximate == "tanh" else _gelu_exact
    return _formula("gelu", rule)(x)


def relu(x: Any) -> Any:
    return ufuncs.call(np.maximum, (x, 0))


def leaky_relu(x: Any, slope: Any = 0.01) -> Any:
    array = _as_float(x)
    scaled = cast_to(ufuncs.call(np.multiply, (array, slope)), array.element_type)
    return dispatch(np.where, (array > 0, array, scaled), {})  # type: ignore[operator]


def logsumexp(
    x: Any, axis: Any = None, keepdims: bool = False, b: Any = None, return_sign: bool = False
) -> Any:
    """The largest element taken out, so that exp does not overflow."""
    if b is not None or return_sign:
        raise failure(DTypeError, "logsumexp with b or return_sign is not supported")
    array = _as_float(x)
    top = dispatch(np.max, (array,), {"axis": axis, "keepdims": True})
    finite = ufuncs.call(np.isfinite, (top,))
    shift = select_elements((finite,), (top,), 0.0, "logsumexp")
    powers = ufuncs.call(np.exp, (ufuncs.call(np.subtract, (array, shift)),))
    total = dispatch(np.sum, (powers,), {"axis": axis, "keepdims": True})
    result = ufuncs.call(np.add, (ufuncs.call(np.log, (total,)), shift))
    if keepdims:
        return result
    drop = tuple(range(array.rank)) if axis is None else axis
    return dispatch(np.squeeze, (result,), {"axis": drop})


def softmax(x: Any, axis: Any = None) -> Any:
    array = _as_float(x)
    top = dispatch(np.max, (array,), {"axis": axis, "keepdims": True})
    powers = ufuncs.call(np.exp, (ufuncs.call(np.subtract, (array, top)),))
    total = dispatch(np.sum, (powers,), {"axis": axis, "keepdims": True})
    return ufuncs.call(np.true_divide, (powers, total))


def log_softmax(x: Any, axis: Any = None) -> Any:
    array = _as_float(x)
    top = dispatch(np.max, (array,), {"axis": axis, "keepdims": True})
    shifted = ufuncs.call(np.subtract, (array, top))
    powers = ufuncs.call(np.exp, (shifted,))
    total = dispatch(np.sum, (powers,), {"axis": axis, "keepdims": True})
    return ufuncs.call(np.subtract, (shifted, ufuncs.call(np.log, (total,))))


sigmoid = _direct("sigmoid", ops.SIGMOID)
erf = _direct("erf", ops.ERF)
erfc = _direct("erfc", ops.ERFC)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": sigmoid,
    "erf": erf,
    "erfc": erfc,
    "gelu": gelu,
    "silu": _formula("silu", _silu),
    "softplus": _formula("softplus", _softplus),
    "relu": relu,
    "leaky_relu": leaky_relu,
    "cbrt": _direct("cbrt", ops.CBRT),
    "rsqrt": _direct("rsqrt", ops.RSQRT),
    "logsumexp": logsumexp,
    "softmax": lambda x, axis=-1: softmax(x, axis),
    "log_softmax": lambda x, axis=-1: log_softmax(x, axis),
}


def _product_with_log(log: Op) -> Callable[[Any, Any], Any]:
    """``x * log(y)``, 0 where x is 0 and y is no NaN."""

    def rule(x: Expr, y: Expr) -> Expr:
        none = build.logical_and(
            build.apply(ops.EQ, x, build.zero(x.dtype)),
            build.apply(ops.NOT, build.apply(ops.ISNAN, y)),
        )
        return build.select(none, build.zero(x.dtype), build.mul(x, build.apply(log, y)))

    def run(x: Any, y: Any) -> Any:
        keys = tuple(promotion_key(as_array(v)) for v in (x, y))
        dtype = resolve_ufunc(np.arctan2, keys)[-1]
        return elementwise("xlogy", rule, tuple(cast_to(as_array(v), dtype) for v in (x, y)))

    return run


def _logit(x: Expr) -> Expr:
    rest = build.sub(_literal(1, x), x)
    return build.apply(ops.LOG, build.apply(ops.DIV, x, rest))


_SCIPY: dict[str, Callable[..., Any]] = {
    "expit": sigmoid,
    "logit": _formula("logit", _logit),
    "log_expit": lambda x: ufuncs.operate(
        np.negative, _formula("softplus", _softplus)(ufuncs.operate(np.negative, x))
    ),
    "erf": erf,
    "erfc": erfc,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": lambda a, axis=None, b=None, keepdims=False, return_sign=False: logsumexp(
        a, axis, keepdims, b, return_sign
    ),
    "xlogy": _product_with_log(ops.LOG),
    "xlog1py": _product_with_log(ops.LOG1P),
    "log1p": lambda x: ufuncs.call(np.log1p, (x,)),
    "expm1": lambda x: ufuncs.call(np.expm1, (x,)),
    "exp2": lambda x: ufuncs.call(np.exp2, (x,)),
    "exp10": lambda x: ufuncs.call(np.power, (10.0, _as_float(x))),
    "cbrt": _direct("cbrt", ops.CBRT),
    "ndtr": _formula(
        "ndtr",
        lambda x: build.mul(
            build.apply(ops.ERFC, build.mul(x, _literal(-math.sqrt(0.5), x))), _literal(0.5, x)
        ),
    ),
}


def scipy_function(function: Any) -> Callable[..., Any] | None:
    """The traced version of a function of scipy.special; None for any other."""
    name = getattr(function, "__name__", "")
    known: Any = getattr(sys.modules.get("scipy.special"), name, None)
    if known is not function:
        return None

    def run(*args: Any, **kwargs: Any) -> Any:
        if not has_traced((*args, *kwargs.values())):
            return clothe(function(*map(bare, args), **{k: bare(v) for k, v in kwargs.items()}))
        if name not in _SCIPY:
            known = ", ".join(sorted(_SCIPY))
            raise failure(
                UnsupportedError,
                f"scipy.special.{name} is not supported on traced arrays",
                help=f"supported: {known}",
            )
        return _SCIPY[name](*args, **kwargs)

    return run
