"""Elements picked by positions along an axis, and the arithmetic of positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch, has_traced, implements, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import (
    fetch,
    require_integer,
    store,
)
from tilewright.compiler.trace.numpy_joining import concatenate, slice_along
from tilewright.compiler.trace.numpy_shapes import (
    FULL,
    broadcast_to,
    expand_dims,
    reshape,
)
from tilewright.compiler.trace.operands import (
    as_array,
    as_axis,
    as_int,
    as_number,
    as_shape,
    cast_to,
)
from tilewright.compiler.trace.views import along
from tilewright.ir.errors import BoundsError, ShapeError, UnsupportedError


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    array = as_array(a)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    wanted = as_array(indices)
    require_integer(wanted, "indices of np.take")
    size = as_number(array.sizes[where])
    if mode == "clip":
        wanted = dispatch(np.clip, (wanted, 0, size - 1), {})
    elif mode == "wrap":
        wanted = dispatch(np.remainder, (wanted, size), {})
    made = fetch(array, (*(FULL,) * where, wanted))
    return made if out is None else write_out(made, out)


def _along_axis_index(array: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    """The full index of ``take_along_axis``: other axes read in step."""
    wanted = as_array(indices)
    require_integer(wanted, "indices along an axis")
    if wanted.rank != array.rank:
        raise failure(
            ShapeError, f"indices of rank {wanted.rank} for an array of rank {array.rank}"
        )
    index: list[Any] = []
    for n in range(array.rank):
        if n == axis:
            index.append(wanted)
            continue
        line = dispatch(np.arange, (as_number(array.sizes[n]),), {})
        shape = tuple(array.sizes[n] if m == n else 1 for m in range(array.rank))
        index.append(line.viewed((along(n),), shape))
    return tuple(index)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    array = as_array(arr)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    return fetch(array, _along_axis_index(array, indices, where))


@implements(np.put_along_axis, always=True)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    where = as_axis(axis, arr.rank)
    store(arr, _along_axis_index(arr, indices, where), values)


@implements(np.put, always=True)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    if mode != "raise":
        raise failure(UnsupportedError, f"np.put with mode={mode!r} is not supported")
    flat = reshape(a, -1)
    store(flat, as_array(ind), v)


@implements(np.place, np.putmask, always=True)
def putmask(a: Any, mask: Any, values: Any) -> None:
    if np.ndim(values) if not isinstance(values, Handle) else values.rank:
        raise failure(UnsupportedError, "np.putmask takes a single value", help="use np.where")
    store(a, as_array(mask), values)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    if has_traced((obj,)):
        raise failure(UnsupportedError, "np.delete at positions that depend on data")
    array = as_array(arr)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    size = as_int(array.shape[where], "the size of the axis")
    target: Any = obj.known() if isinstance(obj, Handle) else obj
    return take(array, np.delete(np.arange(size), target), where)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    array = as_array(arr)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    place = as_int(obj, "the place of np.insert")
    size = as_int(array.shape[where], "the size of the axis")
    if not -size <= place <= size:
        raise failure(BoundsError, f"index {place} is out of bounds for axis of size {size}")
    place = place + size if place < 0 else place
    new = cast_to(as_array(values), array.element_type)
    shape = tuple(1 if n == where else s for n, s in enumerate(array.shape))
    if new.rank < array.rank and new.rank:
        new = expand_dims(new, where) if new.rank == array.rank - 1 else new
    new = broadcast_to(new, shape if new.rank < array.rank or new.shape[where] == 1 else new.shape)
    before = slice_along(array, where, slice(None, place))
    after = slice_along(array, where, slice(place, None))
    return concatenate([before, new, after], where)


@implements(np.trim_zeros, np.resize)
def _size_depends_on_data(*_: Any, **__: Any) -> Any:
    raise failure(
        UnsupportedError, "the size of this function's result depends on data", help="slice instead"
    )


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    flat = as_array(indices)
    sizes = as_shape(shape)
    parts: list[Any] = []
    for size in reversed(sizes):
        parts.insert(0, dispatch(np.remainder, (flat, as_number(size)), {}))
        flat = dispatch(np.floor_divide, (flat, as_number(size)), {})
    return tuple(parts)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Any:
    total: Any = 0
    for index, size in zip(multi_index, as_shape(dims), strict=True):
        total = total * as_number(size) + as_array(index)
    return total


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    raise failure(
        UnsupportedError,
        "np.apply_along_axis is not supported",
        help="call the function on the whole array with axis=, or use tw.compute",
    )
