"""Functions that move elements without computing: views where NumPy has views, else one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tilewright.compiler.trace import joining, positions
from tilewright.compiler.trace.dispatch import dispatch, has_traced, implements, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, ReshapedCell, show_sizes
from tilewright.compiler.trace.indexing import (
    broadcast_view,
    fetch,
    require_integer,
    store,
    transposed,
)
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_array_or_number,
    as_axis,
    as_dtype,
    as_int,
    as_number,
    as_shape,
    as_size,
    broadcast_sizes,
    cast_to,
    convert,
    is_number,
    literal,
    result_dtype,
)
from tilewright.compiler.trace.ranges import same_size
from tilewright.compiler.trace.views import AxisMap, along, fixed
from tilewright.ir import build, ops
from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import BoundsError, ShapeError, UnsupportedError
from tilewright.ir.expr import Expr, Size

FULL = slice(None)


# Shapes and axes.


@implements(np.reshape, always=True)
def reshape(
    a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    array = as_array(a)
    sizes = _target_sizes(array, shape if shape is not None else newshape)
    if order == "F":
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
    return type(array)(ReshapedCell(array, sizes))


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
    unknown = [n for n, s in enumerate(sizes) if isinstance(s, int) and s == -1]
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
    if isinstance(total, int) and isinstance(rest, int):
        if rest == 0 or total % rest:
            raise failure(
                ShapeError,
                f"cannot reshape {show_sizes(array.sizes)} into rows of {rest} elements",
                help="the number of elements must be a multiple of it",
            )
        return total // rest
    for size in array.sizes:  # cancel common factors one by one
        if same_size(size, rest):
            remaining = list(array.sizes)
            remaining.remove(size)
            return build.product(tuple(remaining))
    if isinstance(rest, int):
        if rest == 1:
            return total
        numbers = [s for s in array.sizes if isinstance(s, int)]
        for position, size in enumerate(array.sizes):
            if isinstance(size, int) and size % rest == 0:
                remaining = list(array.sizes)
                remaining[position] = size // rest
                return build.product(tuple(remaining))
        if numbers and int(np.prod(numbers)) % rest == 0:
            opened = tuple(s for s in array.sizes if not isinstance(s, int))
            return build.size_mul(build.product(opened), int(np.prod(numbers)) // rest)
    for sub in range(len(array.sizes)):
        tail = build.product(array.sizes[sub:])
        if same_size(tail, rest):
            return build.product(array.sizes[:sub])
        if same_size(build.product(array.sizes[:sub]), rest):
            return tail
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
    return reshape(a, -1, order if order == "F" else "C")


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
    from_ = [as_axis(x, array.rank) for x in _listed(source)]
    to = [as_axis(x, array.rank) for x in _listed(destination)]
    if len(from_) != len(to):
        raise failure(ShapeError, "moveaxis needs as many sources as destinations")
    order = [n for n in range(array.rank) if n not in from_]
    for target, origin in sorted(zip(to, from_, strict=True)):
        order.insert(target, origin)
    return transposed(array, order)


def _listed(value: Any) -> list[Any]:
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
    added = _listed(axis)
    rank = array.rank + len(added)
    new = {as_axis(x, rank) for x in added}
    if len(new) != len(added):
        raise failure(ShapeError, f"an axis is given twice in {tuple(added)}")
    return array[tuple(None if n in new else FULL for n in range(rank))]


@implements(np.squeeze, always=True)
def squeeze(a: Any, axis: Any = None) -> Any:
    array = as_array(a)
    if axis is None:
        gone = [n for n, s in enumerate(array.sizes) if isinstance(s, int) and s == 1]
    else:
        gone = [as_axis(x, array.rank) for x in _listed(axis)]
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


def _to_2d(a: Any) -> Any:
    return a[None, None] if not a.rank else a[None, :]


def _to_3d(a: Any) -> Any:
    return (
        a[:, :, None] if a.rank == 2 else a[None, :, None] if a.rank == 1 else a[None, None, None]
    )


implements(np.atleast_1d, always=True)(_at_least(1, lambda a: a[None]))
implements(np.atleast_2d, always=True)(_at_least(2, _to_2d))
implements(np.atleast_3d, always=True)(_at_least(3, _to_3d))


# Broadcasting.


@implements(np.broadcast_to, always=True)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    source = as_array(array)
    sizes = as_shape(shape)
    fits = len(sizes) >= source.rank and all(
        (isinstance(s, int) and s == 1) or same_size(s, t)
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


# Joining and splitting.


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
    items = [a if a.rank > 1 else _to_2d(a) for a in _several(tup, "np.vstack")]
    return concatenate(items, 0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    items = [a if a.rank else a[None] for a in _several(tup, "np.hstack")]
    return concatenate(items, 0 if items[0].rank == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([a if a.rank > 2 else _to_3d(a) for a in _several(tup, "np.dstack")], 2)


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
    return [_slice_along(array, where, cut) for cut in _cuts(array, indices_or_sections, where)]


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


def _slice_along(array: Any, axis: int, cut: slice) -> Any:
    return fetch(array, (*(FULL,) * axis, cut))


@implements(np.split, always=True)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    array = as_array(ary)
    if isinstance(indices_or_sections, int):
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
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit, always=True)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    return split(ary, indices_or_sections, 2)


# Order along axes.


@implements(np.flip, always=True)
def flip(m: Any, axis: Any = None) -> Any:
    array = as_array(m)
    turned = range(array.rank) if axis is None else [as_axis(x, array.rank) for x in _listed(axis)]
    back = slice(None, None, -1)
    return array[tuple(back if n in turned else FULL for n in range(array.rank))]


@implements(np.fliplr, always=True)
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@implements(np.flipud, always=True)
def flipud(m: Any) -> Any:
    return flip(m, 0)


@implements(np.rot90, always=True)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    array = as_array(m)
    first, second = (as_axis(x, array.rank) for x in axes)
    match k % 4:
        case 0:
            return array[...]
        case 2:
            return flip(array, (first, second))
        case 1:
            return swapaxes(flip(array, second), first, second)
        case _:
            return flip(swapaxes(array, first, second), second)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    array = as_array(a)
    if axis is None:
        return reshape(roll(reshape(array, -1), shift, 0), array.shape)
    axes_, shifts = _listed(axis), _listed(shift)
    if len(shifts) == 1:
        shifts = shifts * len(axes_)
    if len(axes_) == 1:
        axes_ = axes_ * len(shifts)
    moved: dict[int, Any] = {}
    for x, s in zip(axes_, shifts, strict=True):
        where = as_axis(x, array.rank)
        moved[where] = moved[where] + s if where in moved else s
    tracer = active()
    axes = tracer.axes(array.sizes)
    indices: list[Expr] = list(axes)
    for where, amount in moved.items():
        if isinstance(array.sizes[where], int) and array.sizes[where] == 0:
            continue
        offset = _shift_amount(amount)
        back = build.sub(axes[where], offset)
        indices[where] = build.mod(back, build.index(array.sizes[where]))
    return tracer.value(axes, array.element(indices), "np.roll", array.sizes)


def _shift_amount(amount: Any) -> Expr:
    if isinstance(amount, Handle) and amount.known() is None:
        require_integer(amount, "shifts of np.roll")
        return build.cast(amount.element(()), INDEX)
    return build.index(as_int(amount, "the shift of np.roll"))


# Repeating and padding.


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    array = as_array(A)
    given = [as_size(r) for r in _listed(reps)]
    rank = max(len(given), array.rank)
    counts: list[Size] = [*[1] * (rank - len(given)), *given]
    while array.rank < rank:
        array = array[None]
    sizes = tuple(build.size_mul(s, c) for s, c in zip(array.sizes, counts, strict=True))
    axes = active().axes(sizes)
    zero = build.index(0)
    indices = [
        axis if same_size(c, 1) else zero if same_size(s, 1) else build.mod(axis, build.index(s))
        for axis, s, c in zip(axes, array.sizes, counts, strict=True)
    ]
    return active().value(axes, array.element(indices), "np.tile", sizes)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    array = as_array(a)
    if axis is None:
        array, axis = reshape(array, -1), 0
    where = as_axis(axis, array.rank)
    known = repeats.known() if isinstance(repeats, Handle) and repeats.rank else repeats
    if isinstance(known, (list, tuple, np.ndarray)) and np.size(known) != 1:
        size = as_int(array.shape[where], "the size of the repeated axis")
        return dispatch(np.take, (array, np.repeat(np.arange(size), known)), {"axis": where})
    count = as_size(np.asarray(known).item() if isinstance(known, np.ndarray) else known)
    sizes = list(array.sizes)
    sizes[where] = build.size_mul(sizes[where], count)
    axes = active().axes(sizes)
    indices: list[Expr] = list(axes)
    indices[where] = build.floordiv(axes[where], build.index(count))
    return active().value(axes, array.element(indices), "np.repeat", sizes)


_PAD_INDEX: dict[str, Callable[[Expr, Size], Expr]] = {}


def pad_index(mode: str) -> Callable[[Callable[[Expr, Size], Expr]], Callable[[Expr, Size], Expr]]:
    """Enter the rule that maps a position outside of an axis to one inside."""

    def enter(rule: Callable[[Expr, Size], Expr]) -> Callable[[Expr, Size], Expr]:
        _PAD_INDEX[mode] = rule
        return rule

    return enter


@pad_index("edge")
def clamped(position: Expr, extent: Size) -> Expr:
    return positions.clamp(position, extent)


@pad_index("wrap")
def wrapped(position: Expr, extent: Size) -> Expr:
    return build.mod(position, build.index(extent))


@pad_index("reflect")
def reflected(position: Expr, extent: Size) -> Expr:
    """Mirrored at the outer elements, which are not repeated."""
    if isinstance(extent, int) and extent == 1:
        return build.index(0)
    last = build.size_sub(extent, 1)
    phase = build.mod(position, build.maximum(build.index(build.size_mul(last, 2)), build.index(1)))
    distance = build.sub(phase, build.index(last))
    return build.sub(build.index(last), _magnitude(distance))


@pad_index("symmetric")
def mirrored(position: Expr, extent: Size) -> Expr:
    """Mirrored at the border, so that the outer elements are repeated."""
    phase = build.mod(position, build.index(build.size_mul(extent, 2)))
    turned = build.sub(build.index(build.size_sub(build.size_mul(extent, 2), 1)), phase)
    return build.minimum(phase, turned)


def _magnitude(value: Expr) -> Expr:
    return build.maximum(value, build.sub(build.index(0), value))


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    source = as_array(array)
    widths = _pairs(pad_width, source.rank, as_size)
    sizes = tuple(
        build.size_add(build.size_add(size, before), after)
        for size, (before, after) in zip(source.sizes, widths, strict=True)
    )
    axes = active().axes(sizes)
    offsets = [build.sub(x, build.index(b)) for x, (b, _) in zip(axes, widths, strict=True)]
    if mode == "constant":
        body = _padded_by_constants(source, offsets, widths, kwargs.pop("constant_values", 0))
    elif mode in _PAD_INDEX:
        if kwargs.pop("reflect_type", "even") != "even":
            raise failure(UnsupportedError, 'np.pad with reflect_type="odd" is not supported')
        _refuse_empty(source, widths, mode)
        rule = _PAD_INDEX[mode]
        indices = [
            offset if _is_zero(width) else rule(offset, size)
            for offset, size, width in zip(offsets, source.sizes, widths, strict=True)
        ]
        body = source.element(indices)
    else:
        raise failure(
            UnsupportedError,
            f"np.pad with mode={mode!r} is not supported",
            help="use constant, edge, reflect, symmetric or wrap",
        )
    if kwargs:
        raise failure(UnsupportedError, f"np.pad with {', '.join(kwargs)} is not supported")
    return active().value(axes, body, "np.pad", sizes)


def _is_zero(width: tuple[Size, Size]) -> bool:
    return all(isinstance(w, int) and w == 0 for w in width)


def _refuse_empty(source: Handle, widths: list[tuple[Size, Size]], mode: str) -> None:
    for axis, (size, width) in enumerate(zip(source.sizes, widths, strict=True)):
        if isinstance(size, int) and size == 0 and not _is_zero(width):
            raise failure(
                ShapeError, f"cannot extend empty axis {axis} using modes other than 'constant'"
            )


def _padded_by_constants(
    source: Handle, offsets: list[Expr], widths: list[tuple[Size, Size]], values: Any
) -> Expr:
    fills = _pairs(values, source.rank, lambda v: v)
    inside: list[tuple[Expr, Expr]] = []
    indices: list[Expr] = []
    for offset, size, (before, after) in zip(offsets, source.sizes, widths, strict=True):
        below = build.lt(offset, build.index(0)) if not _zero(before) else build.FALSE
        above = build.ge(offset, build.index(size)) if not _zero(after) else build.FALSE
        inside.append((below, above))
        clamped_offset = offset
        if not _zero(after):
            clamped_offset = build.minimum(offset, build.index(build.size_sub(size, 1)))
        if not _zero(before) or not _zero(after):
            clamped_offset = build.maximum(clamped_offset, build.index(0))
        indices.append(clamped_offset)
    if any(isinstance(s, int) and s == 0 for s in source.sizes):
        body: Expr = build.zero(source.element_type)
    else:
        body = source.element(indices)
    for (below, above), (low, high) in zip(inside, fills, strict=True):
        if low is high or (is_number(low) and low == high):
            outside = below if above is build.FALSE else above
            if below is not build.FALSE and above is not build.FALSE:
                outside = build.apply(ops.OR, below, above)
            body = build.select(outside, _fill(low, source), body)
        else:
            body = build.select(above, _fill(high, source), body)
            body = build.select(below, _fill(low, source), body)
    return body


def _zero(width: Size) -> bool:
    return isinstance(width, int) and width == 0


def _fill(value: Any, source: Handle) -> Expr:
    dtype = source.element_type
    if is_number(value):
        return literal(int(value) if dtype.kind in "iu" else value, dtype)
    return convert(as_array_or_number(value).element(()), dtype)


def _pairs(value: Any, rank: int, convert_item: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    """NumPy's spelling of one (before, after) per axis."""
    if isinstance(value, dict):
        by_axis = {as_axis(k, rank): v for k, v in value.items()}
        value = [by_axis.get(n, 0) for n in range(rank)]
        return [_pair(v, convert_item) for v in value]
    if isinstance(value, Handle) and value.rank:
        known = value.known()
        value = known.tolist() if known is not None else value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        item = convert_item(value)
        return [(item, item)] * rank
    items = list(value)
    if items and isinstance(items[0], (list, tuple)):
        pairs = [_pair(v, convert_item) for v in items]
        if len(pairs) == 1:
            return pairs * rank
        if len(pairs) != rank:
            raise failure(ShapeError, f"{len(pairs)} pad widths for an array of rank {rank}")
        return pairs
    return [_pair(items, convert_item)] * rank


