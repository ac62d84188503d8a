"""Progressions, grids and matrices of fixed structure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.compiler.trace import joining, ufuncs
from tilewright.compiler.trace.dispatch import bare, clothe, dispatch, has_traced, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import broadcast_view
from tilewright.compiler.trace.numpy_creation import KNOWN_LIMIT, is_small
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_array_or_number,
    as_dtype,
    as_int,
    as_number,
    as_shape,
    as_size,
    cast_to,
    is_symbolic,
    result_dtype,
)
from tilewright.compiler.trace.views import along
from tilewright.ir import build, ops
from tilewright.ir.analysis.size_proofs import size_max
from tilewright.ir.dtypes import I64, DType
from tilewright.ir.errors import DTypeError, UnsupportedError
from tilewright.ir.expr import Size


@implements(np.arange, always=True)
def arange(
    start: Any = None,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    if stop is None:
        start, stop = 0, start
    first = 0 if start is None else start
    by = 1 if step is None else step
    parts = tuple(_unless_sized(p) for p in (first, stop, by))
    if not has_traced(parts):
        result = np.arange(
            *map(bare, parts), dtype=None if dtype is None else as_dtype(dtype).numpy
        )
        if result.size <= KNOWN_LIMIT or result.dtype.kind not in "iu":
            return active().known(result)
        return _progression(int(bare(first)), int(bare(by)), result.size, as_dtype(result.dtype))
    wanted = I64 if dtype is None else as_dtype(dtype)
    begin, end = as_size(first, "a bound of arange"), as_size(stop, "a bound of arange")
    stride = as_int(by, "the step of arange")
    if stride <= 0:
        raise failure(UnsupportedError, "np.arange of an open dimension counts upwards only")
    length = size_max(build.size_sub(end, begin), 0)
    count = build.size_floordiv(build.size_add(length, stride - 1), stride)
    return _progression(begin, stride, count, wanted)


def _unless_sized(value: Any) -> Any:
    """An int argument becomes static here: the result's size depends on it."""
    if isinstance(value, Handle) and value.weak and not is_symbolic(value):
        if value.element_type.is_float:
            raise failure(
                DTypeError, "np.arange of a float that is known at run time only has an open size"
            )
        return as_int(value, "a bound of arange")
    if isinstance(value, Handle) and not value.weak and value.known() is None:
        return as_int(value, "a bound of arange")
    return value


def _progression(first: Size, step: int, count: Size, dtype: DType) -> Any:
    """``first, first + step, …`` as a node."""
    tracer = active()
    axes = tracer.axes((count,))
    where = build.add(build.mul(axes[0], build.index(step)), build.index(first))
    return tracer.value(axes, build.cast(where, dtype), "np.arange")


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """Of traced ends; ends that are known are NumPy's."""
    count = as_size(num, "the number of points")
    gaps: Any = build.size_sub(count, 1) if endpoint else count
    ends = [as_array_or_number(v) for v in (start, stop)]
    compute = result_dtype([*ends, 1.0])
    low, high = (cast_to(as_array(v), compute) for v in ends)
    delta = high - low
    divisor = as_number(size_max(gaps, 1))
    step = delta / divisor
    line = dispatch(np.arange, (as_number(count),), {}).astype(compute.numpy)
    shape = (-1,) + (1,) * step.ndim
    points = dispatch(np.reshape, (line, shape), {}) * step + low
    if endpoint and isinstance(count, int) and count > 1:
        last = dispatch(np.reshape, (line, shape), {}) == float(count - 1)
        points = dispatch(np.where, (last, high, points), {})
    if dtype is not None:
        wanted = as_dtype(dtype)
        if wanted.kind in "iu":
            points = ufuncs.call(np.floor, (points,))
        points = cast_to(points, wanted)
    points = dispatch(np.moveaxis, (points, 0, axis), {}) if axis else points
    if not retstep:
        return points
    return points, step * math.nan if isinstance(gaps, int) and gaps <= 0 else step


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None
) -> Any:
    powers = dispatch(np.power, (base, linspace(start, stop, num, endpoint)), {})
    return powers if dtype is None else cast_to(powers, as_dtype(dtype))


