"""The public index form. While a kernel is traced each call goes to its tracer, else to NumPy.

`sum`, `max` and `min` are named for `tw.sum` and so on, and hide the built-ins in this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.compiler import eager
from tilewright.compiler.tracing_state import current

if TYPE_CHECKING:
    from collections.abc import Callable

    IndexFunction = Callable[..., Any]


def compute(shape: Any, fn: IndexFunction) -> Any:
    """The array `a` of this shape with `a[i, j, …] = fn(i, j, …)`, one index per axis."""
    return (current() or eager).compute(shape, fn)


def sum(fn: IndexFunction, extents: Any) -> Any:
    """The sum of `fn(i, j, …)` over `extents`, an int or a tuple; the dtype is that of `np.sum`."""
    return (current() or eager).sum(fn, extents)


def prod(fn: IndexFunction, extents: Any) -> Any:
    """The product of `fn(i, j, …)` over `extents`; the dtype is that of `np.prod`."""
    return (current() or eager).prod(fn, extents)


def max(fn: IndexFunction, extents: Any) -> Any:
    """The largest `fn(i, j, …)` over `extents`; NaN if any is NaN."""
    return (current() or eager).max(fn, extents)


def min(fn: IndexFunction, extents: Any) -> Any:
    """The smallest `fn(i, j, …)` over `extents`; NaN if any is NaN."""
    return (current() or eager).min(fn, extents)


def argmax(fn: IndexFunction, extents: Any) -> Any:
    """The first point where `fn` is largest (or NaN), numbered in row-major order."""
    return (current() or eager).argmax(fn, extents)


def argmin(fn: IndexFunction, extents: Any) -> Any:
    """The first point where `fn` is smallest (or NaN), numbered in row-major order."""
    return (current() or eager).argmin(fn, extents)


def at(a: Any, indices: Any, boundary: str = "proven", fill: Any = 0) -> Any:
    """`a[indices]`, with a rule for what lies outside.

    `boundary` is ``"proven"`` (nothing may), ``"clamp"``, ``"constant"`` (read `fill`),
    ``"reflect"`` (without repeating the edge) or ``"wrap"``.
    """
    return (current() or eager).at(a, indices, boundary, fill)


def loop(n: Any, fn: IndexFunction, *state: Any) -> tuple[Any, ...]:
    """Run `state = fn(i, *state)` for i = 0 … n-1, and return the state, a tuple."""
    final: tuple[Any, ...] = (current() or eager).loop(n, fn, *state)
    return final


def while_loop(cond: IndexFunction, body: IndexFunction, *state: Any) -> tuple[Any, ...]:
    """Run `state = body(*state)` while `cond(*state)` holds, and return the state, a tuple."""
    final: tuple[Any, ...] = (current() or eager).while_loop(cond, body, *state)
    return final
