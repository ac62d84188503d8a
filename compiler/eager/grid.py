"""The grid over which index functions are being evaluated: extents in, index arrays out.

Reductions inside an index function add their own axes *before* the axes of the grid, where NumPy's
broadcasting lines them up with everything that was computed outside of them.
"""

from __future__ import annotations

import math
import operator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.ir.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_GRID: ContextVar[tuple[int, ...] | None] = ContextVar("tilewright_eager_grid", default=None)


def enclosing_grid() -> tuple[int, ...] | None:
    """The shape of the grid that surrounds the running index function; None outside of all."""
    return _GRID.get()


@contextmanager
def over_grid(shape: tuple[int, ...]) -> Iterator[None]:
    """Index functions called in the body are evaluated over all of `shape` at once."""
    token = _GRID.set(shape)
    try:
        yield
    finally:
        _GRID.reset(token)


def normalise_extents(extents: Any) -> tuple[int, ...]:
    """An int or a sequence of ints as a tuple, none of them negative."""
    try:
        items = tuple(extents) if np.iterable(extents) else (extents,)
        shape = tuple(map(operator.index, items))
    except TypeError as error:
        raise DTypeError(f"extents must be integers, but are {extents!r}") from error
    if any(extent < 0 for extent in shape):
        raise ShapeError(f"extents must not be negative, but are {shape}")
    return shape


def grid_indices(shape: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """The values of one index variable per axis of `shape`, broadcastable to it."""
    return list(np.indices(shape, dtype=np.int64, sparse=True))


def chunk_indices(
    extents: tuple[int, ...], start: int, stop: int, rank: int
) -> list[NDArray[np.int64]]:
    """Those of points `start` to `stop` of `extents`, counted in row-major order.

    They lie along one axis that precedes the `rank` axes of the enclosing grid.
    """
    flat = np.arange(start, stop, dtype=np.int64)
    # An empty box has no points to unravel, but the index function must still be evaluated once,
    # on empty index arrays, to learn its dtype.
    axes = np.unravel_index(flat, extents) if math.prod(extents) else [flat] * len(extents)
    trailing = (1,) * rank
    return [axis.reshape(-1, *trailing) for axis in axes]


def checked_rank(value: Any, rank: int) -> NDArray[Any]:
    """What an index function returned, as an array of at most the rank of its grid."""
    array: NDArray[Any] = np.asarray(value)
    if array.ndim > rank:
        raise ShapeError(
            f"an index function must return one number, but returned {array.ndim} axes for a "
            f"grid of {rank}: shape {array.shape}",
            help="index every axis of each array, and reduce with tw.sum or the like",
        )
    return array
