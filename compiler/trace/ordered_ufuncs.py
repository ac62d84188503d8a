"""``reduce`` and ``accumulate`` of ufuncs that the graph does not combine by: rewritten, in order.

``np.subtract.reduce`` is one subtraction of a sum; others, where a product would overflow as for
``np.divide``, are applied element after element, written out where there are few, else by a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, unsupported, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    as_dtype,
    as_int,
    cast_to,
    resolve_ufunc,
)
from tilewright.ir.errors import LimitError, ShapeError, UnsupportedError

_WRITTEN_OUT: Final = 32
_LONG: Final = frozenset({np.gcd, np.lcm, np.power})
"""Of integers, hundreds of operations each: written out twice at most."""
_MOST_STEPS: Final = 1024


def reduce_in_order(
    ufunc: np.ufunc,
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = np._NoValue,
    where: Any = True,
) -> Any:
    """``ufunc.reduce`` along one axis."""
    if initial is not np._NoValue or where is not True:
        raise failure(
            UnsupportedError, f"np.{ufunc.__name__}.reduce with initial or where is not supported"
        )
    rows, number = _rows(ufunc, a, axis, dtype)
    rule = _REWRITTEN.get(ufunc)
    made = rule(rows) if rule is not None else _in_order(ufunc, rows)
    if keepdims and keepdims is not np._NoValue:
        made = dispatch(np.expand_dims, (made, number), {})
    return made if out is None else write_out(made, out)


def accumulate_in_order(
    ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """``ufunc.accumulate``."""
    rows, number = _rows(ufunc, a, axis, dtype)
    count = as_int(rows.shape[0], "the length of the axis")
    if count > _MOST_STEPS:
        raise failure(
            LimitError,
            f"np.{ufunc.__name__}.accumulate of {count} elements is written out; the limit is "
            f"{_MOST_STEPS}",
            help="use tw.loop with the running value as its state",
        )
    found = [rows[0]]
    for row in range(1, count):
        found.append(ufuncs.call(ufunc, (found[-1], rows[row])))
    made = dispatch(np.stack, (found,), {"axis": number})
    return made if out is None else write_out(made, out)


def _rows(ufunc: np.ufunc, a: Any, axis: Any, dtype: Any) -> tuple[Any, int]:
    """The array in the dtype in which NumPy combines, the combined axis first; and that axis."""
    if ufunc.nin != 2 or ufunc.nout != 1:
        raise unsupported(ufunc.reduce)
    array = as_array(a)
    wanted = array.element_type if dtype is None else as_dtype(dtype)
    resolved = resolve_ufunc(ufunc, (wanted.numpy, wanted.numpy))
    if resolved[0] is not resolved[-1]:
        raise unsupported(ufunc.reduce)  # a comparison: the results are no operands
    if isinstance(axis, tuple) and len(axis) == 1:
        axis = axis[0]
    if axis is None and array.rank == 1:
        axis = 0
    number = as_axis(axis, array.rank)
    rows = dispatch(np.moveaxis, (cast_to(array, resolved[0]), number, 0), {})
    if rows.sizes[0] == 0:
        raise failure(ShapeError, f"np.{ufunc.__name__} of an empty axis has no value")
    return rows, number


def _in_order(ufunc: np.ufunc, rows: Any) -> Any:
    count = rows.shape[0]
    made = rows[0]
    few = 2 if ufunc in _LONG and rows.element_type.is_integer else _WRITTEN_OUT
    if not isinstance(count, int) or count > few:
        state = active().loop(count - 1, lambda i, s: (ufuncs.call(ufunc, (s, rows[i + 1])),), made)
        return state[0]
    for row in range(1, count):
        made = ufuncs.call(ufunc, (made, rows[row]))
    return made


def _subtracted(rows: Any) -> Any:
    """The first row less the sum of the others."""
    if rows.sizes[0] == 1:
        return rows[0]
    rest = dispatch(np.sum, (rows[1:],), {"axis": 0, "dtype": rows.dtype})
    return ufuncs.call(np.subtract, (rows[0], rest))


def _log_of_sum(rows: Any) -> Any:
    """``log(sum(exp(x)))`` without overflow; all -inf, or an inf, stay what they are."""
    high = dispatch(np.max, (rows,), {"axis": 0})
    finite = dispatch(np.where, (ufuncs.call(np.isfinite, (high,)), high, 0), {})
    total = dispatch(np.sum, (ufuncs.call(np.exp, (rows - finite,)),), {"axis": 0})
    return ufuncs.call(np.log, (total,)) + finite


def _length(rows: Any) -> Any:
    """The root of the sum of squares, scaled by the largest element; infinite beside NaN too."""
    high = dispatch(np.nanmax, (ufuncs.call(np.absolute, (rows,)),), {"axis": 0})
    usable = ufuncs.call(np.isfinite, (high,)) & (high > 0)
    scale = dispatch(np.where, (usable, high, 1), {})
    scaled = rows / scale
    total = dispatch(np.sum, (scaled * scaled,), {"axis": 0})
    length = ufuncs.call(np.sqrt, (total,)) * scale
    return dispatch(np.where, (ufuncs.call(np.isinf, (high,)), high, length), {})


_REWRITTEN: Final[dict[np.ufunc, Callable[[Any], Any]]] = {
    np.subtract: _subtracted,
    np.logaddexp: _log_of_sum,
    np.hypot: _length,
}
