"""Averages, ranges and covariances, made of plain reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.numpy_reductions import Plan, combine, mean
from tilewright.compiler.trace.operands import (
    as_array,
    as_axis,
    as_number,
    cast_to,
    result_dtype,
)
from tilewright.compiler.trace.views import along
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import F64
from tilewright.ir.errors import ShapeError


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    array = as_array(a)
    if weights is None:
        result = mean(array, axis, keepdims=keepdims)
        total: Any = as_array(np.asarray(result.element_type.numpy.type(1)))
        total = ufuncs.call(np.multiply, (total, as_number(Plan(array, axis).count)))
    else:
        factors = as_array(weights)
        dtype = result_dtype((array, factors))
        if not array.element_type.is_float:
            dtype = result_dtype((array, factors, np.float64()))
        array, factors = cast_to(array, dtype), cast_to(factors, dtype)
        if factors.rank == array.rank:
            fits = all(map(same_size, factors.sizes, array.sizes))
        else:
            fits = factors.rank == 1 and axis is not None
            only = as_axis(axis, array.rank) if fits else 0
            fits = fits and same_size(factors.sizes[0], array.sizes[only])
        if not fits:
            raise failure(ShapeError, "weights need the shape of the array, or of one axis")
        if factors.rank != array.rank:
            sizes = tuple(s if a == only else 1 for a, s in enumerate(array.sizes))
            factors = factors.viewed((along(only),), sizes)
        products = ufuncs.call(np.multiply, (array, factors))
        spread = dispatch(np.broadcast_to, (factors, products.shape), {})
        total = dispatch(np.sum, (spread,), {"axis": axis, "keepdims": keepdims})
        top = dispatch(np.sum, (products,), {"axis": axis, "keepdims": keepdims})
        result = ufuncs.call(np.true_divide, (top, total))
    if not returned:
        return result
    return result, dispatch(np.broadcast_to, (total, result.shape), {}).copy()


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    from tilewright.compiler.trace.dispatch import write_out

    array = as_array(a)
    high = combine(np.maximum, array, axis, keepdims=keepdims)
    low = combine(np.minimum, array, axis, keepdims=keepdims)
    result = ufuncs.call(np.subtract, (high, low))
    return result if out is None else write_out(result, out)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    array = as_array(y)
    where = as_axis(axis, array.rank)
    front = tuple(slice(None) for _ in range(where))
    later, earlier = array[(*front, slice(1, None))], array[(*front, slice(None, -1))]
    width = dx
    if x is not None:
        points = as_array(x)
        width = dispatch(np.diff, (points,), {"axis": -1 if points.rank == 1 else where})
        if points.rank == 1:
            sizes = tuple(width.sizes[0] if a == where else 1 for a in range(array.rank))
            width = width.viewed((along(where),), sizes)
    return dispatch(np.sum, (width * (later + earlier) / 2.0,), {"axis": where})


@implements(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Any:
    array = _variables(m, rowvar)
    if y is not None:
        array = dispatch(np.concatenate, ((array, _variables(y, rowvar)),), {"axis": 0})
    centered = array - mean(array, axis=1, keepdims=True)
    less = (0 if bias else 1) if ddof is None else ddof
    count = array.shape[1]
    product = dispatch(np.matmul, (centered, centered.T), {})
    return dispatch(np.squeeze, (product / (count - less),), {})


def _variables(m: Any, rowvar: bool) -> Any:
    """One variable in each row, in float64."""
    array = cast_to(as_array(m), F64)
    if array.rank < 2:
        return dispatch(np.reshape, (array, (1, -1)), {})
    return array if rowvar else array.T


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    covariance = cov(x, y, rowvar)
    if not covariance.rank:
        return covariance / covariance
    spread = ufuncs.call(np.sqrt, (dispatch(np.diagonal, (covariance,), {}),))
    scaled = covariance / spread[:, None] / spread[None, :]
    return dispatch(np.clip, (scaled, -1, 1), {})
