"""`compute` in NumPy: a shape and an index function in, the array of its values out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.eager.grid import (
    checked_rank,
    enclosing_grid,
    grid_indices,
    normalise_extents,
    over_grid,
)
from tilewright.compiler.eager.pointwise import check_points
from tilewright.compiler.eager.weak import WeakArray
from tilewright.ir.errors import ShapeError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


def compute(shape: Any, fn: Callable[..., Any]) -> NDArray[Any]:
    """The array `a` of this shape with `a[i, j, …] = fn(i, j, …)`."""
    extents = normalise_extents(shape)
    if enclosing_grid() is not None:
        raise TraceError(
            "compute cannot be called inside of an index function",
            help="call it before, and index its result",
        )

    def evaluate(indices: Sequence[NDArray[Any]]) -> NDArray[Any]:
        shape = np.broadcast_shapes(*(i.shape for i in indices))
        with over_grid(shape):
            return checked_rank(fn(*map(WeakArray, indices)), len(shape))

    indices = grid_indices(extents)
    value = evaluate(indices)
    result: NDArray[Any] = np.empty(extents, value.dtype)
    try:
        result[...] = value
    except ValueError as error:
        raise ShapeError(
            f"an index function returned shape {value.shape} for a grid of shape {extents}",
            help="index every axis of each array",
        ) from error
    if result.size > 1:
        check_points(evaluate, indices, result)
    return result
