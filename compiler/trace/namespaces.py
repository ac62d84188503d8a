"""What stands for NumPy's functions, types and modules in a function under tracing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import numpy as np

from tilewright.compiler.trace.array import TracedArray
from tilewright.compiler.trace.dispatch import (
    callable_name,
    clothe,
    dispatch,
    fold,
    has_traced,
    unsupported,
)
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_array_or_number,
    as_dtype,
    as_int,
    cast_to,
    is_number,
    literal,
    result_dtype,
)
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import LimitError, MissingAttributeError, TraceError, UnsupportedError


class Namespace:
    """A module, or a namespace object, whose attributes are translated as they are read."""

    def __init__(self, module: ModuleType | SimpleNamespace, read: Callable[[str], Any]) -> None:
        self.__dict__["_module"] = self.__dict__["__tilewright_stands_for__"] = module
        self.__dict__["_read"] = read

    def __getattr__(self, name: str) -> Any:
        module: Any = self.__dict__["_module"]
        if not hasattr(module, name):
            from difflib import get_close_matches

            close = get_close_matches(name, dir(module), 1)
            raise failure(
                MissingAttributeError,
                f"{_called(module)} has no attribute {name!r}",
                help=f"did you mean {close[0]!r}?" if close else None,
            )
        value = self.__dict__["_read"](name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        owner = _called(self.__dict__["_module"])
        raise failure(TraceError, f"a kernel cannot assign to the attribute {name!r} of {owner}")

    def __repr__(self) -> str:
        return repr(self.__dict__["_module"])


def _called(module: Any) -> str:
    return f"module {module.__name__!r}" if isinstance(module, ModuleType) else "the namespace"


_MAKE_ARRAYS: Final[frozenset[Any]] = frozenset(
    (
        *(np.array, np.asarray, np.asanyarray, np.asfortranarray, np.require, np.copy),
        *(np.zeros, np.ones, np.empty, np.full, np.broadcast_to, np.apply_along_axis),
        *(np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.where, np.select),
        *(np.piecewise, np.isin, np.tensordot, np.linalg.tensordot),
    )
)
"""Functions whose result is an array at rank 0, too; of others it is a scalar."""


class NumpyFunction:
    """A NumPy function under tracing."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__tilewright_stands_for__ = function
        self.__name__ = getattr(function, "__name__", "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = dispatch(self.__tilewright_stands_for__, args, kwargs)
        if type(made) is TracedArray and self.__tilewright_stands_for__ in _MAKE_ARRAYS:
            return made.as_boxed()
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__tilewright_stands_for__, name)

    def __repr__(self) -> str:
        return callable_name(self.__tilewright_stands_for__)


class NumpyUfunc(NumpyFunction):
    """A ufunc under tracing, its methods with it."""

    def __getattr__(self, name: str) -> Any:
        ufunc: Any = self.__tilewright_stands_for__
        if name in ("reduce", "accumulate", "outer", "at", "reduceat"):
            from tilewright.compiler.trace.ufunc_methods import call_method

            return lambda *args, **kwargs: call_method(ufunc, name, args, kwargs)
        return getattr(ufunc, name)


