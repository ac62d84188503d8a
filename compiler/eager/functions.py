"""The functions that NumPy lacks, in NumPy: an array or a number in, the same shape out.

Floats keep their dtype and integers become floats as under `np.exp`. Elementwise functions are
evaluated in float64 by formulas that neither overflow nor cancel, and rounded once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.eager import error_function
from tilewright.ir.errors import DTypeError, KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _rounded_once(_sigmoid, x)


def erf(x: Any) -> Any:
    """The error function."""
    return _rounded_once(error_function.erf, x)


def erfc(x: Any) -> Any:
    """1 - erf(x), accurate where that is tiny."""
    return _rounded_once(error_function.erfc, x)


def gelu(x: Any, approximate: str = "none") -> Any:
    """x·Φ(x), Φ the normal distribution function; or its ``"tanh"`` approximation."""
    if approximate not in ("none", "tanh"):
        raise KernelError(f"gelu has no approximation {approximate!r}", help="use 'none' or 'tanh'")
    return _rounded_once(_gelu_tanh if approximate == "tanh" else _gelu, x)


def silu(x: Any) -> Any:
    """x·sigmoid(x), also called swish."""
    return _rounded_once(_silu, x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return _rounded_once(lambda v: np.maximum(v, 0.0) + np.log1p(np.exp(-np.abs(v))), x)


def relu(x: Any) -> Any:
    """max(x, 0), in the dtype of x."""
    return np.maximum(x, 0)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where positive, else slope·x."""
    return _rounded_once(lambda v: np.where(v > 0, v, v * slope), x)


def cbrt(x: Any) -> Any:
    """The real cube root."""
    return _rounded_once(np.cbrt, x)


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x)."""
    return _rounded_once(lambda v: 1.0 / np.sqrt(v), x)


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis`, without overflow."""
    array = _as_float(x)
    peak = np.max(array, axis=axis, keepdims=True)
    # An infinite peak would turn its own difference into NaN.
    anchor = np.where(np.isfinite(peak), peak, 0).astype(array.dtype)
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.sum(np.exp(array - anchor), axis=axis, keepdims=True))
    result = anchor + logarithm
    return result if keepdims else np.squeeze(result, axis=axis)[()]


def softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """exp(x) / sum(exp(x)) over `axis`, without overflow."""
    array = _as_float(x)
    powers = np.exp(array - np.max(array, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """log(softmax(x)), without overflow or loss of small values."""
    array = _as_float(x)
    shifted = array - np.max(array, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _as_float(x: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"a real number is needed, not {array.dtype}")
    return array.astype(np.exp.resolve_dtypes((array.dtype, None))[-1], copy=False)


def _rounded_once(formula: Callable[[Array], Array], x: Any) -> Any:
    array = _as_float(x)
    # The formulas meet their limits through inf and 0, which is no news to the caller.
    with np.errstate(all="ignore"):
        return formula(array.astype(np.float64)).astype(array.dtype)[()]


def _sigmoid(x: Array) -> Array:
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, power) / (1.0 + power)


def _silu(x: Array) -> Array:
    return _zero_at_minus_infinity(x, x * _sigmoid(x))


def _gelu(x: Array) -> Array:
    return _zero_at_minus_infinity(x, 0.5 * x * error_function.erfc(x * -math.sqrt(0.5)))


def _gelu_tanh(x: Array) -> Array:
    # (1 + tanh u)/2 is sigmoid(2u), which does not cancel for negative u.
    inner = math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x)
    return _zero_at_minus_infinity(x, x * _sigmoid(inner))


def _zero_at_minus_infinity(x: Array, value: Array) -> Array:
    """The limit of x·weight(x), which -inf·0 would miss."""
    return np.where(x == -np.inf, -0.0, value)