@implements(np.eye, always=True)
def eye(
    N: Any,
    M: Any = None,
    k: Any = 0,
    dtype: Any = float,
    order: str = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    rows = as_size(N)
    columns = rows if M is None else as_size(M)
    offset = as_int(k, "the diagonal")
    wanted = as_dtype(dtype)
    if isinstance(rows, int) and isinstance(columns, int) and is_small((rows, columns)):
        return active().known(np.eye(rows, columns, offset, wanted.numpy))
    tracer = active()
    axes = tracer.axes((rows, columns))
    on_diagonal = build.eq(build.add(axes[0], build.index(offset)), axes[1])
    return tracer.value(axes, build.cast(on_diagonal, wanted), "np.eye")


@implements(np.identity, always=True)
def identity(n: Any, dtype: Any = None, *, like: Any = None) -> Any:
    return eye(n, dtype=float if dtype is None else dtype)


@implements(np.tri, always=True)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, *, like: Any = None) -> Any:
    rows = as_size(N)
    columns = rows if M is None else as_size(M)
    tracer = active()
    axes = tracer.axes((rows, columns))
    reach = build.add(axes[0], build.index(as_int(k, "the diagonal")))
    below = build.apply(ops.GE, reach, axes[1])
    return tracer.value(axes, build.cast(below, as_dtype(dtype)), "np.tri")


@implements(np.indices, always=True)
def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    sizes = as_shape(dimensions)
    wanted = as_dtype(dtype)
    grids = []
    for axis, size in enumerate(sizes):
        line = _progression(0, 1, size, wanted)
        shape = tuple(size if a == axis else 1 for a in range(len(sizes)))
        grid = line.viewed((along(axis),), shape)
        grids.append(grid if sparse else broadcast_view(grid, sizes))
    if sparse:
        return tuple(grids)
    return joining.stack(grids, 0, wanted, "np.indices")


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    arrays = [dispatch(np.reshape, (as_array(x), -1), {}) for x in xi]
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = [1, 0]
    sizes: list[Size] = [1] * len(arrays)
    for array, axis in zip(arrays, order, strict=True):
        sizes[axis] = array.sizes[0]
    grids = []
    for array, axis in zip(arrays, order, strict=True):
        shape = tuple(s if a == axis else 1 for a, s in enumerate(sizes))
        grid = array.viewed((along(axis),), shape)
        if not sparse:
            grid = broadcast_view(grid, sizes)
        grids.append(grid.copy() if copy else grid)
    return tuple(grids)


@implements(np.fromfunction, always=True)
def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    sizes = as_shape(shape)
    wanted = as_dtype(dtype)
    grids = []
    for axis, size in enumerate(sizes):
        only = tuple(size if a == axis else 1 for a in range(len(sizes)))
        grid = _progression(0, 1, size, wanted).viewed((along(axis),), only)
        grids.append(broadcast_view(grid, sizes))
    return function(*grids, **kwargs)


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    points: Any = as_array(x)
    count = points.shape[0] if N is None else as_int(N, "the number of columns")
    points = cast_to(points, result_dtype((points, np.int64(0))))
    if not count:
        return points[:, None][:, :0]
    powers = [points**n if n else dispatch(np.ones_like, (points,), {}) for n in range(count)]
    return dispatch(np.stack, (powers if increasing else powers[::-1],), {"axis": 1})


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return dispatch(np.diag, (dispatch(np.reshape, (as_array(v), -1), {}), k), {})


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True) -> Any:
    """Of positive ends."""
    ends = [ufuncs.call(np.log10, (as_array(v),)) for v in (start, stop)]
    return logspace(*ends, num, endpoint)


@implements(np.ix_)
def ix_(*args: Any) -> Any:
    open_mesh = []
    for axis, sequence in enumerate(args):
        shape = tuple(-1 if n == axis else 1 for n in range(len(args)))
        open_mesh.append(dispatch(np.reshape, (as_array(sequence), shape), {}))
    return tuple(open_mesh)


def _indices_from(function: Any) -> Any:
    """Positions in an array of a known shape."""

    def run(arr: Any, k: Any = 0) -> Any:
        rows, columns = (as_int(n, "the shape") for n in as_array(arr).shape)
        return clothe(function(rows, as_int(k, "the diagonal"), columns))

    return run


implements(np.tril_indices_from)(_indices_from(np.tril_indices))
implements(np.triu_indices_from)(_indices_from(np.triu_indices))


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    array = as_array(arr)
    size = as_int(array.shape[0], "the shape")
    return clothe(np.diag_indices(size, array.rank))
