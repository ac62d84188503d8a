"""Python's built-in functions under tracing: those that would need the data, or have effects."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, has_traced
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.namespaces import TypeStandIn, as_numpy_type, type_stand_in
from tilewright.compiler.trace.operands import as_int, as_number
from tilewright.compiler.trace.selections import Selection
from tilewright.ir.errors import DTypeError, LimitError, TraceError

UNROLL_LIMIT = 65_536

_EFFECT = "a compiled kernel runs without Python; call kernel.python(…) to debug"
REFUSED = {
    "open": "read the file outside and pass its contents",
    "input": _EFFECT,
    "eval": "write the expression out",
    "exec": "write the statements out",
    "compile": "write the expression out",
    "globals": "name the global",
    "locals": "name the variable",
    "vars": "name the attribute",
    "setattr": "return the value instead",
    "delattr": "return values instead",
    "breakpoint": _EFFECT,
}


def _print(*values: Any, **_: Any) -> None:
    raise failure(
        TraceError,
        "print() cannot be compiled",
        help="return the value, or print it while running kernel.python(…)",
    )


def _range(*bounds: Any) -> range:
    """`range` over ints that are known; the loop over it is unrolled."""
    result = range(*(as_int(b, "the range of a Python loop") for b in bounds))
    if len(result) > UNROLL_LIMIT:
        raise failure(
            LimitError,
            f"a Python loop of {len(result)} steps is unrolled; the limit is {UNROLL_LIMIT}",
            help="use tw.loop(n, lambda i, *state: (…), *state)",
        )
    return result


def _len(value: Any) -> Any:
    if isinstance(value, Handle) and value.sizes:
        return as_number(value.sizes[0])
    if isinstance(value, Selection):
        return value.shape[0]
    return len(value)


def _extreme(name: str, ufunc: np.ufunc, builtin: Callable[..., Any]) -> Callable[..., Any]:
    def choose(*values: Any, **keywords: Any) -> Any:
        items: Sequence[Any] = values
        if len(values) == 1:
            items = list(values[0])
        if not has_traced(items):
            return builtin(*values, **keywords)
        if keywords:
            raise failure(TraceError, f"{name}() with {', '.join(keywords)} cannot be traced")
        if any(isinstance(v, Handle) and v.sizes for v in items):
            raise failure(
                TraceError,
                f"{name}() of arrays would need the truth of an array",
                help=f"use {'np.minimum' if name == 'min' else 'np.maximum'} (element by element)"
                f" or x.{name}()",
            )
        best = items[0]
        for item in items[1:]:
            best = _better(ufunc, best, item)
        return best

    return choose


def _better(ufunc: np.ufunc, best: Any, item: Any) -> Any:
    """Python's choice: the first of two that compare equal, and of two with a NaN."""
    if ufuncs.is_weak(best) and ufuncs.is_weak(item):
        return ufuncs.operate(np.maximum if ufunc is np.greater else np.minimum, best, item)
    wins = ufuncs.operate(ufunc, item, best)
    return dispatch(np.where, (wins, item, best), {})


def _isinstance(value: Any, kinds: Any) -> bool:
    """A traced array is an `np.ndarray`; a traced Python number is an int or a float."""
    flat = kinds if isinstance(kinds, tuple) else (kinds,)
    real = tuple(getattr(k, "__tilewright_stands_for__", k) for k in _flatten(flat))
    if not isinstance(value, Handle):
        return isinstance(getattr(value, "__tilewright_stands_for__", value), real)
    looks_like = as_numpy_type(value)
    return any(isinstance(k, type) and issubclass(looks_like, k) for k in real)


class _Type:
    """`type` under tracing: that of a traced value is the one that it has in NumPy."""

    __tilewright_stands_for__ = type

    def __call__(self, *args: Any) -> Any:
        if len(args) != 1:
            return type(*args)
        kind = as_numpy_type(args[0]) if isinstance(args[0], Handle) else args[0].__class__
        stands_in = kind in TYPES or issubclass(kind, (np.generic, np.ndarray))
        return type_stand_in(kind) if stands_in else kind


def _flatten(kinds: Any) -> list[Any]:
    found = []
    for kind in kinds:
        found.extend(_flatten(kind) if isinstance(kind, tuple) else [kind])
    return found


def _callable_each(name: str, ufunc: np.ufunc, builtin: Callable[[Any], bool]) -> Any:
    def decide(values: Any) -> Any:
        items = list(values)
        if not has_traced(items):
            return builtin(items)
        if any(isinstance(v, Handle) and v.sizes for v in items):
            raise failure(
                TraceError, f"{name}() of an array of arrays", help=f"use x.{name}() or np.{name}"
            )
        result: Any = builtins.bool(name == "all")
        for item in items:
            result = ufuncs.call(ufunc, (result, item))
        return result.as_plain()

    return decide


def _sorted(values: Any, /, *, key: Any = None, reverse: bool = False) -> Any:
    """A list of NumPy's scalars in order; other traced values cannot be sorted by Python."""
    items = list(values)
    if not has_traced(items):
        return sorted(items, key=key, reverse=reverse)
    if key is not None:
        raise failure(
            TraceError,
            "sorted() with a key that depends on data",
            help="use order = np.argsort(keys), and index with it",
        )
    kinds = {v.element_type if isinstance(v, Handle) and not v.weak else None for v in items}
    if len(kinds) > 1 or None in kinds or any(v.sizes for v in items):
        raise failure(TraceError, "sorted() takes traced scalars of one dtype", help="use np.sort")
    ordered = dispatch(np.sort, (dispatch(np.stack, (items,), {}),), {})
    return list(ordered[::-1] if reverse else ordered)


def _round(value: Any, digits: int | None = None) -> Any:
    return round(value, digits) if digits is not None else round(value)


def _pow(base: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is not None:
        if has_traced((base, exponent, modulus)):
            raise failure(DTypeError, "pow() with three arguments is not defined on arrays")
        return pow(base, exponent, modulus)
    return base**exponent


TYPES: dict[type, TypeStandIn] = {kind: type_stand_in(kind) for kind in (int, float, bool, complex)}

BUILTINS: dict[str, Any] = {
    "print": _print,
    "range": _range,
    "len": _len,
    "min": _extreme("min", np.less, min),
    "max": _extreme("max", np.greater, max),
    "any": _callable_each("any", np.logical_or, any),
    "all": _callable_each("all", np.logical_and, all),
    "isinstance": _isinstance,
    "type": _Type(),
    "sorted": _sorted,
    "round": _round,
    "pow": _pow,
    **{kind.__name__: stand_in for kind, stand_in in TYPES.items()},
}
