"""``ufunc.reduce``, ``accumulate``, ``outer``, ``at``, ``reduceat`` on traced arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import IMPLEMENTATIONS, fold, has_traced, unsupported

_REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}


def call_method(
    ufunc: np.ufunc, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """``ufunc.method(*args, **kwargs)``."""
    if method == "at":
        return ufuncs.at(ufunc, *args, **kwargs)
    if not has_traced((*args, *kwargs.values())):
        return fold(getattr(ufunc, method), args, kwargs)
    match method:
        case "outer":
            return ufuncs.outer(ufunc, *args, **kwargs)
        case "reduce":
            return _reduce(ufunc, *args, **kwargs)
        case "accumulate":
            from tilewright.compiler.trace.numpy_running import accumulate

            return accumulate(ufunc, *args, **kwargs)
        case "reduceat":
            from tilewright.compiler.trace.numpy_strides import reduce_at

            return reduce_at(partial(_reduce, ufunc), *args, **kwargs)
    raise unsupported(getattr(ufunc, method))


def _reduce(ufunc: np.ufunc, array: Any, axis: Any = 0, *rest: Any, **kwargs: Any) -> Any:
    from tilewright.compiler.trace.numpy_reductions import combine

    function = _REDUCTIONS.get(ufunc)
    if function is None:
        return combine(ufunc, array, axis, *rest, **kwargs)
    if rest:  # NumPy's order: dtype, out, keepdims, initial, where
        names = ("dtype", "out", "keepdims", "initial", "where")
        kwargs.update(zip(names, rest, strict=False))
    if kwargs.get("dtype", "") is None:
        del kwargs["dtype"]
    return IMPLEMENTATIONS[function](array, axis=axis, **kwargs)
