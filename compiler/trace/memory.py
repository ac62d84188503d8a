"""Where NumPy would copy: whether a view's elements lie so that another shape can share them.

Traced arrays have no memory. What is asked here is how the view would lie in the memory of a
C-contiguous array of its storage's shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import active
from tilewright.ir.expr import Size


def _strided(array: Handle) -> np.ndarray | None:
    """An array of the view's shape and strides; its elements must not be read."""
    base = array.cell.sizes
    if any(not isinstance(s, int) for s in (*base, *array.sizes)):
        return None
    strides = [0] * array.rank
    step = 1
    for axis in reversed(range(len(base))):
        terms = ((axis, 1),) if array.window is None else array.window[axis].terms
        for own, factor in terms:
            if not isinstance(factor, int):
                return None
            strides[own] += factor * step
        step *= max(int(base[axis]), 1)  # type: ignore[arg-type]
    shape = tuple(int(s) for s in array.sizes)  # type: ignore[arg-type]
    return np.lib.stride_tricks.as_strided(np.empty(1, np.uint8), shape, strides)


def shares_memory_as(array: Handle, sizes: tuple[Size, ...]) -> bool:
    """Whether NumPy's ``array.reshape(sizes)`` is a view (True too where sizes are open)."""
    if array.window is None:
        return True
    strided = _strided(array)
    if strided is None or any(not isinstance(s, int) for s in sizes):
        return True
    try:
        strided.shape = sizes  # type: ignore[assignment]
    except AttributeError:
        return False
    return True


def is_contiguous(array: Handle) -> bool:
    """Whether the elements lie in order without gaps (True too where sizes are open)."""
    strided = None if array.window is None else _strided(array)
    return strided is None or strided.flags.c_contiguous


def lies_by_columns(array: Handle) -> bool:
    """Whether the elements lie in Fortran's order, and not in C's too."""
    strided = None if array.window is None else _strided(array)
    return strided is not None and strided.flags.fnc


def memory_order(array: Handle) -> list[int]:
    """The axes, those first along which the elements lie furthest apart."""
    strided = None if array.window is None else _strided(array)
    axes = list(range(array.rank))
    return axes if strided is None else sorted(axes, key=lambda a: -abs(strided.strides[a]))


def detached(array: Handle) -> Any:
    """The elements as they are now, in an array of their own."""
    tracer = active()
    known = array.known()
    if known is not None:
        return tracer.known(np.array(known))
    if array.window is None:
        return tracer.wrap(array.cell.read(), array.sizes, array.element_type)
    axes = tracer.axes(array.sizes)
    return tracer.value(axes, array.element(axes), "copy", array.sizes)
