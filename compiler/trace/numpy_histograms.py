"""Counting: elements by value (`np.bincount`) or by interval (`np.histogram` and its kin).

A count is a scatter that adds into a table. The table's size must not depend on data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace import positions, ufuncs
from tilewright.compiler.trace.dispatch import dispatch, has_traced, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import active, as_array, as_dtype, as_int, cast_to
from tilewright.compiler.trace.selections import COUNTERS, Selection
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL, F64, I64, INDEX, DType
from tilewright.ir.errors import DTypeError, ShapeError, UnsupportedError


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    """As long as `minlength`; a larger value in `x` is a `BoundsError` after the run."""
    array = as_array(x)
    if array.rank != 1:
        raise failure(ShapeError, f"np.bincount takes one dimension, not {array.rank}")
    if array.element_type is not BOOL and array.element_type.kind not in "iux":
        raise failure(DTypeError, f"np.bincount takes integers, not {array.element_type}")
    count = as_int(minlength, "minlength")
    if count < 1:
        raise failure(
            UnsupportedError,
            "the size of np.bincount(x) depends on data",
            help="give the number of bins: np.bincount(x, minlength=n), all x being below n",
        )
    if weights is None:
        return _added(array, None, (count,), I64)
    return _added(array, cast_to(as_array(weights), F64), (count,), F64)


def _bincount_selected(x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    """Elements that the mask leaves out add 0 to bin 0."""
    if not isinstance(x, Selection) or x.ndim != 1:
        return bincount(as_array(x), weights, minlength)  # says why that cannot be
    index = dispatch(np.where, (x.mask, x.whole, 0), {})
    if weights is None:
        counted = cast_to(x.mask, F64)
    else:
        counted = (x.with_whole(dispatch(np.zeros_like, (x.whole,), {})) + weights).whole
        counted = dispatch(np.where, (x.mask, counted, 0.0), {})
    flat = [dispatch(np.reshape, (v, -1), {}) for v in (index, counted)]
    made = bincount(cast_to(flat[0], x.whole.element_type), flat[1], minlength)
    return made if weights is not None else cast_to(made, I64)


COUNTERS[np.bincount] = _bincount_selected


def _added(index: Handle, weights: Any, sizes: tuple[int, ...], dtype: DType) -> Any:
    """A table of `sizes` to which each element of `index` has added its weight, or 1."""
    tracer = active()
    table = tracer.known(np.zeros(sizes, dtype.numpy))
    axes = tracer.axes(index.sizes)
    place = build.cast(index.element(axes), INDEX)
    inside = positions.inside(place, sizes[0], 0, axes, wraps=False)
    one = build.const(1, dtype) if weights is None else weights.broadcast_element(axes)
    node = tracer.scatter(table, axes, [inside], one, "add", "scatter add")
    return tracer.wrap(node, sizes, dtype)


@implements(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    array = dispatch(np.reshape, (as_array(a), -1), {})
    edges = _edges(array, bins, range)
    total = edges.shape[0] - 1
    place, chosen = _bins_of(array, edges)
    counts = _counted(place, chosen, total, weights)
    if density:
        width = cast_to(dispatch(np.diff, (edges,), {}), F64)
        counts = counts / width / dispatch(np.sum, (counts,), {})
    return counts, edges


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    return _edges(as_array(a), bins, range)


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    pair = isinstance(bins, (tuple, list)) and len(bins) == 2
    counts, edges = histogramdd([x, y], bins if pair else [bins, bins], range, density, weights)
    return counts, edges[0], edges[1]


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    columns = _columns(sample)
    given = bins if isinstance(bins, (tuple, list)) else [bins] * len(columns)
    limits = [None] * len(columns) if range is None else range
    if len(given) != len(columns) or len(limits) != len(columns):
        raise failure(ShapeError, "np.histogramdd needs bins and a range for each dimension")
    edges = [as_array(_edges(c, b, r, F64)) for c, b, r in zip(columns, given, limits, strict=True)]
    shape = tuple(e.shape[0] - 1 for e in edges)
    place: Any = 0
    chosen: Any = True
    for column, edge, size in zip(columns, edges, shape, strict=True):
        number, inside = _bins_of(column, edge)
        place = place * size + number
        chosen = inside & chosen
    counts = _counted(place, chosen, math.prod(shape), weights)
    table = cast_to(dispatch(np.reshape, (counts, shape), {}), F64)
    return (_densities(table, edges) if density else table), edges


def _columns(sample: Any) -> list[Any]:
    """The points' coordinates, one array for each dimension, in one dtype."""
    if isinstance(sample, (tuple, list)):
        sample = dispatch(np.stack, ([as_array(v) for v in sample],), {"axis": -1})
    points = as_array(sample)
    if points.rank < 2:
        points = points[:, None]
    return list(points.T)


