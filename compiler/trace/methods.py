"""The methods of arrays: the NumPy functions of the same name, and the few that differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import active, as_dtype, cast_to, elementwise
from tilewright.compiler.trace.weak import to_float, to_int
from tilewright.ir import build
from tilewright.ir.dtypes import BOOL
from tilewright.ir.errors import DTypeError, LimitError, TraceError, UnsupportedError

LIST_LIMIT = 4096


def _function(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: dispatch(function, (self, *args), kwargs)


METHODS: dict[str, Callable[..., Any]] = {
    name: _function(getattr(np, name))
    for name in [
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "argpartition",
        "clip",
        "cumprod",
        "cumsum",
        "diagonal",
        "dot",
        "max",
        "mean",
        "min",
        "nonzero",
        "partition",
        "prod",
        "ptp",
        "put",
        "ravel",
        "repeat",
        "round",
        "searchsorted",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "take",
        "trace",
        "var",
        "choose",
    ]
    if hasattr(np, name)
}


def _method(method: Callable[..., Any]) -> Callable[..., Any]:
    METHODS[method.__name__.strip("_")] = method
    return method


@_method
def conj(self: Handle) -> Any:
    return self


METHODS["conjugate"] = conj


@_method
def astype(
    self: Handle,
    dtype: Any,
    order: str = "K",
    casting: str = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Any:
    """The elements in another dtype; a copy, unless `copy` is False and the dtype is the same."""
    wanted = as_dtype(dtype)
    if not np.can_cast(self.element_type.numpy, wanted.numpy, casting):  # type: ignore[arg-type]
        raise failure(
            DTypeError,
            f"cannot cast from {self.element_type} to {wanted} according to the rule {casting!r}",
        )
    if wanted is self.element_type:
        return METHODS["copy"](self) if copy else self
    made = cast_to(self, wanted)
    return made.as_boxed() if self.boxed else made


@_method
def copy(self: Handle, order: str = "C") -> Any:
    """A new array with the same elements: a new cell, for the value is immutable."""
    tracer = active()
    known = self.known()
    if known is not None:
        made = tracer.known(known.copy())
    elif self.window is None:
        made = tracer.wrap(self.cell.read(), self.sizes, self.element_type)
    else:
        made = elementwise("copy", lambda e: e, (self,))
    return made.as_boxed() if self.boxed else made


METHODS["__copy__"] = copy
METHODS["__deepcopy__"] = lambda self, memo: copy(self)


@_method
def reshape(self: Handle, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    sizes = shape[0] if len(shape) == 1 else shape
    return dispatch(np.reshape, (self, sizes), {"order": order, "copy": copy})


@_method
def transpose(self: Handle, *axes: Any) -> Any:
    order = (
        axes[0] if len(axes) == 1 and (axes[0] is None or not isinstance(axes[0], int)) else axes
    )
    return dispatch(np.transpose, (self, order or None), {})


@_method
def flatten(self: Handle, order: str = "C") -> Any:
    return copy(dispatch(np.ravel, (self,), {"order": order}))


@_method
def compress(self: Handle, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return dispatch(np.compress, (condition, self, axis), {} if out is None else {"out": out})


@_method
def fill(self: Handle, value: Any) -> None:
    from tilewright.compiler.trace.indexing import store

    store(self, ..., value)


@_method
def sort(self: Handle, axis: int = -1, kind: str | None = None, order: Any = None) -> None:
    """In place."""
    from tilewright.compiler.trace.indexing import store

    store(self, ..., dispatch(np.sort, (self,), {"axis": axis}))


@_method
def item(self: Handle, *index: Any) -> Any:
    """One element as a Python number; a single int counts along all axes."""
    place = index[0] if len(index) == 1 else index
    if self.sizes and index and not isinstance(place, tuple):
        self = dispatch(np.reshape, (self, -1), {})
    single = METHODS["__getitem__"](self, place) if index and self.sizes else self
    known = single.known() if isinstance(single, Handle) else np.asarray(single)
    if known is not None:
        return known.item()
    if single.element_type is BOOL:
        return dispatch(np.reshape, (single, ()), {})
    return to_float(single) if single.element_type.is_float else to_int(single)


def _getitem(self: Handle, index: Any) -> Any:
    from tilewright.compiler.trace.indexing import fetch

    return fetch(self, index)


METHODS["__getitem__"] = _getitem


@_method
def tolist(self: Handle) -> Any:
    """Nested lists of the elements as Python numbers."""
    known = self.known()
    if known is not None:
        return known.tolist()
    if not all(isinstance(s, int) for s in self.sizes):
        raise failure(TraceError, "tolist() needs a size that is known when compiling")
    if (build.known(build.product(self.sizes)) or 0) > LIST_LIMIT:
        raise failure(LimitError, f"tolist() of more than {LIST_LIMIT} elements")
    if not self.sizes:
        return item(self)
    return [
        v.tolist() if isinstance(v, Handle) else v  # type: ignore[attr-defined]
        for v in (_getitem(self, i) for i in range(int(self.sizes[0])))  # type: ignore[arg-type]
    ]


@_method
def view(self: Handle, dtype: Any = None) -> Any:
    """The same bits as another dtype of the same width."""
    if dtype is None:
        return self.viewed(_whole(self), self.sizes)
    wanted = as_dtype(dtype)
    if wanted.bits != self.element_type.bits or BOOL in (wanted, self.element_type):
        raise failure(
            UnsupportedError,
            f"a view of {self.element_type} as {wanted} is not supported",
            help="only dtypes of the same width; use astype to convert the values",
        )
    known = self.known()
    if known is not None:
        return active().known(known.view(wanted.numpy))
    return elementwise("view", lambda e: build.bitcast(e, wanted), (self,))


def _whole(self: Handle) -> Any:
    from tilewright.compiler.trace.views import identity

    return identity(self.rank)
