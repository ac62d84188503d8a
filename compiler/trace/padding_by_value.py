"""The modes of ``np.pad`` whose values are computed: ramps and statistics, axis after axis."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.numpy_joining import concatenate, slice_along
from tilewright.compiler.trace.operands import as_int, cast_to
from tilewright.ir.errors import ShapeError

STATISTICS: Final = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "median": np.median,
}
Pair = tuple[Any, Any]


def pad_with_statistics(source: Any, widths: list[Pair], mode: str, lengths: list[Pair]) -> Any:
    """Each side is filled with a statistic of the elements next to it."""
    for axis, (width, length) in enumerate(zip(widths, lengths, strict=True)):
        size = as_int(source.shape[axis], "the size of a padded axis")
        sides = []
        for side in (0, 1):
            if length[side] == 0:
                raise failure(ShapeError, "stat_length of 0 yields no value for padding")
            count = size if length[side] is None else min(length[side], size)
            chunk = slice_along(source, axis, slice(0, count) if side == 0 else slice(-count, None))
            value = dispatch(STATISTICS[mode], (chunk,), {"axis": axis, "keepdims": True})
            if source.element_type.is_integer:
                value = ufuncs.call(np.rint, (value,)) if value.element_type.is_float else value
            sides.append(_repeated(cast_to(value, source.element_type), axis, width[side]))
        source = concatenate([sides[0], source, sides[1]], axis)
    return source


def pad_with_ramps(source: Any, widths: list[Pair], ends: list[Pair]) -> Any:
    """Each side falls from the outermost element to an end value."""
    for axis, (width, end) in enumerate(zip(widths, ends, strict=True)):
        ramps = []
        for side in (0, 1):
            edge = slice_along(source, axis, slice(0, 1) if side == 0 else slice(-1, None))
            edge = dispatch(np.squeeze, (edge,), {"axis": axis})
            keywords = {"endpoint": False, "dtype": source.dtype, "axis": axis}
            ramps.append(dispatch(np.linspace, (end[side], edge, width[side]), keywords))
        turned = dispatch(np.flip, (ramps[1],), {"axis": axis})
        source = concatenate([ramps[0], source, turned], axis)
    return source


def _repeated(value: Any, axis: int, count: Any) -> Any:
    shape = list(value.shape)
    shape[axis] = count
    return dispatch(np.broadcast_to, (value, tuple(shape)), {})
