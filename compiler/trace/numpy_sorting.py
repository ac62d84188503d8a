"""Sorting, searching and order statistics along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.binary_search import position_of
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import transposed
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axes,
    as_axis,
    as_int,
    cast_to,
    convert,
    elementwise,
    result_dtype,
)
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F16, F64, I64, U8
from tilewright.ir.errors import ShapeError, UnsupportedError
from tilewright.ir.expr import Expr


def _along(a: Any, axis: Any) -> tuple[Handle, int]:
    array = as_array(a)
    if axis is None:
        return dispatch(np.reshape, (array, -1), {}), 0
    return array, as_axis(axis, array.rank)


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    array, where = _along(a, axis)
    if array.element_type is BOOL:
        return cast_to(sort(cast_to(array, U8), where), BOOL)
    return active().sort(array, where, positions=False, label="np.sort")


@implements(np.argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """Always stable."""
    array, where = _along(a, axis)
    if array.element_type is BOOL:
        array = cast_to(array, U8)
    return active().sort(array, where, positions=True, label="np.argsort")


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    """A sorted array is partitioned at every place."""
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    return argsort(a, axis)


@implements(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Any:
    """Stable sorts by each key, the last one counting most."""
    arrays = [as_array(k) for k in keys]
    order = argsort(arrays[0], axis)
    for key in arrays[1:]:
        moved = dispatch(np.take_along_axis, (key, order, axis), {})
        order = dispatch(np.take_along_axis, (order, argsort(moved, axis), axis), {})
    return order


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    array, values = as_array(a), as_array(v)
    if array.rank != 1:
        raise failure(ShapeError, "np.searchsorted needs a sorted array of one dimension")
    if sorter is not None:
        array = dispatch(np.take, (array, sorter), {})
    dtype = result_dtype((array, values))
    array = cast_to(array, dtype)

    def rule(value: Expr) -> Expr:
        position = position_of(array, convert(value, dtype), right_side=side == "right")
        return build.cast(position, I64)

    return elementwise("np.searchsorted", rule, (values,))


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Bins decrease if the first two that differ do, which is all that NumPy asks of NaN too."""
    side = "left" if right else "right"
    array: Any = as_array(bins)
    rising = searchsorted(array, x, side=side)
    size = array.shape[0]
    if isinstance(size, int) and size < 2:
        return rising
    known = array.known()
    if known is not None:
        step = np.argmax(known[1:] != known[:-1])
        if known[step] < known[step + 1] or np.all(known[1:] == known[:-1]):
            return rising
    falling = size - searchsorted(array[::-1], x, side=side)
    return (
        falling if known is not None else dispatch(np.where, (_falls(array), falling, rising), {})
    )


def _falls(array: Any) -> Any:
    """Whether the first of two neighbours that differ is not the smaller one."""
    differ = array[1:] != array[:-1]
    step = dispatch(np.argmax, (differ,), {})
    less = dispatch(np.take, (array[:-1] < array[1:], step), {})
    return dispatch(np.any, (differ,), {}) & ~less


def _flattened(a: Any, axis: Any) -> tuple[Any, tuple[Any, ...]]:
    """The array with the reduced axes as one, last; and the shape that ``keepdims`` gives."""
    array = as_array(a)
    gone = as_axes(axis, array.rank)
    kept = [n for n in range(array.rank) if n not in gone]
    keep_shape = tuple(1 if n in gone else s for n, s in enumerate(array.shape))
    moved = transposed(array, [*kept, *gone])
    sizes = [array.shape[n] for n in gone]
    # Of an array without elements, no size could be left for reshape to find.
    known = [n for n in sizes if isinstance(n, int)]
    count = math.prod(known) if len(known) == len(sizes) else -1
    shape = (*(array.shape[n] for n in kept), count)
    return dispatch(np.reshape, (moved, shape), {}), keep_shape


def _quantile(a: Any, q: Any, axis: Any, keepdims: bool, label: str) -> Any:
    rows, keep_shape = _flattened(a, axis)
    count = rows.shape[-1]
    if not isinstance(count, int):
        raise failure(UnsupportedError, f"{label} over an open dimension is not supported")
    if count == 0:
        raise failure(ShapeError, f"{label} of an empty array")
    if not rows.element_type.is_float:
        rows = cast_to(rows, F64)
    ordered = sort(rows)
    levels = np.asarray(q, dtype=np.float64)
    results = [_level(ordered, float(level) * (count - 1), count) for level in levels.reshape(-1)]
    if keepdims:
        results = [dispatch(np.reshape, (r, keep_shape), {}) for r in results]
    if not levels.shape:
        return results[0]
    stacked = dispatch(np.stack, (results,), {})
    return dispatch(np.reshape, (stacked, levels.shape + results[0].shape), {})


def _level(ordered: Any, place: float, count: int) -> Any:
    """Between two neighbours, linearly; NaN (sorted last) makes all NaN."""
    low = min(math.floor(place), count - 1)
    high = min(low + 1, count - 1)
    weight = place - low
    first, second, last = (ordered[..., n] for n in (low, high, -1))
    value = first
    if weight:
        gap = ufuncs.call(np.subtract, (second, first))
        # From the nearer neighbour, as NumPy does.
        value = first + gap * weight if weight < 0.5 else second - gap * (1 - weight)
    missing = ufuncs.call(np.isnan, (last,))
    return dispatch(np.where, (missing, last, value), {})


@implements(np.median)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    rows, keep_shape = _flattened(a, axis)
    count = rows.shape[-1]
    if not isinstance(count, int):
        raise failure(UnsupportedError, "np.median over an open dimension is not supported")
    source = rows.element_type
    if not source.is_float:
        rows = cast_to(rows, F64)
    ordered = sort(rows)
    middle = ordered[..., max(count - 1, 0) // 2 : count // 2 + 1]
    value = dispatch(np.mean, (middle,), {"axis": -1})  # of nothing NaN
    if count:
        last = ordered[..., -1]
        value = dispatch(np.where, (ufuncs.call(np.isnan, (last,)), last, value), {})
    if source is F16:
        value = cast_to(value, F16)
    return dispatch(np.reshape, (value, keep_shape), {}) if keepdims else value


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    _require_linear(method)
    return _quantile(a, q, axis, keepdims, "np.quantile")


@implements(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    _require_linear(method)
    return _quantile(a, np.asarray(q) / 100, axis, keepdims, "np.percentile")


def _require_linear(method: str) -> None:
    if method != "linear":
        raise failure(UnsupportedError, f"quantiles by method {method!r} are not supported")


def top_positions(a: Any, count: Any, axis: int = -1) -> Any:
    """The positions of the `count` largest elements, largest first."""
    order = argsort(a, axis)
    return order[..., ::-1][..., : as_int(count, "the number of elements")]
