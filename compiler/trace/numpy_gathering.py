"""Elements picked by positions along an axis, and the arithmetic of positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch, implements, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import (
    fetch,
    require_integer,
    store,
)
from tilewright.compiler.trace.numpy_shapes import FULL, listed, reshape
from tilewright.compiler.trace.operands import (
    as_array,
    as_axis,
    as_int,
    as_number,
    as_shape,
    cast_to,
)
from tilewright.compiler.trace.views import along
from tilewright.ir.dtypes import BOOL, I64, U64
from tilewright.ir.errors import ShapeError, UnsupportedError


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    array = as_array(a)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    wanted = as_array(indices)
    require_integer(wanted, "indices of np.take")
    size = as_number(array.sizes[where])
    if wanted.element_type is U64:
        wanted = cast_to(wanted, I64)  # as NumPy's indices are
    if mode == "clip":
        wanted = dispatch(np.clip, (wanted, 0, size - 1), {})
    elif mode == "wrap":
        wanted = dispatch(np.remainder, (wanted, size), {})
    elif mode != "raise":
        raise failure(ShapeError, f"np.take has the modes 'raise', 'clip' and 'wrap', not {mode!r}")
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


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    """Where the condition is known, or chosen by a mask; it may be shorter than the axis."""
    array = as_array(a)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    mask = as_array(condition)
    known = mask.known()
    if known is not None:
        return take(array, np.flatnonzero(known), where)
    return fetch(array, (*(FULL,) * where, cast_to(mask, BOOL)))


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return compress(reshape(as_array(condition), -1), arr)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """The elements again and again until the new shape is full."""
    flat = reshape(as_array(a), -1)
    shape = tuple(as_int(s, "a size of np.resize") for s in listed(new_shape))
    size = as_int(flat.shape[0], "the size of the array")
    if not size:
        return dispatch(np.zeros, (shape, flat.dtype), {})
    return reshape(take(flat, np.arange(math.prod(shape)) % size), shape)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    flat = as_array(indices)
    sizes = as_shape(shape)
    parts: list[Any] = []
    for size in sizes if order == "F" else reversed(sizes):
        parts.append(dispatch(np.remainder, (flat, as_number(size)), {}))
        flat = dispatch(np.floor_divide, (flat, as_number(size)), {})
    return tuple(parts if order == "F" else reversed(parts))


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Any:
    if mode not in ("raise", "clip", "wrap"):
        raise failure(UnsupportedError, f"np.ravel_multi_index with mode={mode!r}")
    total: Any = 0
    pairs = list(zip(multi_index, as_shape(dims), strict=True))
    for index, size in pairs if order == "C" else reversed(pairs):
        place, extent = as_array(index), as_number(size)
        if mode == "clip":
            place = dispatch(np.clip, (place, 0, extent - 1), {})
        elif mode == "wrap":
            place = dispatch(np.remainder, (place, extent), {})
        total = total * extent + place
    return total
