"""`np.lib.stride_tricks.as_strided` and `reduceat`: parts of arrays by distance and by position.

Traced arrays have no memory, but the strides that a C-contiguous array of their shape would have.
A view by strides made of those is the affine view that it means for an array of any layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, show_sizes
from tilewright.compiler.trace.operands import as_array, as_axis, as_int, as_shape, cast_to
from tilewright.compiler.trace.views import AxisMap
from tilewright.ir.dtypes import BOOL, U8
from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, UnsupportedError


def strides_of(array: Handle) -> tuple[int, ...]:
    """Those of a C-contiguous array of this shape."""
    found: list[int] = []
    step = array.element_type.itemsize
    for size in reversed(array.sizes):
        found.append(step)
        if not isinstance(size, int):
            raise failure(UnsupportedError, "the strides of an array of open size are not known")
        step *= max(size, 1)
    return tuple(reversed(found))


@implements(np.lib.stride_tricks.as_strided, always=True)
def as_strided(
    x: Any,
    shape: Any = None,
    strides: Any = None,
    subok: bool = False,
    writeable: bool = True,
) -> Any:
    array = as_array(x)
    sizes = array.sizes if shape is None else as_shape(shape)
    own = strides_of(array)
    given = own if strides is None else [as_int(s, "a stride") for s in strides]
    if len(given) != len(sizes):
        raise failure(ShapeError, "as_strided needs as many strides as sizes")
    terms: list[list[tuple[int, int]]] = [[] for _ in own]
    last = [0] * len(own)
    for axis, (step, size) in enumerate(zip(given, sizes, strict=True)):
        if not isinstance(size, int):
            raise failure(UnsupportedError, "as_strided with open sizes is not supported")
        for source, count in _along_axes(array, own, step, size):
            terms[source].append((axis, count))
            last[source] += count * max(size - 1, 0)
    for source, reached in enumerate(last):
        size = array.sizes[source]
        if isinstance(size, int) and reached >= size > 0:
            raise failure(
                BoundsError,
                f"as_strided with shape {show_sizes(sizes)} reads position {reached} of axis "
                f"{source} with size {size}",
            )
    return array.viewed(tuple(AxisMap(0, tuple(t)) for t in terms), tuple(sizes))


def _along_axes(array: Handle, own: Sequence[int], step: int, size: int) -> list[tuple[int, int]]:
    """A step in bytes as steps along axes, the longest first."""
    found = []
    rest = step
    for axis, stride in enumerate(own):
        if size > 1 and array.sizes[axis] != 1 and rest >= stride:
            found.append((axis, rest // stride))
            rest %= stride
    if rest and size > 1:
        raise failure(
            UnsupportedError,
            f"a stride of {step} bytes is not made of the array's strides {tuple(own)}",
            help="use x.strides, multiples and sums of them; or sliding_window_view",
        )
    return found


def reduce_at(
    reduce: Callable[..., Any], array: Any, indices: Any, axis: Any = 0, dtype: Any = None
) -> Any:
    """``ufunc.reduceat`` where the positions are known."""
    source = as_array(array)
    where = as_axis(axis, source.rank)
    known = as_array(indices).known()
    extent = source.sizes[where]
    if known is None or not isinstance(extent, int):
        raise failure(
            UnsupportedError,
            "reduceat needs positions and sizes that are known while tracing",
            help="for equal parts: x.reshape(n, -1).sum(axis=1)",
        )
    starts = [int(i) for i in known]
    if any(not 0 <= i < extent for i in starts):
        raise failure(BoundsError, f"reduceat's positions must be in 0 … {extent - 1}")
    before = (slice(None),) * where
    parts = [
        reduce(source[(*before, slice(a, b if b > a else a + 1))], axis=where, dtype=dtype)
        for a, b in zip(starts, [*starts[1:], extent], strict=True)
    ]
    return dispatch(np.stack, (parts,), {"axis": where})


@implements(np.packbits)
def packbits(a: Any, /, axis: Any = None, bitorder: str = "big") -> Any:
    array = as_array(a)
    if array.element_type.is_float:
        raise failure(DTypeError, "np.packbits takes bools or integers")
    if axis is None:
        array, axis = dispatch(np.reshape, (array, -1), {}), 0
    where = as_axis(axis, array.rank)
    bits = cast_to(cast_to(dispatch(np.moveaxis, (array, where, -1), {}), BOOL), U8)
    missing = -as_int(bits.shape[-1], "the size of the packed axis") % 8
    bits = dispatch(np.pad, (bits, [(0, 0)] * (bits.rank - 1) + [(0, missing)]), {})
    groups = dispatch(np.reshape, (bits, (*bits.shape[:-1], -1, 8)), {})
    order = np.arange(8, dtype=np.uint8)
    places = order if bitorder == "little" else order[::-1]
    packed = dispatch(np.sum, (groups << as_array(places),), {"axis": -1, "dtype": np.uint8})
    return dispatch(np.moveaxis, (packed, -1, where), {})


@implements(np.unpackbits)
def unpackbits(a: Any, /, axis: Any = None, count: Any = None, bitorder: str = "big") -> Any:
    array = as_array(a)
    if array.dtype != np.uint8 or count is not None:
        raise failure(UnsupportedError, "np.unpackbits takes uint8, and no count here")
    if axis is None:
        array, axis = dispatch(np.reshape, (array, -1), {}), 0
    where = as_axis(axis, array.rank)
    order = np.arange(8, dtype=np.uint8)
    places = order if bitorder == "little" else order[::-1]
    bits = (dispatch(np.moveaxis, (array, where, -1), {})[..., None] >> places) & np.uint8(1)
    flat = dispatch(np.reshape, (bits, (*bits.shape[:-2], bits.shape[-2] * 8)), {})
    return dispatch(np.moveaxis, (flat, -1, where), {})
