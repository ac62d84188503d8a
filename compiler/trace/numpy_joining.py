"""Concatenating, stacking and splitting."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tilewright.compiler.trace import joining
from tilewright.compiler.trace.dispatch import implements, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import (
    fetch,
)
from tilewright.compiler.trace.numpy_shapes import (
    FULL,
    moveaxis,
    reshape,
    to_2d,
    to_3d,
)
from tilewright.compiler.trace.operands import (
    as_array,
    as_axis,
    as_dtype,
    as_int,
    result_dtype,
)
from tilewright.ir.errors import ShapeError


def _joined_dtype(arrays: Sequence[Handle], dtype: Any) -> Any:
    return as_dtype(dtype) if dtype is not None else result_dtype(arrays)


def _several(arrays: Any, name: str) -> list[Any]:
    items = list(arrays)
    if not items:
        raise failure(ShapeError, f"{name} needs at least one array")
    return [as_array(a) for a in items]


@implements(np.concatenate, np.concat)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    items = _several(arrays, "np.concatenate")
    if axis is None:
        items, axis = [reshape(a, -1) for a in items], 0
    if not items[0].sizes:
        raise failure(ShapeError, "zero-dimensional arrays cannot be concatenated")
    where = as_axis(axis, items[0].rank)
    made = joining.concatenate(items, where, _joined_dtype(items, dtype), "np.concatenate")
    return made if out is None else write_out(made, out)


@implements(np.stack)
def stack(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    items = _several(arrays, "np.stack")
    made = joining.stack(items, axis, _joined_dtype(items, dtype), "np.stack")
    return made if out is None else write_out(made, out)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    items = [a if a.rank > 1 else to_2d(a) for a in _several(tup, "np.vstack")]
    return concatenate(items, 0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    items = [a if a.rank else a[None] for a in _several(tup, "np.hstack")]
    return concatenate(items, 0 if items[0].rank == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([a if a.rank > 2 else to_3d(a) for a in _several(tup, "np.dstack")], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    items = [a if a.rank > 1 else reshape(a, (-1, 1)) for a in _several(tup, "np.column_stack")]
    return concatenate(items, 1)


@implements(np.block)
def block(arrays: Any) -> Any:
    depth = _depth(arrays)

    def join(value: Any, level: int) -> Any:
        if not isinstance(value, list):
            made = as_array(value)
            while made.rank < depth:
                made = made[None]
            return made
        return concatenate([join(v, level + 1) for v in value], level - depth)

    return join(arrays, 0)


def _depth(value: Any) -> int:
    return 1 + max(_depth(v) for v in value) if isinstance(value, list) else 0


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    if axis is None:
        return concatenate([reshape(as_array(arr), -1), reshape(as_array(values), -1)])
    return concatenate([as_array(arr), as_array(values)], axis)


@implements(np.array_split, always=True)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    array = as_array(ary)
    where = as_axis(axis, array.rank)
    return [slice_along(array, where, cut) for cut in _cuts(array, indices_or_sections, where)]


def _cuts(array: Any, parts: Any, axis: int) -> list[slice]:
    if isinstance(parts, (list, tuple, np.ndarray)) or (isinstance(parts, Handle) and parts.rank):
        places: Any = parts
        marks = [as_int(p, "a place to split at") for p in places]
        return [slice(a, b) for a, b in zip([0, *marks], [*marks, None], strict=True)]
    count = as_int(parts, "the number of parts")
    if count <= 0:
        raise failure(ShapeError, "number sections must be larger than 0")
    size = as_int(array.shape[axis], "the size of a split axis")
    base, extra = divmod(size, count)
    marks = [0]
    for n in range(count):
        marks.append(marks[-1] + base + (n < extra))
    return [slice(a, b) for a, b in pairwise(marks)]


def slice_along(array: Any, axis: int, cut: slice) -> Any:
    return fetch(array, (*(FULL,) * axis, cut))


@implements(np.split, always=True)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    array = as_array(ary)
    if isinstance(indices_or_sections, int) and indices_or_sections > 0:
        where = as_axis(axis, array.rank)
        size = as_int(array.shape[where], "the size of a split axis")
        if size % indices_or_sections:
            raise failure(
                ShapeError,
                f"an axis of {size} elements has no {indices_or_sections} equal parts",
                help="use np.array_split",
            )
    return array_split(array, indices_or_sections, axis)


@implements(np.unstack, always=True)
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    return tuple(moveaxis(x, axis, 0))


@implements(np.hsplit, always=True)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 0 if as_array(ary).rank == 1 else 1)


@implements(np.vsplit, always=True)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    if as_array(ary).rank < 2:
        raise failure(ShapeError, "vsplit needs at least two dimensions")
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit, always=True)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 2)
