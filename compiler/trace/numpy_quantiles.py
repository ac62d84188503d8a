"""Order statistics: medians, quantiles and percentiles, with NaN or without.

The elements are sorted, and each quantile lies between two neighbours. Where these lie is known
while tracing, except for quantiles that are data and where NaN, whose number is data, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, has_traced, implements, write_out
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.indexing import transposed
from tilewright.compiler.trace.numpy_sorting import sort
from tilewright.compiler.trace.operands import as_array, as_axes, cast_to
from tilewright.compiler.trace.ufuncs import is_weak
from tilewright.ir.dtypes import F64
from tilewright.ir.errors import ShapeError, UnsupportedError


def _continuous(alpha: float, beta: float) -> Callable[[int, Any], Any]:
    """The place of a quantile among n sorted elements, by Hyndman and Fan's parameters."""
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


_BETWEEN: Final[dict[str, Callable[[int, Any], Any]]] = {
    "linear": lambda n, q: (n - 1) * q,
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "interpolated_inverted_cdf": _continuous(0, 1),
    "hazen": _continuous(0.5, 0.5),
    "weibull": _continuous(0, 0),
    "median_unbiased": _continuous(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _continuous(3 / 8.0, 3 / 8.0),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
}
"""Methods that interpolate: the place between the elements."""


def _stepped(place: Any, keeps: Callable[[Any, Any], Any]) -> Any:
    """The element after `place`, or the one before it where `keeps` holds."""
    before = np.floor(place)
    return np.maximum(np.where(keeps(place - before, place), before, before + 1), 0)


_EXACT: Final[dict[str, Callable[[int, Any], Any]]] = {
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.around((n - 1) * q),
    "inverted_cdf": lambda n, q: _stepped(n * q - 1, lambda gamma, _: gamma == 0),
    "closest_observation": lambda n, q: _stepped(
        n * q - 1.5, lambda gamma, place: (gamma == 0) & (np.floor(place) % 2 == 1)
    ),
}
"""Methods that choose an element: its number."""

_WEIGHTS: Final[dict[str, Callable[[Any], Any]]] = {
    "averaged_inverted_cdf": lambda gamma: np.where(gamma == 0, 0.5, 1.0),
    "midpoint": lambda gamma: np.where(gamma == 0, 0.0, 0.5),
}


class _Rows:
    """The array with the reduced axes as one, last, and sorted; NaN is last."""

    def __init__(self, a: Any, axis: Any, label: str, *, may_be_empty: bool = False) -> None:
        array = as_array(a)
        gone = as_axes(axis, array.rank)
        kept = [n for n in range(array.rank) if n not in gone]
        self.keep_shape = tuple(1 if n in gone else s for n, s in enumerate(array.shape))
        moved = transposed(array, [*kept, *gone])
        sizes = [array.shape[n] for n in gone]
        # Of an array without elements, no size could be left for reshape to find.
        known = [n for n in sizes if isinstance(n, int)]
        total = math.prod(known) if len(known) == len(sizes) else -1
        shape = (*(array.shape[n] for n in kept), total)
        self.ordered = sort(dispatch(np.reshape, (moved, shape), {}))
        count = self.ordered.shape[-1]
        if not isinstance(count, int):
            raise failure(UnsupportedError, f"{label} over an open dimension is not supported")
        if count == 0 and not may_be_empty:
            raise failure(ShapeError, f"{label} of an empty array")
        self.count: int = count

    def element(self, number: int) -> Any:
        """One element of each row."""
        return self.ordered[(*(slice(None),) * (self.ordered.rank - 1), number)]

    @property
    def last(self) -> Any:
        return self.element(-1)

    def or_nan(self, value: Any) -> Any:
        """`value`, or NaN for rows that have one."""
        if not self.ordered.element_type.is_float or not self.count:
            return value
        missing = ufuncs.call(np.isnan, (self.last,))
        return dispatch(np.where, (missing, self.last, value), {})

    def at(self, place: Any) -> Any:
        """The element of each row at a place that is data, of the rows' shape."""
        index = cast_to(place, as_array(0).element_type)[..., None]
        return dispatch(np.take_along_axis, (self.ordered, index, -1), {})[..., 0]

    def last_number(self) -> Any:
        """The number of the last element that is no NaN, in float64; -1 where all are."""
        present = ufuncs.call(np.logical_not, (ufuncs.call(np.isnan, (self.ordered,)),))
        count = dispatch(np.count_nonzero, (present,), {"axis": -1})
        return cast_to(as_array(count), F64) - 1.0


def _between(first: Any, second: Any, weight: Any) -> Any:
    """From the nearer neighbour, as NumPy does; in the neighbours' dtype if `weight` is weak."""
    gap = ufuncs.call(np.subtract, (second, first))
    if isinstance(weight, Handle):
        near = first + gap * weight
        nearer = ufuncs.call(np.greater_equal, (weight, 0.5))
        rest = ufuncs.call(np.subtract, (1, weight))
        return dispatch(np.where, (nearer, second - gap * rest, near), {})
    return second - gap * (1 - weight) if weight >= 0.5 else first + gap * weight


def _at_known(rows: _Rows, level: Any, weak: bool, method: str) -> Any:
    """A quantile that is known while tracing."""
    if method in _EXACT:
        number = int(_EXACT[method](rows.count, level))
        return rows.or_nan(rows.element(min(number, rows.count - 1)))
    place = _BETWEEN[method](rows.count, level)
    low = int(np.clip(np.floor(place), 0, rows.count - 1))
    high = min(low + 1, rows.count - 1) if place >= 0 else low
    weight = place - np.floor(place)
    weight = type(level)(_WEIGHTS[method](weight)) if method in _WEIGHTS else weight
    first, second = rows.element(low), rows.element(high)
    return rows.or_nan(_between(first, second, float(weight) if weak else weight))


def _at_run_time(rows: _Rows, level: Any, weak: bool, *, skips_nan: bool) -> Any:
    """A quantile at a place that is data, found linearly."""
    last = rows.last_number() if skips_nan else as_array(rows.count - 1.0)
    place = last * (as_array(level) if isinstance(level, Handle) else level)
    low = ufuncs.call(np.floor, (place,))
    weight = place - low
    if weak and rows.ordered.element_type.is_float:
        weight = cast_to(weight, rows.ordered.element_type)
    spread = rows.ordered.shape[:-1]
    first, second = (
        rows.at(dispatch(np.broadcast_to, (_inside(number, last), spread), {}))
        for number in (low, low + 1)
    )
    made = _between(first, second, weight)
    return made if skips_nan else rows.or_nan(made)


def _inside(number: Any, last: Any) -> Any:
    return ufuncs.call(np.maximum, (ufuncs.call(np.minimum, (number, last)), 0.0))


def _quantiles(
    label: str, scale: int, a: Any, q: Any, axis: Any, method: str, keepdims: Any, skips_nan: bool
) -> Any:
    """The quantiles `q` in units of ``1 / scale``; their axes come first."""
    rows = _Rows(a, axis, label)
    weak = is_weak(q)
    if has_traced((q,)):
        levels, shape = _traced_levels(q, label, scale)
    else:
        known = np.asarray(as_array(q).known())
        known = np.true_divide(known, scale) if scale != 1 else known
        if not ((known >= 0) & (known <= 1)).all():
            raise failure(ShapeError, f"{label}: {q!r} must lie between 0 and {scale}")
        levels, shape = list(known.reshape(-1)), known.shape
    if method not in (*_BETWEEN, *_EXACT):
        raise failure(ShapeError, f"{label} has no method {method!r}")
    if (skips_nan or has_traced((q,))) and method != "linear":
        raise failure(UnsupportedError, f"{label} with method={method!r} of data is not supported")
    skips_nan = skips_nan and rows.ordered.element_type.is_float
    if skips_nan or has_traced((q,)):
        made = [_at_run_time(rows, level, weak, skips_nan=skips_nan) for level in levels]
    else:
        made = [_at_known(rows, level, weak, method) for level in levels]
    if keepdims and keepdims is not np._NoValue:
        made = [dispatch(np.reshape, (r, rows.keep_shape), {}) for r in made]
    if not shape:
        return made[0]
    stacked = dispatch(np.stack, (made,), {})
    return dispatch(np.reshape, (stacked, shape + as_array(made[0]).shape), {})


def _traced_levels(q: Any, label: str, scale: int) -> tuple[list[Any], tuple[int, ...]]:
    """Quantiles that are data, one by one."""
    levels = as_array(q) / scale if scale != 1 else as_array(q)
    if levels.rank > 1 or not all(isinstance(s, int) for s in levels.shape):
        raise failure(UnsupportedError, f"{label} of more than a list of quantiles")
    return (list(levels) if levels.rank else [levels]), levels.shape


def _function(name: str, scale: int, *, skips_nan: bool) -> Callable[..., Any]:
    def run(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = False,
    ) -> Any:
        made = _quantiles(name, scale, a, q, axis, method, keepdims, skips_nan)
        return made if out is None else write_out(made, out)

    return run


implements(np.quantile)(_function("np.quantile", 1, skips_nan=False))
implements(np.percentile)(_function("np.percentile", 100, skips_nan=False))
implements(np.nanquantile)(_function("np.nanquantile", 1, skips_nan=True))
implements(np.nanpercentile)(_function("np.nanpercentile", 100, skips_nan=True))


@implements(np.median)
def median(a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    rows = _Rows(a, axis, "np.median", may_be_empty=True)
    middle = rows.ordered[..., max(rows.count - 1, 0) // 2 : rows.count // 2 + 1]
    value = dispatch(np.mean, (middle,), {"axis": -1})  # of nothing NaN
    return _kept(rows, rows.or_nan(value), keepdims)


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    array = as_array(a)
    if not array.element_type.is_float:
        return median(array, axis, keepdims=keepdims)
    rows = _Rows(array, axis, "np.nanmedian")
    last = rows.last_number()
    numbers = (ufuncs.call(rounding, (last / 2.0,)) for rounding in (np.floor, np.ceil))
    pair = [rows.at(_inside(number, last)) for number in numbers]
    value = dispatch(np.mean, (dispatch(np.stack, (pair,), {"axis": -1}),), {"axis": -1})
    return _kept(rows, value, keepdims)


def _kept(rows: _Rows, value: Any, keepdims: Any) -> Any:
    if not keepdims or keepdims is np._NoValue:
        return value
    return dispatch(np.reshape, (value, rows.keep_shape), {})