def _densities(table: Any, edges: Sequence[Any]) -> Any:
    """Counts as a density over the bins' volumes."""
    total = dispatch(np.sum, (table,), {})
    for axis, edge in enumerate(edges):
        width = dispatch(np.diff, (edge,), {})
        shape = tuple(-1 if a == axis else 1 for a in range(len(edges)))
        table = table / dispatch(np.reshape, (width, shape), {})
    return table / total


def _edges(array: Handle, bins: Any, limits: Any, dtype: DType | None = None) -> Any:
    """The edges of the bins, as NumPy makes them; between known limits in `dtype`, if given."""
    if isinstance(bins, str):
        raise failure(
            UnsupportedError,
            f"the number of bins that {bins!r} chooses depends on data",
            help="give the number of bins, or their edges",
        )
    if isinstance(bins, (list, tuple, np.ndarray)) or (isinstance(bins, Handle) and bins.rank):
        edges = as_array(bins)
        known = edges.known()
        if edges.rank != 1 or (known is not None and (known[1:] < known[:-1]).any()):
            raise failure(ShapeError, "the edges of bins are one row of numbers that rise")
        return edges
    count = as_int(bins, "the number of bins")
    if count < 1:
        raise failure(ShapeError, f"np.histogram needs at least one bin, not {count}")
    if limits is not None and not has_traced((limits,)):
        sample = np.zeros(0, (dtype or array.element_type).numpy)
        made = np.histogram_bin_edges(sample, count, (float(limits[0]), float(limits[1])))
        return active().known(made)
    return _spread(array, count, limits)


def _spread(array: Handle, count: int, limits: Any) -> Any:
    """Equal bins between limits that are data."""
    if limits is None:
        first, last = (dispatch(f, (array,), {}) for f in (np.min, np.max))
    else:
        first, last = limits
    dtype = array.element_type if array.element_type.is_float else F64
    first, last = cast_to(as_array(first), dtype), cast_to(as_array(last), dtype)
    flat = ufuncs.call(np.equal, (first, last))
    first = dispatch(np.where, (flat, first - 0.5, first), {})
    last = dispatch(np.where, (flat, last + 0.5, last), {})
    return dispatch(np.linspace, (first, last, count + 1), {"dtype": dtype.numpy})


def _bins_of(array: Handle, edges: Any) -> tuple[Any, Any]:
    """The bin of each element, and whether it is in one; the last bin holds its right edge."""
    edges = as_array(edges)
    place = dispatch(np.searchsorted, (edges, array, "right"), {}) - 1
    low, high = edges[0], edges[-1]
    chosen = ufuncs.call(
        np.logical_and,
        (ufuncs.call(np.greater_equal, (array, low)), ufuncs.call(np.less_equal, (array, high))),
    )
    return dispatch(np.clip, (place, 0, edges.shape[0] - 2), {}), chosen


def _counted(place: Any, chosen: Any, total: int, weights: Any) -> Any:
    if weights is None:
        return _added(place, cast_to(chosen, I64), (total,), I64)
    flat = dispatch(np.reshape, (as_array(weights), -1), {})
    dtype = as_dtype(flat.dtype)
    kept = dispatch(np.where, (chosen, flat, dtype.numpy.type(0)), {})
    return _added(place, cast_to(kept, dtype), (total,), dtype)
