"""`at` in NumPy: an array, one index per axis and a boundary rule in, the elements read out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, TraceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rule = Callable[[NDArray[np.int64], int], NDArray[np.int64]]


def at(a: Any, indices: Any, boundary: str = "proven", fill: Any = 0) -> Any:
    """`a[indices]`, with a rule for the indices that lie outside of an axis of n elements.

    ``proven``: none may (unlike in `a[i]`, where -1 is the last element); ``clamp``: the nearest
    element; ``constant``: `fill`; ``reflect``: mirrored at the outer elements, which are not
    repeated, as `np.pad` does; ``wrap``: counted modulo n.
    """
    array: NDArray[Any] = np.asarray(a)
    positions = _checked_positions(indices, array)
    if boundary == "constant":
        return _read_or_fill(array, positions, fill)
    rule = _RULES.get(boundary)
    if rule is None:
        known = ", ".join((*_RULES, "constant"))
        raise TraceError(f"unknown boundary {boundary!r}", help=f"use one of {known}")
    for axis, (position, extent) in enumerate(zip(positions, array.shape, strict=True)):
        if extent == 0 and position.size:
            raise BoundsError(f"axis {axis} of shape {array.shape} has no element to read")
    return array[tuple(rule(p, n) if n else p for p, n in zip(positions, array.shape, strict=True))]


def _checked_positions(indices: Any, array: NDArray[Any]) -> list[NDArray[np.int64]]:
    items = indices if isinstance(indices, tuple) else (indices,)
    if len(items) != array.ndim:
        raise ShapeError(f"{len(items)} indices for an array of {array.ndim} axes")
    positions = [np.asarray(item) for item in items]
    for position in positions:
        if position.dtype.kind not in "iu":
            raise DTypeError(f"an index must be an integer, but is {position.dtype}")
    return [position.astype(np.int64) for position in positions]


def _read_or_fill(array: NDArray[Any], positions: list[NDArray[np.int64]], fill: Any) -> Any:
    inside = np.True_
    for position, extent in zip(positions, array.shape, strict=True):
        inside = inside & (position >= 0) & (position < extent)
    # Without this cast a strong fill, such as np.float64(0), would widen the elements.
    filler = np.asarray(fill).astype(array.dtype)
    if array.size == 0:
        return np.broadcast_to(filler, np.shape(inside))[()]
    clamped = tuple(_clamp(p, n) for p, n in zip(positions, array.shape, strict=True))
    return np.where(inside, array[clamped], filler)[()]


def _proven(position: NDArray[np.int64], extent: int) -> NDArray[np.int64]:
    outside = position[(position < 0) | (position >= extent)]
    if outside.size:
        raise BoundsError(
            f"index {outside[0]} lies outside of an axis of {extent} elements",
            help="give a boundary: clamp, constant, reflect or wrap",
        )
    return position


def _clamp(position: NDArray[np.int64], extent: int) -> NDArray[np.int64]:
    return np.clip(position, 0, extent - 1)


def _reflect(position: NDArray[np.int64], extent: int) -> NDArray[np.int64]:
    if extent == 1:
        return np.zeros_like(position)
    last = extent - 1
    mirrored: NDArray[np.int64] = last - np.abs(last - np.remainder(position, 2 * last))
    return mirrored


def _wrap(position: NDArray[np.int64], extent: int) -> NDArray[np.int64]:
    return np.remainder(position, extent)


_RULES: dict[str, Rule] = {
    "proven": _proven,
    "clamp": _clamp,
    "reflect": _reflect,
    "wrap": _wrap,
}
