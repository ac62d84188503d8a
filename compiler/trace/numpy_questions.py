"""Questions about arrays whose answers need no data."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import fold, has_traced, implements
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_dtype,
    as_number,
    as_shape,
    result_dtype,
)
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL


@implements(np.shape)
def shape(a: Any) -> Any:
    return as_array(a).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    return as_array(a).ndim


@implements(np.iterable)
def iterable(y: Any) -> bool:
    return bool(as_array(y).ndim)


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

    nothing = tracer.finish((), build.FALSE, "")
    spread = [tracer.wrap(nothing, as_shape(a), BOOL) for a in args]
    return tuple(as_number(s) for s in broadcast_sizes(spread))
