"""Running combinations along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.numpy_nan_reductions import without_nan
from tilewright.compiler.trace.numpy_reductions import NAMES, accumulator
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    cast_to,
)
from tilewright.ir.errors import ShapeError


def accumulate(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """``ufunc.accumulate``."""
    from tilewright.compiler.trace.dispatch import write_out

    if ufunc not in NAMES:
        from tilewright.compiler.trace.ordered_ufuncs import accumulate_in_order

        return accumulate_in_order(ufunc, array, axis, dtype, out)
    source = as_array(array)
    if not source.sizes:
        raise failure(ShapeError, "cannot accumulate on a scalar")
    compute, result_type = accumulator(ufunc, source.element_type, dtype)
    combiner = NAMES[ufunc]
    if combiner in ("fmax", "fmin") and not compute.is_float:
        combiner = combiner[1:]
    along_axis = as_axis(axis, source.rank)
    label = f"np.{ufunc.__name__}.accumulate"
    result = active().scan(cast_to(source, compute), along_axis, combiner, label)
    made = cast_to(result, result_type)
    return made if out is None else write_out(made, out)


def _cumulative(ufunc: np.ufunc) -> Callable[..., Any]:
    def run(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        array = as_array(a)
        if axis is None or not array.rank:  # a scalar has one axis here
            array = dispatch(np.reshape, (array, -1), {})
        return accumulate(ufunc, array, 0 if axis is None else axis, dtype, out)

    return run


implements(np.cumsum)(_cumulative(np.add))


implements(np.cumprod)(_cumulative(np.multiply))


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return dispatch(np.cumsum, (without_nan(as_array(a), 0.0), axis, dtype), {})


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return dispatch(np.cumprod, (without_nan(as_array(a), 1.0), axis, dtype), {})


def _running(function: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    def run(
        x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
    ) -> Any:
        array = as_array(x)
        if axis is None and array.rank > 1:
            raise failure(ShapeError, "an axis is needed for arrays of more than one dimension")
        where = as_axis(0 if axis is None else axis, max(array.rank, 1))
        result = dispatch(function, (array,), {"axis": where, "dtype": dtype})
        if not include_initial:
            return result
        shape = [1 if a == where else s for a, s in enumerate(result.shape)]
        start = dispatch(np.full, (tuple(shape), neutral), {"dtype": result.dtype})
        return dispatch(np.concatenate, ([start, result],), {"axis": where})

    return run


implements(np.cumulative_sum)(_running(np.cumsum, 0))


implements(np.cumulative_prod)(_running(np.cumprod, 1))
