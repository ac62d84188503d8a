"""Functions that make arrays. Small known ones stay known; large or open ones become nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import joining
from tilewright.compiler.trace.dispatch import bare, dispatch, has_traced, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.fitting import as_element
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.memory import detached, is_contiguous
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_array_or_number,
    as_dtype,
    as_number,
    as_shape,
    cast_to,
    convert,
    elementwise,
    is_number,
    literal,
    promotion_key,
)
from tilewright.ir import build
from tilewright.ir.dtypes import F64, I64, DType
from tilewright.ir.errors import DTypeError, ShapeError
from tilewright.ir.expr import Size

KNOWN_LIMIT = 4096
"""Arrays of more elements than this are nodes of the graph rather than known while tracing."""


def is_small(sizes: tuple[Size, ...]) -> bool:
    count = build.known(build.product(sizes))
    return count is not None and count <= KNOWN_LIMIT


def filled(sizes: tuple[Size, ...], value: Any, dtype: DType, label: str) -> Any:
    """An array of one value."""
    if is_number(value) and is_small(sizes):
        shape = tuple(int(s) for s in sizes if isinstance(s, int))
        literal(value, dtype)  # an int that does not fit is an error
        return active().known(np.full(shape, value, dtype.numpy))
    tracer = active()
    if is_number(value):
        return tracer.value(tracer.axes(sizes), literal(value, dtype), label, sizes)
    source = value if isinstance(value, Handle) else as_array(value)
    if source.weak:
        source = as_element(source, dtype)
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
            array = np.array(bare(value), dtype=None if wanted is None else wanted.numpy)
        except (ValueError, TypeError, OverflowError) as error:
            kind = ShapeError if isinstance(error, ValueError) else DTypeError
            raise failure(kind, str(error)) from error
        return as_array(array)
    if isinstance(value, (list, tuple)) and wanted is not None:
        parts = [as_array_or_number(v) for v in value]
        return joining.stack_values([_cast(p, wanted) for p in parts], wanted)
    made = as_array(value)
    return made if wanted is None else cast_to(made, wanted)


def _cast(value: Any, dtype: DType) -> Any:
    if isinstance(value, Handle) and not value.weak:
        return cast_to(value, dtype)
    return value


@implements(np.asarray, np.asanyarray, np.asfortranarray, np.require, always=True)
def asarray(a: Any, dtype: Any = None, order: Any = None, **_: Any) -> Any:
    made = _as_new_array(a, dtype)
    return made


@implements(np.ascontiguousarray, always=True)
def ascontiguousarray(a: Any, dtype: Any = None, **_: Any) -> Any:
    made = _as_new_array(a, dtype)
    made = made if made.rank else made[None]
    return made if is_contiguous(made) else detached(made)


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
    from tilewright.compiler.trace.numpy_diagonals import main_diagonal, wrapped_diagonal

    if wrap and a.ndim == 2:
        a[wrapped_diagonal(a)] = val
    else:
        main_diagonal(a)[...] = val
