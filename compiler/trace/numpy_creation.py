"""Functions that make arrays. Small known ones stay known; large or open ones become nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import joining, ufuncs
from tilewright.compiler.trace.dispatch import bare, dispatch, fold, has_traced, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import broadcast_view
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
    convert,
    elementwise,
    is_number,
    is_symbolic,
    literal,
    promotion_key,
    result_dtype,
)
from tilewright.compiler.trace.ranges import size_max
from tilewright.compiler.trace.views import along
from tilewright.compiler.trace.weak import element
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F64, I64, DType
from tilewright.ir.errors import DTypeError, ShapeError, UnsupportedError
from tilewright.ir.expr import Expr, Size

KNOWN_LIMIT = 4096
"""Arrays of more elements than this are nodes of the graph rather than known while tracing."""


def _is_small(sizes: tuple[Size, ...]) -> bool:
    count = build.known(build.product(sizes))
    return count is not None and count <= KNOWN_LIMIT


def filled(sizes: tuple[Size, ...], value: Any, dtype: DType, label: str) -> Any:
    """An array of one value."""
    if is_number(value) and _is_small(sizes):
        shape = tuple(int(s) for s in sizes if isinstance(s, int))
        literal(value, dtype)  # an int that does not fit is an error
        return active().known(np.full(shape, value, dtype.numpy))
    tracer = active()
    if is_number(value):
        return tracer.value(tracer.axes(sizes), literal(value, dtype), label, sizes)
    source = value if isinstance(value, Handle) else as_array(value)
    spread = dispatch(np.broadcast_to, (source, tuple(as_number(s) for s in sizes)), {})
    if not isinstance(spread, Handle):
        spread = as_array(spread)
    return elementwise(label, lambda e: convert(e, dtype), (spread,))


def _fill_function(value: Any, label: str) -> Callable[..., Any]:
    def run(
        shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None
    ) -> Any:
        return filled(as_shape(shape), value, as_dtype(dtype or float), label)

    return run


implements(np.zeros, always=True)(_fill_function(0, "np.zeros"))
implements(np.ones, always=True)(_fill_function(1, "np.ones"))
implements(np.empty, always=True)(_fill_function(0, "np.empty"))


@implements(np.full, always=True)
def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    value = fill_value
    if isinstance(value, (np.generic, np.ndarray, list, tuple)):
        value = as_array(value)
    wanted = as_dtype(dtype) if dtype is not None else _value_dtype(value)
    return filled(as_shape(shape), value, wanted, "np.full")


def _value_dtype(value: Any) -> DType:
    if isinstance(value, Handle) and not value.weak:
        return value.element_type
    key = promotion_key(value)
    if key is int or key is float:
        return I64 if key is int else F64
    return as_dtype(key)


def _like_function(value: Any, label: str) -> Callable[..., Any]:
    def run(
        a: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Any:
        array = as_array(a)
        wanted = array.element_type if dtype is None else as_dtype(dtype)
        return filled(array.sizes if shape is None else as_shape(shape), value, wanted, label)

    return run


implements(np.zeros_like, always=True)(_like_function(0, "np.zeros_like"))
implements(np.ones_like, always=True)(_like_function(1, "np.ones_like"))
implements(np.empty_like, always=True)(_like_function(0, "np.empty_like"))


@implements(np.full_like, always=True)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    array = as_array(a)
    wanted = array.element_type if dtype is None else as_dtype(dtype)
    sizes = array.sizes if shape is None else as_shape(shape)
    value = fill_value if is_number(fill_value) else as_array_or_number(fill_value)
    if is_number(value) and isinstance(value, float) and wanted.kind in "iu":
        value = int(value)
    return filled(sizes, value, wanted, "np.full_like")


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
    if axis != 0:
        raise failure(UnsupportedError, "np.linspace along another axis than 0 is not supported")
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
    return (points, step) if retstep else points


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
    if isinstance(rows, int) and isinstance(columns, int) and _is_small((rows, columns)):
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


@implements(np.array, always=True)
def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: Any = None,
) -> Any:
    made = _as_new_array(object, dtype)
    if copy and made is object:
        made = made.copy()
    while made.rank < ndmin:
        made = made[None]
    return made


def _as_new_array(value: Any, dtype: Any) -> Any:
    wanted = None if dtype is None else as_dtype(dtype)
    if not has_traced((value,)) and not isinstance(value, Handle):
        try:
            made = np.array(bare(value), dtype=None if wanted is None else wanted.numpy)
        except (ValueError, TypeError, OverflowError) as error:
            kind = ShapeError if isinstance(error, ValueError) else DTypeError
            raise failure(kind, str(error)) from error
        return as_array(made)
    if isinstance(value, (list, tuple)) and wanted is not None:
        parts = [as_array_or_number(v) for v in value]
        return joining.stack_values([_cast(p, wanted) for p in parts], wanted)
    made = as_array(value)
    return made if wanted is None else cast_to(made, wanted)


def _cast(value: Any, dtype: DType) -> Any:
    if isinstance(value, Handle) and not value.weak:
        return cast_to(value, dtype)
    return value


@implements(
    np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.require, always=True
)
def asarray(a: Any, dtype: Any = None, order: Any = None, **_: Any) -> Any:
    made = _as_new_array(a, dtype)
    return made


@implements(np.copy, always=True)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return as_array(a).copy()


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return as_array(x).astype(dtype, copy=copy)


@implements(np.copyto, always=True)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if where is True:
        dst[...] = src
    else:
        dst[...] = dispatch(np.where, (where, src, dst), {})


@implements(np.fill_diagonal, always=True)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if a.ndim != 2 or wrap:
        raise failure(UnsupportedError, "np.fill_diagonal takes two dimensions, and no wrap")
    from tilewright.compiler.trace.numpy_diagonals import diagonal_view

    diagonal_view(a, 0, 0, 1)[...] = val


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    points: Any = as_array(x)
    count = points.shape[0] if N is None else as_int(N, "the number of columns")
    points = cast_to(points, result_dtype((points, np.int64(0))))
    powers = [points**n if n else dispatch(np.ones_like, (points,), {}) for n in range(count)]
    return dispatch(np.stack, (powers if increasing else powers[::-1],), {"axis": 1})


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return dispatch(np.diag, (dispatch(np.reshape, (as_array(v), -1), {}), k), {})


# Questions about arrays that need no data.


@implements(np.shape)
def shape(a: Any) -> Any:
    return as_array(a).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    return as_array(a).ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> Any:
    made = as_array(a)
    return made.size if axis is None else made.shape[axis]


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    keys = [
        v if isinstance(v, Handle) else getattr(v, "__tilewright_stands_for__", v)
        for v in arrays_and_dtypes
    ]
    return result_dtype([_sample(k) for k in keys]).numpy


def _sample(value: Any) -> Any:
    if isinstance(value, (np.dtype, type, str)):
        return np.zeros((), as_dtype(value).numpy)
    return value


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(as_array(from_).dtype, as_dtype(to).numpy, casting)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return False


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return True


@implements(np.isscalar)
def isscalar(element: Any) -> bool:
    return isinstance(element, Handle) and not element.sizes


@implements(np.broadcast_shapes, always=True)
def broadcast_shapes(*args: Any) -> Any:
    if not has_traced(args):
        return fold(np.broadcast_shapes, args, {})
    tracer = active()
    from tilewright.compiler.trace.operands import broadcast_sizes

    zero = build.const(0, I64)
    spread = [tracer.wrap(tracer.finish((), zero, ""), as_shape(a), I64) for a in args]
    return tuple(as_number(s) for s in broadcast_sizes(spread))


def number_expression(value: Any) -> Expr:
    """A Python number or traced number as an expression."""
    return element(value)
