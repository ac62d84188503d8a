"""Whether an index function, evaluated over a grid at once, gave what it gives point by point.

An index function is written for one element. Where it uses a whole array, as in ``(a * i).sum()``,
NumPy takes the axes of that array for axes of the grid if their lengths happen to fit, and answers
another question without a word. So a few points are evaluated alone, where nothing can be taken
for the grid, and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir.errors import ShapeError

Array = NDArray[Any]
Evaluate = Callable[[Sequence[Array]], Array]
_CLOSE = 1e-6  # closer than this is rounding: NumPy adds and evaluates in another order


def check_points(evaluate: Evaluate, indices: Sequence[Array], value: Array) -> None:
    """Raise `ShapeError` if `value`, that of `evaluate` on the grid of `indices`, is another at one
    of some points."""
    shape = np.broadcast_shapes(*(i.shape for i in indices))
    for point in _points(shape):
        here = tuple(np.broadcast_to(i, shape)[point] for i in indices)
        alone = evaluate([np.full((1,) * len(shape), h) for h in here])
        if alone.size != 1:
            raise _error(here)
        found = np.broadcast_to(value, shape)[point]
        if _same(alone.reshape(()), found):
            continue
        # Rounding, or other points? With all points the same, only the former is left.
        again = evaluate([np.full(i.shape, h) for i, h in zip(indices, here, strict=True)])
        if not np.array_equal(np.broadcast_to(again, shape)[point], found, equal_nan=True):
            raise _error(here)


def _points(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The last one, and one in the middle."""
    for fraction in (1, 2):
        yield tuple((n - 1) // fraction for n in shape)


def _same(a: Array, b: Array) -> bool:
    if a.dtype.kind in "fc":
        return bool(np.isclose(a, b, rtol=_CLOSE, atol=0, equal_nan=True))
    return bool(a == b)


def _error(point: Sequence[Any]) -> ShapeError:
    shown = ", ".join(str(p) for p in point)
    return ShapeError(
        f"the value of an index function at ({shown}) is another when all points are evaluated at"
        " once: it uses an array as a whole, whose axes NumPy takes for those of the grid",
        help="index every axis of each array and reduce with tw.sum or the like, or use the array"
        " as a whole before tw.compute; a compiled kernel takes both",
    )
