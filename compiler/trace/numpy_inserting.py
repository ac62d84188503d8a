"""Elements left out of an array, or put into it, at positions that are known while tracing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import bare, has_traced, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.numpy_gathering import take
from tilewright.compiler.trace.numpy_joining import concatenate
from tilewright.compiler.trace.numpy_shapes import broadcast_to, moveaxis, reshape
from tilewright.compiler.trace.operands import as_array, as_axis, as_int, cast_to
from tilewright.ir.errors import BoundsError, ShapeError, UnsupportedError


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    array, where, size = _along(arr, axis)
    try:
        kept = np.delete(np.arange(size), _places(obj, "np.delete"))
    except IndexError as error:
        raise failure(BoundsError, str(error)) from error
    except ValueError as error:  # a mask of another length
        raise failure(ShapeError, str(error)) from error
    return take(array, kept, where)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    array, where, size = _along(arr, axis)
    places = _places(obj, "np.insert")
    if isinstance(places, slice):
        places = np.arange(*places.indices(size))
    new = cast_to(as_array(values), array.element_type)
    while new.rank < array.rank:
        new = new[None]
    if np.ndim(places) == 0:  # then the values' first axis is the one that grows, as in NumPy
        new = moveaxis(new, 0, where)
        places = np.full(new.shape[where], places)
    shape = list(array.shape)
    shape[where] = len(places)
    new = broadcast_to(new, tuple(shape))
    if places.size and (places.min() < -size or places.max() > size):
        raise failure(BoundsError, f"index {places.max()} is out of bounds for axis of size {size}")
    # NumPy itself says where each element goes: `size + k` stands for the k-th new one.
    order = np.insert(np.arange(size), places, np.arange(size, size + len(places)))
    return take(concatenate([array, new], where), order, where)


def _along(arr: Any, axis: Any) -> tuple[Any, int, int]:
    """The array, the axis that changes, and its size."""
    array = as_array(arr)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    return array, where, as_int(array.shape[where], "the size of the axis")


def _places(obj: Any, name: str) -> Any:
    """Positions: an int, a slice, or an array of ints or bools."""
    if has_traced((obj,)):
        raise failure(
            UnsupportedError,
            f"{name} at positions that depend on data is not supported",
            help="make the result with np.where, or by an index array of known size",
        )
    if isinstance(obj, slice):
        return obj
    made = np.asarray(bare(obj))
    return made.astype(int) if made.size == 0 else made
