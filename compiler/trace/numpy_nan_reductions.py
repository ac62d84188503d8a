"""Reductions that leave NaN out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.numpy_reductions import combine, mean, std, var
from tilewright.compiler.trace.operands import (
    as_array,
)


def without_nan(array: Handle, otherwise: float) -> Handle:
    if not array.element_type.is_float:
        return array
    missing = ufuncs.call(np.isnan, (array,))
    replaced: Handle = dispatch(np.where, (missing, otherwise, array), {})
    return replaced


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Any:
    return combine(np.add, without_nan(as_array(a), 0.0), axis, dtype, keepdims=keepdims)


@implements(np.nanprod)
def nanprod(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Any:
    return combine(np.multiply, without_nan(as_array(a), 1.0), axis, dtype, keepdims=keepdims)


@implements(np.nanmax)
def nanmax(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    return combine(np.fmax, a, axis, keepdims=keepdims)


@implements(np.nanmin)
def nanmin(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    return combine(np.fmin, a, axis, keepdims=keepdims)


def _present(array: Handle) -> Any:
    return ufuncs.call(np.logical_not, (ufuncs.call(np.isnan, (array,)),))


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Any:
    array = as_array(a)
    return mean(array, axis, dtype, keepdims=keepdims, where=_present(array))


@implements(np.nanvar)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = False
) -> Any:
    array = as_array(a)
    return var(array, axis, dtype, ddof=ddof, keepdims=keepdims, where=_present(array))


@implements(np.nanstd)
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, ddof: Any = 0, keepdims: Any = False
) -> Any:
    array = as_array(a)
    return std(array, axis, dtype, ddof=ddof, keepdims=keepdims, where=_present(array))


def _nan_position(function: Callable[..., Any], worst: float) -> Callable[..., Any]:
    def run(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
        return dispatch(
            function, (without_nan(as_array(a), worst),), {"axis": axis, "keepdims": keepdims}
        )

    return run


implements(np.nanargmax)(_nan_position(np.argmax, -math.inf))


implements(np.nanargmin)(_nan_position(np.argmin, math.inf))
