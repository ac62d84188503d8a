"""NumPy's functions that call a function of the user's again and again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import active, as_array, as_axis, as_int
from tilewright.ir.errors import LimitError, UnsupportedError

_MOST_CALLS: Final = 1024


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """One call for all lines together, if the function allows it; else a call for each line."""
    array = as_array(arr)
    where = as_axis(axis, array.rank)
    lines = dispatch(np.moveaxis, (array, where, -1), {})

    def call(line: Any) -> Any:
        return as_array(func1d(line, *args, **kwargs))

    made, rank = _for_all_lines(lines, call)
    if made is None:
        made, rank = _line_by_line(lines, call)
    outer = array.rank - 1
    order = [*range(where), *range(outer, outer + rank), *range(where, outer)]
    return dispatch(np.transpose, (made, order), {})


def _for_all_lines(lines: Any, call: Callable[[Any], Any]) -> tuple[Any, int]:
    """The results with the lines' axes first, and their rank; None if it cannot be done so.

    The function sees a line at index variables. Functions that need whole arrays refuse that.
    """
    tracer = active()
    if tracer.scopes or lines.rank == 1:
        return None, 0
    axes = tracer.axes(lines.sizes)
    outer, line = axes[:-1], axes[-1:]
    before, refused = len(tracer.frame.checks), len(tracer.refusals)
    try:
        with tracer.scope(outer):
            made = call(tracer.value(line, lines.element(axes), "line", lines.sizes[-1:]))
            inner = tracer.axes(made.sizes)
            body = made.element(inner)
    except UnsupportedError:
        del tracer.frame.checks[before:]
        del tracer.refusals[refused:]
        return None, 0
    sizes = (*lines.sizes[:-1], *made.sizes)
    return tracer.value((*outer, *inner), body, "np.apply_along_axis", sizes), made.rank


def _line_by_line(lines: Any, call: Callable[[Any], Any]) -> tuple[Any, int]:
    """The same by a call for each line."""
    shape = tuple(as_int(s, "the number of lines") for s in lines.shape[:-1])
    places = list(itertools.product(*map(range, shape)))
    if len(places) > _MOST_CALLS:
        raise failure(
            LimitError,
            f"np.apply_along_axis would call the function {len(places)} times, which is unrolled;"
            f" the limit is {_MOST_CALLS}",
            help="call functions that take an axis on the whole array",
        )
    made = [call(lines[place] if place else lines) for place in places]
    rank = made[0].rank
    stacked = dispatch(np.stack, (made,), {})
    return dispatch(np.reshape, (stacked, (*shape, *made[0].shape)), {}), rank


@implements(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    result = as_array(a)
    listed = axes if isinstance(axes, (list, tuple)) else [axes]
    for axis in [as_axis(x, result.rank) for x in listed]:
        made = as_array(func(result, axis))
        missing = isinstance(made, Handle) and made.rank < result.rank
        result = dispatch(np.expand_dims, (made, axis), {}) if missing else made
    return result