def _pair(value: Any, convert_item: Callable[[Any], Any]) -> tuple[Any, Any]:
    if isinstance(value, (list, tuple)):
        items = [convert_item(v) for v in value]
        return (items[0], items[0]) if len(items) == 1 else (items[0], items[1])
    item = convert_item(value)
    return item, item


# Triangles and diagonals.


def _triangle(keep_lower: bool, label: str) -> Callable[..., Any]:
    def run(m: Any, k: Any = 0) -> Any:
        array = as_array(m)
        if array.rank == 1:
            array = broadcast_view(array, (array.sizes[0], array.sizes[0]))
        offset = build.index(as_int(k, "the diagonal"))
        axes = active().axes(array.sizes)
        reach = build.add(axes[-2], offset)
        test = build.apply(ops.GE if keep_lower else ops.LE, reach, axes[-1])
        zero = build.zero(array.element_type)
        body = build.select(test, array.element(axes), zero)
        return active().value(axes, body, label, array.sizes)

    return run


implements(np.tril)(_triangle(True, "np.tril"))
implements(np.triu)(_triangle(False, "np.triu"))


def diagonal_view(array: Any, offset: int, axis1: int, axis2: int) -> Any:
    """The elements ``[i, i + offset]`` of two axes as the last axis of a view."""
    first, second = as_axis(axis1, array.rank), as_axis(axis2, array.rank)
    if first == second:
        raise failure(ShapeError, "axis1 and axis2 of a diagonal cannot be the same")
    rows, columns = as_number(array.sizes[first]), as_number(array.sizes[second])
    down, right = max(-offset, 0), max(offset, 0)
    length = _diagonal_length(rows, columns, down, right)
    kept = [n for n in range(array.rank) if n not in (first, second)]
    inner = [fixed(0)] * array.rank
    for new, old in enumerate(kept):
        inner[old] = along(new)
    inner[first] = AxisMap(down, ((len(kept), 1),))
    inner[second] = AxisMap(right, ((len(kept), 1),))
    return array.viewed(tuple(inner), (*(array.sizes[o] for o in kept), length))


