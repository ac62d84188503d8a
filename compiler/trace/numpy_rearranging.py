"""Elements in another order along axes, or repeated: flip, rot90, roll, tile, repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.array import TracedArray
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import (
    require_integer,
)
from tilewright.compiler.trace.numpy_shapes import (
    FULL,
    listed,
    reshape,
    swapaxes,
)
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    as_int,
    as_size,
)
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import INDEX
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Expr, Size


@implements(np.flip, always=True)
def flip(m: Any, axis: Any = None) -> Any:
    array = as_array(m)
    turned = range(array.rank) if axis is None else [as_axis(x, array.rank) for x in listed(axis)]
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
    axes_ = listed(axis)
    shifts = list(shift) if isinstance(shift, TracedArray) and shift.rank == 1 else listed(shift)
    if len(shifts) == 1:
        shifts = shifts * len(axes_)
    if len(axes_) == 1:
        axes_ = axes_ * len(shifts)
    if len(axes_) != len(shifts):
        raise failure(ShapeError, f"np.roll of {len(shifts)} shifts along {len(axes_)} axes")
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
    if isinstance(amount, Handle) and amount.known() is None and not amount.rank:
        require_integer(amount, "shifts of np.roll")
        return build.cast(amount.element(()), INDEX)
    return build.index(as_int(amount, "the shift of np.roll"))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    array = as_array(A)
    given = [as_size(r) for r in listed(reps)]
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
    known: Any = repeats.known() if isinstance(repeats, Handle) and repeats.rank else repeats
    several = isinstance(known, (list, tuple, np.ndarray))
    if several and np.size(known) != 1:
        size = as_int(array.shape[where], "the size of the repeated axis")
        if len(known) != size:
            raise failure(ShapeError, f"{len(known)} repeats for an axis of {size} elements")
        return dispatch(np.take, (array, np.repeat(np.arange(size), known)), {"axis": where})
    count = as_size(np.asarray(known).item() if several else known)
    sizes = list(array.sizes)
    sizes[where] = build.size_mul(sizes[where], count)
    axes = active().axes(sizes)
    indices: list[Expr] = list(axes)
    indices[where] = build.floordiv(axes[where], build.index(count))
    return active().value(axes, array.element(indices), "np.repeat", sizes)
