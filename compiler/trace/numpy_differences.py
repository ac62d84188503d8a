"""Differences between neighbours along an axis."""

from __future__ import annotations

import math
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
from tilewright.compiler.trace.operands import as_array, as_axis, cast_to, result_dtype
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import BOOL, F64
from tilewright.ir.errors import DTypeError, ShapeError, UnsupportedError


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
    array = reshape(as_array(ary), -1)
    parts = [_plain_difference(array[1:], array[:-1])]
    if to_begin is not None:
        parts.insert(0, _end(to_begin, array, "to_begin"))
    if to_end is not None:
        parts.append(_end(to_end, array, "to_end"))
    return concatenate(parts)


def _plain_difference(later: Any, earlier: Any) -> Any:
    return dispatch(np.subtract, (later, earlier), {})


def _end(value: Any, array: Handle, name: str) -> Any:
    """Given elements in the dtype of the array, to which they must be convertible."""
    end = reshape(as_array(value), -1)
    if not np.can_cast(end.element_type.numpy, array.element_type.numpy, "same_kind"):
        raise failure(DTypeError, f"{name} must be compatible with {array.element_type}")
    return cast_to(end, array.element_type)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    array = as_array(f)
    if array.element_type.is_integer and array.element_type is not BOOL:
        array = cast_to(array, F64)
    axes_ = range(array.rank) if axis is None else [as_axis(x, array.rank) for x in listed(axis)]
    spacings = list(varargs) or [1.0]
    if len(spacings) == 1:
        spacings = spacings * len(axes_)
    if len(spacings) != len(axes_):
        raise failure(DTypeError, "np.gradient takes one spacing for all axes, or one per axis")
    if edge_order not in (1, 2):
        raise failure(ShapeError, "np.gradient takes an edge_order of 1 or 2")
    results = [
        _gradient_along(array, a, _steps(s, array, a), edge_order)
        for a, s in zip(axes_, spacings, strict=True)
    ]
    return results[0] if len(results) == 1 else tuple(results)


def _steps(spacing: Any, array: Any, axis: int) -> tuple[Any, Any] | Any:
    """A number, or the distances before and after each inner point, for an array of places."""
    places = spacing if isinstance(spacing, (bool, int, float)) else as_array(spacing)
    if not isinstance(places, Handle) or not places.rank:
        return spacing
    if places.rank != 1 or not same_size(places.sizes[0], array.sizes[axis]):
        raise failure(
            ShapeError, "the places of np.gradient need one dimension, as long as the axis"
        )
    known = places.known()
    if known is not None:
        gaps = np.diff(known.astype(np.float64) if known.dtype.kind in "iu" else known)
        if len(gaps) and (gaps == gaps[0]).all():
            return gaps[0]
        places = as_array(known)
    gaps = diff(places if places.element_type.is_float else cast_to(places, F64))
    shape = tuple(-1 if n == axis else 1 for n in range(array.rank))
    return reshape(gaps, shape)


def _gradient_along(array: Any, axis: int, steps: Any, edge_order: int) -> Any:
    least = edge_order + 1
    if isinstance(array.shape[axis], int) and array.shape[axis] < least:
        raise failure(ShapeError, f"np.gradient needs at least {least} elements along an axis")

    def cut(start: Any, stop: Any) -> Any:
        return slice_along(array, axis, slice(start, stop))

    def at(number: int) -> Any:
        return cut(number, number + 1 or None)

    uneven = isinstance(steps, Handle) and steps.rank > 0
    if not uneven:
        inner = (cut(2, None) - cut(None, -2)) / (2.0 * steps)
        before = after = first = second = last = last_but_one = steps
    else:
        gaps = [slice_along(steps, axis, slice(a, b)) for a, b in ((None, -1), (1, None))]
        before, after = gaps
        inner = (
            -after / (before * (before + after)) * cut(None, -2)
            + (after - before) / (before * after) * cut(1, -1)
            + before / (after * (before + after)) * cut(2, None)
        )
        first, second = (slice_along(steps, axis, slice(n, n + 1)) for n in (0, 1))
        last, last_but_one = (slice_along(steps, axis, slice(n, n + 1 or None)) for n in (-1, -2))
    if edge_order == 1:
        ends = ((at(1) - at(0)) / first, (at(-1) - at(-2)) / last)
    elif uneven:
        ends = (
            _one_sided((at(0), at(1), at(2)), first, second),
            -_one_sided((at(-1), at(-2), at(-3)), last, last_but_one),
        )
    else:
        ends = (
            -1.5 / steps * at(0) + 2.0 / steps * at(1) + -0.5 / steps * at(2),
            0.5 / steps * at(-3) + -2.0 / steps * at(-2) + 1.5 / steps * at(-1),
        )
    parts = (ends[0], inner, ends[1])
    return concatenate([cast_to(p, array.element_type) for p in parts], axis)


def _one_sided(values: tuple[Any, Any, Any], near: Any, far: Any) -> Any:
    """The slope at the first of three points at uneven distances, to second order."""
    return (
        -(2.0 * near + far) / (near * (near + far)) * values[0]
        + (near + far) / (near * far) * values[1]
        - near / (far * (near + far)) * values[2]
    )


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * math.pi) -> Any:
    """Jumps of more than half a period made shorter by whole periods."""
    array = as_array(p)
    where = as_axis(axis, array.rank)
    steps = diff(array, axis=where)
    half = period / 2
    if not result_dtype((steps, period)).is_float:
        raise failure(UnsupportedError, "np.unwrap of integers with a whole period")
    inside = dispatch(np.remainder, (steps + half, period), {}) - half
    upwards = (inside == -half) & (steps > 0)
    inside = dispatch(np.where, (upwards, half, inside), {})
    small = dispatch(np.absolute, (steps,), {}) < (half if discont is None else discont)
    change = dispatch(np.where, (small, 0, inside - steps), {})
    total = dispatch(np.cumsum, (change,), {"axis": where})
    first = slice_along(array, where, slice(None, 1))
    moved = slice_along(array, where, slice(1, None)) + total
    return concatenate([cast_to(first, moved.element_type), moved], where)