def _diagonal_length(rows: Any, columns: Any, down: int, right: int) -> Size:
    from tilewright.compiler.trace.ranges import size_max, size_min

    return size_max(
        size_min(build.size_sub(as_size(rows), down), build.size_sub(as_size(columns), right)), 0
    )


@implements(np.diagonal, np.linalg.diagonal, always=True)
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Any:
    return diagonal_view(as_array(a), as_int(offset, "the diagonal"), axis1, axis2)


@implements(np.trace, np.linalg.trace)
def trace(
    a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None
) -> Any:
    elements = diagonal(a, offset, axis1, axis2)
    return dispatch(np.sum, (elements,), {"axis": -1, "dtype": dtype, "out": out})


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> Any:
    array = as_array(v)
    offset = as_int(k, "the diagonal")
    if array.rank == 2:
        return diagonal(array, offset)
    if array.rank != 1:
        raise failure(ShapeError, "Input must be 1- or 2-d.")
    size = build.size_add(array.sizes[0], abs(offset))
    axes = active().axes((size, size))
    on_diagonal = build.eq(build.add(axes[0], build.index(offset)), axes[1])
    place = axes[0] if offset >= 0 else axes[1]
    inside = positions.clamp(place, array.sizes[0]) if offset else place
    body = build.select(on_diagonal, array.element((inside,)), build.zero(array.element_type))
    return active().value(axes, body, "np.diag")


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
        later = _slice_along(array, where, slice(1, None))
        earlier = _slice_along(array, where, slice(None, -1))
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
    parts = [diff(reshape(as_array(ary), -1))]
    if to_begin is not None:
        parts.insert(0, reshape(as_array(to_begin), -1))
    if to_end is not None:
        parts.append(reshape(as_array(to_end), -1))
    return concatenate(parts)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    array = as_array(f)
    if edge_order != 1:
        raise failure(UnsupportedError, "np.gradient with edge_order 2 is not supported")
    if not array.element_type.is_float:
        array = cast_to(array, as_dtype(np.float64))
    axes_ = range(array.rank) if axis is None else [as_axis(x, array.rank) for x in _listed(axis)]
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
        return _slice_along(array, axis, slice(start, stop))

    inner = (cut(2, None) - cut(None, -2)) / (2.0 * spacing)
    first = (cut(1, 2) - cut(0, 1)) / spacing
    last = (cut(-1, None) - cut(-2, -1)) / spacing
    return concatenate([first, inner, last], axis)


# Gathering.


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
    before = _slice_along(array, where, slice(None, place))
    after = _slice_along(array, where, slice(place, None))
    return concatenate([before, new, after], where)


@implements(np.lib.stride_tricks.sliding_window_view, always=True)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    array = as_array(x)
    window = as_shape(window_shape)
    axes_ = range(array.rank) if axis is None else [as_axis(n, array.rank) for n in _listed(axis)]
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
