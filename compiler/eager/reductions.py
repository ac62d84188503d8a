"""Reductions of index functions in NumPy: `sum prod max min argmax argmin`.

In go an index function and the extents of its reduced axes; out comes one value per point of the
enclosing grid, with the dtype that NumPy's reduction of the same name gives. The reduced axes are
walked in row-major order in chunks, so that memory grows with the result and not with the
product of result and extents; partial results combine as a tree, which bounds the rounding error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.eager.grid import (
    checked_rank,
    chunk_indices,
    enclosing_grid,
    normalise_extents,
    over_grid,
)
from tilewright.compiler.eager.pointwise import check_points
from tilewright.compiler.eager.weak import WeakArray
from tilewright.ir.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_CHUNK_ELEMENTS = 1 << 16
# NumPy adds pairwise along a contiguous axis only, which a chunk above a grid does not have.
_CHUNK_POINTS_OVER_GRID = 32


def sum(fn: Callable[..., Any], extents: Any) -> Any:
    """The sum of `fn(i, j, …)` over `extents`; 0 where they are empty."""
    return _fold(fn, extents, np.add)


def prod(fn: Callable[..., Any], extents: Any) -> Any:
    """The product of `fn(i, j, …)` over `extents`; 1 where they are empty."""
    return _fold(fn, extents, np.multiply)


def max(fn: Callable[..., Any], extents: Any) -> Any:
    """The largest `fn(i, j, …)` over `extents`; NaN if any is NaN."""
    return _fold(fn, _not_empty(extents, "max"), np.maximum)


def min(fn: Callable[..., Any], extents: Any) -> Any:
    """The smallest `fn(i, j, …)` over `extents`; NaN if any is NaN."""
    return _fold(fn, _not_empty(extents, "min"), np.minimum)


def argmax(fn: Callable[..., Any], extents: Any) -> Any:
    """Where `fn` is largest: the first such point, or the first NaN; flat, in row-major order."""
    return _fold_position(fn, _not_empty(extents, "argmax"), np.argmax, np.greater)


def argmin(fn: Callable[..., Any], extents: Any) -> Any:
    """Where `fn` is smallest: the first such point, or the first NaN; flat, in row-major order."""
    return _fold_position(fn, _not_empty(extents, "argmin"), np.argmin, np.less)


def _not_empty(extents: Any, name: str) -> tuple[int, ...]:
    shape = normalise_extents(extents)
    if math.prod(shape) == 0:
        raise ShapeError(f"{name} over the empty extents {shape} has no value")
    return shape


def _fold(fn: Callable[..., Any], extents: Any, combine: np.ufunc) -> Any:
    partials = _Tree(combine)
    narrow = False
    for _, values in _chunks(fn, normalise_extents(extents)):
        narrow = values.dtype == np.float16 and combine in (np.add, np.multiply)
        wide = np.dtype(np.float32) if narrow else None
        partials.push(np.asarray(combine.reduce(values, axis=0, dtype=wide)))
    total = partials.total()
    return (total.astype(np.float16) if narrow else total)[()]


def _fold_position(
    fn: Callable[..., Any],
    extents: tuple[int, ...],
    position_in: Callable[..., NDArray[np.intp]],
    beats: np.ufunc,
) -> Any:
    best: NDArray[Any] | None = None
    where: NDArray[Any] = np.zeros((), np.int64)
    for start, values in _chunks(fn, extents):
        position = np.asarray(position_in(values, axis=0))
        value = np.take_along_axis(values, position[np.newaxis], axis=0)[0]
        if best is None:
            best, where = value, position.astype(np.int64)
            continue
        # NaN beats every number and no NaN: `!=` with itself tells it apart in any dtype.
        better = beats(value, best) | ((value != value) & (best == best))
        best = np.where(better, value, best)
        where = np.where(better, position + start, where)
    return where[()]


def _chunks(fn: Callable[..., Any], extents: tuple[int, ...]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Consecutive runs of reduced points: the first one's number, and the values along axis 0."""
    grid = enclosing_grid() or ()
    points = math.prod(extents)
    length = _chunk_length(math.prod(grid))

    def evaluate(indices: Sequence[NDArray[Any]]) -> NDArray[Any]:
        count = indices[0].shape[0] if indices else 1
        with over_grid((count, *grid)):
            return checked_rank(fn(*map(WeakArray, indices)), 1 + len(grid))

    # The range yields 0 even for no points: the empty chunk carries the dtype.
    for start in range(0, points or 1, length):
        stop = start + length if start + length < points else points
        indices = chunk_indices(extents, start, stop, len(grid))
        value = evaluate(indices)
        # Over a grid this would cost time; and some points of the grid are evaluated alone.
        if start == 0 and stop > 1 and math.prod(grid) == 1:
            check_points(evaluate, indices, value)
        axes = (1,) * (1 + len(grid) - value.ndim) + value.shape
        yield start, np.broadcast_to(value.reshape(axes), (stop - start, *axes[1:]))


def _chunk_length(grid_points: int) -> int:
    if grid_points <= 1:
        return _CHUNK_ELEMENTS
    fitting = _CHUNK_ELEMENTS // grid_points
    return sorted((1, fitting, _CHUNK_POINTS_OVER_GRID))[1]


class _Tree:
    """Combines partial results two by two, those of equal height first, like a binary counter."""

    def __init__(self, combine: np.ufunc) -> None:
        self._combine = combine
        self._entries: list[tuple[int, NDArray[Any]]] = []

    def push(self, partial: NDArray[Any]) -> None:
        height = 0
        while self._entries and self._entries[-1][0] == height:
            partial = self._join(self._entries.pop()[1], partial)
            height += 1
        self._entries.append((height, partial))

    def total(self) -> NDArray[Any]:
        _, total = self._entries.pop()
        while self._entries:
            total = self._join(self._entries.pop()[1], total)
        return total

    def _join(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        joined: NDArray[Any] = np.asarray(self._combine(left, right))
        return joined
