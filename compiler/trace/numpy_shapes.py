"""Other shapes and orders of axes for the same elements: views, as in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, ReshapedCell, show_sizes
from tilewright.compiler.trace.indexing import (
    broadcast_view,
    transposed,
)
from tilewright.compiler.trace.memory import (
    detached,
    is_contiguous,
    lies_by_columns,
    memory_order,
    shares_memory_as,
)
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    as_number,
    as_shape,
    as_size,
    broadcast_sizes,
)
from tilewright.compiler.trace.views import AxisMap, along, fixed
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Expr, Size

FULL = slice(None)


@implements(np.reshape, always=True)
def reshape(
    a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    array = as_array(a)
    sizes = _target_sizes(array, shape if shape is not None else newshape)
    if order == "F" or (order == "A" and lies_by_columns(array)):
        reversed_ = reshape(array.T, tuple(as_number(s) for s in sizes[::-1]))
        return reversed_.T
    return reshaped(array, sizes)


def reshaped(array: Handle, sizes: tuple[Size, ...]) -> Any:
    """The elements in row-major order under another shape; a view, as in NumPy."""
    if len(sizes) == array.rank and all(map(same_size, sizes, array.sizes)):
        return array.viewed(tuple(along(a) for a in range(array.rank)), array.sizes)
    only_units = _unit_axes_view(array, sizes)
    if only_units is not None:
        return only_units
    tracer = active()
    if tracer.scopes and tracer.index_variables((array.element(tracer.axes(array.sizes)),)):
        return _formula_reshape(array, sizes)
    made = type(array)(ReshapedCell(array, sizes))
    return made if shares_memory_as(array, sizes) else detached(made)


def _formula_reshape(array: Handle, sizes: tuple[Size, ...]) -> Any:
    """Inside an index function: element by element, through the row-major number."""
    tracer = active()
    axes = tracer.axes(sizes)
    number: Expr = build.index(0)
    for axis, size in zip(axes, sizes, strict=True):
        number = build.add(build.mul(number, build.index(size)), axis)
    indices: list[Expr] = []
    for size in reversed(array.sizes):
        indices.insert(0, build.mod(number, build.index(size)))
        number = build.floordiv(number, build.index(size))
    return tracer.value(axes, array.element(indices), "reshape", sizes)


def _target_sizes(array: Handle, shape: Any) -> tuple[Size, ...]:
    items = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    if isinstance(shape, Handle) and shape.rank == 1:
        items = list(shape)  # type: ignore[call-overload]
    sizes = [as_size(item) for item in items]
    unknown = [n for n, s in enumerate(sizes) if s == -1]
    if len(unknown) > 1:
        raise failure(ShapeError, "can only specify one unknown dimension (-1)")
    if unknown:
        rest = build.product(tuple(s for n, s in enumerate(sizes) if n != unknown[0]))
        sizes[unknown[0]] = _quotient(array, rest)
    target = tuple(sizes)
    if any(isinstance(s, int) and s < 0 for s in target):
        raise failure(ShapeError, f"negative dimensions are not allowed: {show_sizes(target)}")
    if not same_size(build.product(target), build.product(array.sizes)):
        raise failure(
            ShapeError,
            f"cannot reshape {show_sizes(array.sizes)} into {show_sizes(target)}",
            help="the numbers of elements must be equal",
        )
    return target


def _quotient(array: Handle, rest: Size) -> Size:
    """The size that -1 stands for."""
    total = build.product(array.sizes)
    if rest == 1:
        return total
    if not isinstance(total, int) or not isinstance(rest, int):
        return _open_quotient(array, rest)
    if rest == 0 or total % rest:
        raise failure(
            ShapeError,
            f"cannot reshape {show_sizes(array.sizes)} into rows of {rest} elements",
            help="the number of elements must be a multiple of it",
        )
    return total // rest


def _open_quotient(array: Handle, rest: Size) -> Size:
    """The same with open dimensions: `rest` must be the product of some axes, or divide one."""
    for first in range(array.rank):
        for last in range(first + 1, array.rank + 1):
            if same_size(build.product(array.sizes[first:last]), rest):
                return build.product((*array.sizes[:first], *array.sizes[last:]))
    fixed_part = math.prod(s for s in array.sizes if isinstance(s, int))
    if isinstance(rest, int) and rest and fixed_part % rest == 0:
        opened = build.product(tuple(s for s in array.sizes if not isinstance(s, int)))
        return build.size_mul(opened, fixed_part // rest)
    raise failure(
        ShapeError,
        f"-1 in a reshape of {show_sizes(array.sizes)} is not a whole number for every size of the "
        "open dimensions",
        help="name the sizes instead of -1",
    )


def _unit_axes_view(array: Handle, sizes: tuple[Size, ...]) -> Any:
    """The view that only adds or drops axes of size 1, if that is what the reshape does."""
    old = [n for n, s in enumerate(array.sizes) if not same_size(s, 1)]
    new = [n for n, s in enumerate(sizes) if not same_size(s, 1)]
    if len(old) != len(new) or not all(
        same_size(array.sizes[o], sizes[n]) for o, n in zip(old, new, strict=True)
    ):
        return None
    inner: list[AxisMap] = [fixed(0)] * array.rank
    for o, n in zip(old, new, strict=True):
        inner[o] = along(n)
    return array.viewed(tuple(inner), sizes)


@implements(np.ravel, always=True)
def ravel(a: Any, order: str = "C") -> Any:
    array = as_array(a)
    if order in ("A", "K"):
        array, order = in_memory_order(array, order), "C"
    flat = reshape(array, -1, order)
    return flat if is_contiguous(array) else detached(flat)


def in_memory_order(array: Handle, order: str) -> Any:
    """`array` with the axes first whose elements lie furthest apart, for orders "A" and "K"."""
    if order == "K":
        return transposed(array, memory_order(array))
    return transposed(array, range(array.rank)[::-1]) if lies_by_columns(array) else array


@implements(np.transpose, always=True)
def transpose(a: Any, axes: Any = None) -> Any:
    array = as_array(a)
    if axes is None:
        return transposed(array, range(array.rank)[::-1])
    order = [as_axis(x, array.rank) for x in axes]
    if sorted(order) != list(range(array.rank)):
        raise failure(ShapeError, f"axes {tuple(axes)} do not match an array of rank {array.rank}")
    return transposed(array, order)


implements(np.permute_dims, always=True)(transpose)


@implements(np.moveaxis, always=True)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    array = as_array(a)
    from_ = [as_axis(x, array.rank) for x in listed(source)]
    to = [as_axis(x, array.rank) for x in listed(destination)]
    if len(from_) != len(to):
        raise failure(ShapeError, "moveaxis needs as many sources as destinations")
    if len({*from_}) != len(from_) or len({*to}) != len(to):
        raise failure(ShapeError, "an axis of moveaxis is given twice")
    order = [n for n in range(array.rank) if n not in from_]
    for target, origin in sorted(zip(to, from_, strict=True)):
        order.insert(target, origin)
    return transposed(array, order)


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


@implements(np.swapaxes, always=True)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    array = as_array(a)
    order = list(range(array.rank))
    first, second = as_axis(axis1, array.rank), as_axis(axis2, array.rank)
    order[first], order[second] = order[second], order[first]
    return transposed(array, order)


@implements(np.rollaxis, always=True)
def rollaxis(a: Any, axis: Any, start: int = 0) -> Any:
    array = as_array(a)
    from_ = as_axis(axis, array.rank)
    to = start + array.rank if start < 0 else start
    return moveaxis(array, from_, to - 1 if from_ < to else to)


@implements(np.expand_dims, always=True)
def expand_dims(a: Any, axis: Any) -> Any:
    array = as_array(a)
    added = listed(axis)
    rank = array.rank + len(added)
    new = {as_axis(x, rank) for x in added}
    if len(new) != len(added):
        raise failure(ShapeError, f"an axis is given twice in {tuple(added)}")
    return array[tuple(None if n in new else FULL for n in range(rank))]


@implements(np.squeeze, always=True)
def squeeze(a: Any, axis: Any = None) -> Any:
    array = as_array(a)
    if axis is None:
        gone = [n for n, s in enumerate(array.sizes) if s == 1]
    else:
        gone = [as_axis(x, array.rank) for x in listed(axis)]
        for n in gone:
            if array.sizes[n] != 1:
                raise failure(
                    ShapeError,
                    f"cannot squeeze axis {n} of shape {show_sizes(array.sizes)}",
                    help="only axes of size 1 can be dropped",
                )
    kept = [n for n in range(array.rank) if n not in gone]
    inner = [fixed(0)] * array.rank
    for new, old in enumerate(kept):
        inner[old] = along(new)
    return array.viewed(tuple(inner), tuple(array.sizes[o] for o in kept))


def _at_least(rank: int, place: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(*arys: Any) -> Any:
        made = [as_array(a) for a in arys]
        results = [place(a) if a.rank < rank else a for a in made]
        return results[0] if len(results) == 1 else tuple(results)

    return run


def to_2d(a: Any) -> Any:
    return a[None, None] if not a.rank else a[None, :]


def to_3d(a: Any) -> Any:
    return (
        a[:, :, None] if a.rank == 2 else a[None, :, None] if a.rank == 1 else a[None, None, None]
    )


implements(np.atleast_1d, always=True)(_at_least(1, lambda a: a[None]))
implements(np.atleast_2d, always=True)(_at_least(2, to_2d))
implements(np.atleast_3d, always=True)(_at_least(3, to_3d))


# Broadcasting.


@implements(np.broadcast_to, always=True)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    source = as_array(array)
    sizes = as_shape(shape)
    fits = len(sizes) >= source.rank and all(
        s == 1 or same_size(s, t)
        for s, t in zip(reversed(source.sizes), reversed(sizes), strict=False)
    )
    if not fits:
        raise failure(
            ShapeError, f"cannot broadcast {show_sizes(source.sizes)} to {show_sizes(sizes)}"
        )
    return broadcast_view(source, sizes)


@implements(np.broadcast_arrays, always=True)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    arrays = [as_array(a) for a in args]
    sizes = broadcast_sizes(arrays)
    return tuple(broadcast_view(a, sizes) for a in arrays)


@implements(np.lib.stride_tricks.sliding_window_view, always=True)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    array = as_array(x)
    window = as_shape(window_shape)
    axes_ = range(array.rank) if axis is None else [as_axis(n, array.rank) for n in listed(axis)]
    if len(window) != len(axes_):
        raise failure(ShapeError, "a window needs one size per axis")
    inner = [along(n) for n in range(array.rank)]
    sizes = list(array.sizes)
    for number, (n, size) in enumerate(zip(axes_, window, strict=True)):
        inner[n] = AxisMap(0, (*inner[n].terms, (array.rank + number, 1)))
        sizes[n] = build.size_add(build.size_sub(sizes[n], size), 1)
        if isinstance(sizes[n], int) and int(sizes[n]) < 1:  # type: ignore[arg-type]
            raise failure(ShapeError, "window shape cannot be larger than input array shape")
    return array.viewed(tuple(inner), (*sizes, *window))
