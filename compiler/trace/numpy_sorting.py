"""Sorting and searching along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.binary_search import position_of
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    cast_to,
    convert,
    elementwise,
    result_dtype,
)
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, I64, U8
from tilewright.ir.errors import DTypeError, ShapeError
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
    _check_places(*_along(a, axis), kth)
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    _check_places(*_along(a, axis), kth)
    return argsort(a, axis)


def _check_places(array: Handle, axis: int, kth: Any) -> None:
    """Places that are known must be on the axis, if that is of a known length."""
    size = build.known(array.sizes[axis])
    places = as_array(kth).known()
    if size is None or places is None:
        return
    if places.dtype.kind not in "iu":
        raise failure(DTypeError, f"kth must be integers, not {places.dtype}")
    for place in places.reshape(-1):
        if not -size <= place < size:
            raise failure(ShapeError, f"kth={place} is out of bounds for {size} elements")


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
