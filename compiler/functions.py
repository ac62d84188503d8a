"""The public functions that NumPy lacks. A traced argument takes the call, else NumPy does.

A traced array carries its tracer as `__tilewright_tracer__`; `tracer.call(name, args, keywords)`
adds the function to the graph.
"""

from __future__ import annotations

from typing import Any

from tilewright.compiler.eager import functions as eager

Axis = int | tuple[int, ...] | None


def _call(name: str, x: Any, **keywords: Any) -> Any:
    tracer = getattr(x, "__tilewright_tracer__", None)
    if tracer is not None:
        return tracer.call(name, (x,), keywords)
    return getattr(eager, name)(x, **keywords)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _call("sigmoid", x)


def erf(x: Any) -> Any:
    """The error function."""
    return _call("erf", x)


def erfc(x: Any) -> Any:
    """1 - erf(x), accurate where that is tiny."""
    return _call("erfc", x)


def gelu(x: Any, approximate: str = "none") -> Any:
    """x·Φ(x), Φ the normal distribution function; or its ``"tanh"`` approximation."""
    return _call("gelu", x, approximate=approximate)


def silu(x: Any) -> Any:
    """x·sigmoid(x), also called swish."""
    return _call("silu", x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return _call("softplus", x)


def relu(x: Any) -> Any:
    """max(x, 0), in the dtype of x."""
    return _call("relu", x)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where positive, else slope·x."""
    return _call("leaky_relu", x, slope=slope)


def cbrt(x: Any) -> Any:
    """The real cube root."""
    return _call("cbrt", x)


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x)."""
    return _call("rsqrt", x)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis`, without overflow."""
    return _call("logsumexp", x, axis=axis, keepdims=keepdims)


def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x) / sum(exp(x)) over `axis`, without overflow."""
    return _call("softmax", x, axis=axis)


def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log(softmax(x)) over `axis`, without overflow or loss of small values."""
    return _call("log_softmax", x, axis=axis)