class TypeStandIn:
    """A type under tracing: names a dtype, converts values, and is known to `isinstance`."""

    def __init__(self, kind: type) -> None:
        self.__tilewright_stands_for__ = kind
        self.__name__ = kind.__name__

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.__tilewright_stands_for__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        kind = self.__tilewright_stands_for__
        if kind in (np.vectorize, np.nditer):
            raise unsupported(kind)
        if kind in (np.ndenumerate, np.broadcast):
            return _of_shapes(kind, args)
        traced = [a for a in args if isinstance(a, Handle) and not a.is_known]
        if not traced:
            if kind in (int, float, bool) and len(args) == 1 and isinstance(args[0], Handle):
                return kind(args[0])  # type: ignore[call-overload, arg-type]
            return fold(kind, args, kwargs)
        if issubclass(kind, np.generic):
            return cast_to(as_array(args[0]), as_dtype(kind))
        if kind in (float, int, bool):
            from tilewright.compiler.trace.weak import CONVERSIONS

            return CONVERSIONS[kind](args[0])
        return clothe(kind(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__tilewright_stands_for__, name)

    def __eq__(self, other: object) -> bool:
        stands_for: object = self.__tilewright_stands_for__
        return stands_for == getattr(other, "__tilewright_stands_for__", other)

    def __hash__(self) -> int:
        return hash(self.__tilewright_stands_for__)

    def __or__(self, other: Any) -> Any:
        return (self, other)  # int | float, as isinstance takes it

    def __ror__(self, other: Any) -> Any:
        return (other, self)

    def __repr__(self) -> str:
        return repr(self.__tilewright_stands_for__)


@lru_cache(maxsize=1024)
def type_stand_in(kind: type) -> TypeStandIn:
    """What stands for `kind`: always the same, so that ``is`` compares types."""
    return TypeStandIn(kind)


def as_numpy_type(value: Handle) -> type:
    """The type that a traced value has in the undecorated function."""
    if value.plain:
        return bool
    if value.weak:
        return float if value.element_type.is_float else int
    return np.ndarray if value.is_array else value.element_type.numpy.type


def _of_shapes(kind: type, args: tuple[Any, ...]) -> Any:
    """``np.broadcast``, and ``np.ndenumerate``: what they need of arrays is their shapes."""
    arrays = [as_array(a) for a in args]
    if kind is np.ndenumerate:
        shape = [as_int(s, "a size of the enumerated array") for s in arrays[0].shape]
        if math.prod(shape) > _MOST_ELEMENTS:
            raise failure(
                LimitError,
                f"a Python loop over {math.prod(shape)} elements is unrolled; the limit is "
                f"{_MOST_ELEMENTS}",
                help="use operations on whole arrays, or tw.compute",
            )
        return ((place, arrays[0][place]) for place in np.ndindex(*shape))
    return np.broadcast(*(np.broadcast_to(np.uint8(0), a.shape) for a in arrays))


_MOST_ELEMENTS: Final = 65_536


class IndexTrick:
    """``np.mgrid``, ``np.r_`` and the like: answered by NumPy where all is known.

    ``np.r_`` and ``np.c_`` also join arrays that are data.
    """

    def __init__(self, trick: Any) -> None:
        self.__tilewright_stands_for__ = trick

    def __getitem__(self, key: Any) -> Any:
        trick = self.__tilewright_stands_for__
        parts = key if isinstance(key, tuple) else (key,)
        if trick in (np.r_, np.c_) and has_traced(parts):
            return _joined(trick, parts)
        return dispatch(type(trick).__getitem__, (self, key), {})


def _joined(trick: Any, parts: tuple[Any, ...]) -> Any:
    """The parts one after the other: along the first axis, or as columns along the last."""
    if any(isinstance(p, str) for p in parts):
        raise failure(
            UnsupportedError,
            "np.r_ and np.c_ with directives in a string are not supported",
            help="use np.concatenate or np.stack",
        )
    known = [trick[p] if isinstance(p, slice) else as_array_or_number(p) for p in parts]
    dtype = result_dtype(known)  # Python numbers are weak, unlike those in np.concatenate
    least = 2 if trick is np.c_ else 1
    arrays = [_with_rank(_in_dtype(a, dtype), least) for a in known]
    return dispatch(np.concatenate, (arrays,), {"axis": -1 if trick is np.c_ else 0})


def _in_dtype(value: Any, dtype: DType) -> Any:
    if is_number(value):
        return active().value((), literal(value, dtype), "number")
    return cast_to(as_array(value), dtype)


def _with_rank(array: Any, least: int) -> Any:
    missing = least - array.rank
    return array[(..., *(None,) * missing)] if missing > 0 else array
