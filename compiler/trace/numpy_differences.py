"""Differences between neighbours along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.numpy_joining import concatenate, slice_along
from tilewright.compiler.trace.numpy_shapes import (
    broadcast_to,
    listed,
    reshape,
)
from tilewright.compiler.trace.operands import (
    as_array,
    as_axis,
    as_dtype,
    cast_to,
)
from tilewright.ir.errors import UnsupportedError


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
    array = as_array(a)
    where = as_axis(axis, array.rank)
    parts = [array]
    if prepend is not None and prepend is not np._NoValue:
        parts.insert(0, _edge(prepend, array, where))
    if append is not None and append is not np._NoValue:
        parts.append(_edge(append, array, where))
    if len(parts) > 1:
        array = concatenate(parts, where)
    step = np.not_equal if array.element_type.kind == "b" else np.subtract
    for _ in range(n):
        later = slice_along(array, where, slice(1, None))
        earlier = slice_along(array, where, slice(None, -1))
        array = dispatch(step, (later, earlier), {})
    return array


def _edge(value: Any, array: Any, axis: int) -> Any:
    edge = as_array(value)
    if edge.rank:
        return edge
    shape = tuple(1 if n == axis else s for n, s in enumerate(array.shape))
    return broadcast_to(edge, shape)


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    differences = diff(reshape(as_array(ary), -1))
    parts = [differences]
    if to_begin is not None:
        parts.insert(0, _ends(to_begin, differences))
    if to_end is not None:
        parts.append(_ends(to_end, differences))
    return concatenate(parts)


def _ends(values: Any, differences: Any) -> Any:
    """What stands before or behind the differences, in their dtype."""
    return cast_to(reshape(as_array(values), -1), differences.element_type)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    array = as_array(f)
    if edge_order != 1:
        raise failure(UnsupportedError, "np.gradient with edge_order 2 is not supported")
    if not array.element_type.is_float:
        array = cast_to(array, as_dtype(np.float64))
    axes_ = range(array.rank) if axis is None else [as_axis(x, array.rank) for x in listed(axis)]
    spacings = list(varargs) or [1.0]
    if len(spacings) == 1:
        spacings = spacings * len(axes_)
    if len(spacings) != len(axes_) or any(
        np.ndim(s) for s in spacings if not isinstance(s, Handle)
    ):
        raise failure(UnsupportedError, "np.gradient takes one spacing per axis, each a number")
    results = [_gradient_along(array, a, s) for a, s in zip(axes_, spacings, strict=True)]
    return results[0] if len(results) == 1 else tuple(results)


def _gradient_along(array: Any, axis: int, spacing: Any) -> Any:
    def cut(start: Any, stop: Any) -> Any:
        return slice_along(array, axis, slice(start, stop))

    inner = (cut(2, None) - cut(None, -2)) / (2.0 * spacing)
    first = (cut(1, 2) - cut(0, 1)) / spacing
    last = (cut(-1, None) - cut(-2, -1)) / spacing
    return concatenate([first, inner, last], axis)
