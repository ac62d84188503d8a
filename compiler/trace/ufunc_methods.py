"""``ufunc.reduce``, ``accumulate``, ``outer``, ``at``, ``reduceat`` on traced arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import fold, has_traced, unsupported
from tilewright.compiler.trace.failures import failure
from tilewright.ir.errors import DTypeError, KernelError


def call_method(
    ufunc: np.ufunc, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """``ufunc.method(*args, **kwargs)``."""
    if method != "at" and not has_traced((*args, *kwargs.values())):
        return fold(getattr(ufunc, method), args, kwargs)
    try:
        return _call(ufunc, method, args, kwargs)
    except TypeError as error:
        if isinstance(error, KernelError):
            raise
        raise failure(DTypeError, f"np.{ufunc.__name__}.{method}: {error}") from error


def _call(ufunc: np.ufunc, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    from tilewright.compiler.trace.numpy_reductions import combine

    match method:
        case "at":
            return ufuncs.at(ufunc, *args, **kwargs)
        case "outer":
            return ufuncs.outer(ufunc, *args, **kwargs)
        case "reduce":
            return combine(ufunc, *args, **{"axis": 0, **kwargs} if len(args) < 2 else kwargs)
        case "accumulate":
            from tilewright.compiler.trace.numpy_running import accumulate

            return accumulate(ufunc, *args, **kwargs)
        case "reduceat":
            from tilewright.compiler.trace.numpy_strides import reduce_at

            return reduce_at(partial(combine, ufunc), *args, **kwargs)
    raise unsupported(getattr(ufunc, method))
