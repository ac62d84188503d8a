"""Elimination and Cholesky factors by blocks of columns: most of the work is matrix products.

In: one traced square matrix ``(n, n)``. A block of columns, lying as rows, is reduced column by
column; then all that is right of it takes one product. Rows stay where they are: a pivot is marked
as used, and the order in which rows became pivots takes the place of exchanges. Every step has one
shape and masks that grow; fusion leaves what is masked out of the loops.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch
from tilewright.compiler.trace.operands import active

_WIDTHS: Final = range(12, 21)
_WIDTHS_OF_LARGE: Final = range(28, 41)
_LARGE: Final = 500


def solve(matrix: Any, right: Any) -> tuple[Any]:
    """The solutions ``(n, m)`` of a system with several right sides."""
    size = matrix.shape[-1]
    width = _width(size)
    if more := -size % width:
        right = np.pad(right, [(0, more), (0, 0)])
    done = _eliminated(_padded(matrix, width), right, width)
    return (_substituted(done)[:size],)


def pivots(matrix: Any) -> tuple[Any, Any]:
    """The diagonal after elimination, and the sign of the order of rows."""
    size = matrix.shape[-1]
    width = _width(size)
    done = _eliminated(_padded(matrix, width), None, width)
    diagonal = np.take_along_axis(done.columns, done.pivots[..., None], -1).reshape(-1)
    order = done.pivots.reshape(-1)
    exchanged = np.count_nonzero(np.triu(order[:, None] > order, 1))
    return diagonal[:size], (1 - 2 * (exchanged % 2)).astype(matrix.dtype)


def cholesky(matrix: Any) -> tuple[Any]:
    """The lower factor of a matrix of which the lower half is read."""
    size = matrix.shape[-1]
    width = _width(size)
    return (_factor(_padded(matrix, width), width)[:size, :size],)


def _width(size: int) -> int:
    """Columns of a block; as few as may be are added to a matrix of `size` to have whole ones."""
    widths = _WIDTHS if size < _LARGE else _WIDTHS_OF_LARGE
    return min(size, min(widths, key=lambda width: (-size % width, -width)))


def _padded(matrix: Any, width: int) -> Any:
    """The matrix with rows and columns of the identity behind, up to a multiple of `width`."""
    size = matrix.shape[-1]
    more = -size % width
    if not more:
        return matrix
    wide = np.pad(matrix, (0, more))

    def element(i: Any, j: Any) -> Any:
        return np.where((i == j) & (i >= size), matrix.dtype.type(1), wide[i, j])

    return active().compute((size + more, size + more), element)


def _zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    return dispatch(np.zeros, (shape, np.dtype(dtype)), {})


class _Eliminated(NamedTuple):
    """What is left of a matrix and right sides.

    `columns` ``(blocks, width, n)`` holds in row k column k of the matrix when it was reduced.
    Its element of the row that was the pivot of column j is that of row j of the upper factor.
    `pivots` ``(blocks, width)`` has these rows, `right` ``(n, m)`` the right sides, by row.
    """

    columns: Any
    pivots: Any
    right: Any


def _eliminated(matrix: Any, right: Any | None, width: int) -> _Eliminated:
    """Gauss with the largest element of each column as its pivot. A pivot of 0 clears nothing."""
    size = matrix.shape[-1]
    blocks = size // width
    rows, numbers = np.arange(size), np.arange(blocks)

    def block(number: Any, matrix: Any, columns: Any, pivots: Any, used: Any, *right: Any) -> Any:
        panel = matrix.reshape(size, blocks, width)[:, number].mT
        panel, factors, chosen, used = _reduced(panel, used)
        chosen = np.clip(chosen, 0, size - 1)
        # Rows become what they were less `mixed` of the pivots as they were.
        mixed = factors.mT @ _inverse(factors[:, chosen].mT)
        beyond = rows >= number * width + width
        matrix = np.where(beyond, matrix - mixed @ matrix[chosen], matrix)
        here = numbers == number
        columns = np.where(here[:, None, None], panel, columns)
        pivots = np.where(here[:, None], chosen, pivots)
        return matrix, columns, pivots, used, *(r - mixed @ r[chosen] for r in right)

    state = [
        matrix,
        _zeros((blocks, width, size), matrix.dtype),
        _zeros((blocks, width), np.int64),
        _zeros((size,), bool),
    ]
    if right is not None:
        state.append(right)
    _, columns, pivots, _, *sides = active().loop(blocks, block, *state)
    return _Eliminated(columns, np.clip(pivots, 0, size - 1), sides[0] if sides else None)


def _reduced(panel: Any, used: Any) -> tuple[Any, Any, Any, Any]:
    """Columns, as the rows of `panel`, reduced one by one: the panel, by how much of the pivot each
    row was lessened, the rows of the pivots, and the rows that are used now."""
    width, size = panel.shape
    rows, numbers = np.arange(size), np.arange(width)

    def column(number: Any, panel: Any, factors: Any, chosen: Any, used: Any) -> Any:
        line = panel[number]
        best = np.argmax(np.where(used, -1, np.abs(line)))
        pivot = line[best]
        used = used | (rows == best)
        factor = np.where(used, 0, line / np.where(pivot == 0, 1, pivot))
        below = (numbers > number)[:, None]
        panel = np.where(below, panel - factor * panel[:, best][:, None], panel)
        here = numbers == number
        factors = np.where(here[:, None], factor, factors)
        return panel, factors, np.where(here, best, chosen), used

    state = (_zeros(panel.shape, panel.dtype), _zeros((width,), np.int64))
    made: tuple[Any, Any, Any, Any] = active().loop(width, column, panel, *state, used)
    return made


def _inverse(lower: Any) -> Any:
    """The inverse of the identity plus what `lower` has below its diagonal."""
    width = lower.shape[-1]
    numbers = np.arange(width)

    def column(number: Any, inverse: Any) -> Any:
        below = (numbers > number)[:, None]
        return np.where(below, inverse - lower[:, number][:, None] * inverse[number], inverse)

    identity = active().known(np.eye(width, dtype=lower.dtype))
    return active().loop(width - 1, column, identity)[0]


def _substituted(done: _Eliminated) -> Any:
    """The solutions ``(n, m)`` of the eliminated systems."""
    blocks, width, size = done.columns.shape
    numbers, places = np.arange(blocks), np.arange(width)

    def block(step: Any, right: Any, solution: Any) -> Any:
        number = blocks - 1 - step
        rows, columns = done.pivots[number], done.columns[number]
        corner = columns[:, rows]

        def column(step: Any, part: Any) -> Any:
            place = width - 1 - step
            line = corner[place]
            above = (places < place)[:, None]
            return np.where(above, part - line[:, None] * (part[place] / line[place]), part)

        (part,) = active().loop(width, column, right[rows])
        part = part / np.diagonal(corner)[:, None]
        here = (numbers == number)[:, None, None]
        # Rows whose turn was earlier get something too, and are not read again.
        return right - columns.mT @ part, np.where(here, part, solution)

    shape = (blocks, width, done.right.shape[-1])
    zeros = _zeros(shape, done.right.dtype)
    _, solution = active().loop(blocks, block, done.right, zeros)
    return solution.reshape(size, shape[-1])


def _factor(matrix: Any, width: int) -> Any:
    """The lower factor, by columns that subtract their products from all that is right of them."""
    size = matrix.shape[-1]
    blocks = size // width
    rows, places, numbers = np.arange(size), np.arange(width), np.arange(blocks)

    def block(number: Any, matrix: Any, factor: Any) -> Any:
        panel = matrix.reshape(size, blocks, width)[:, number].mT
        first = number * width

        def column(place: Any, panel: Any, lines: Any) -> Any:
            line = panel[place]
            root = np.sqrt(line[first + place])
            here = np.where(rows == first + place, root, 0)
            line = np.where(rows > first + place, line / root, here)
            head = line.reshape(blocks, width)[number]
            inside = (places > place)[:, None] & (rows >= first)
            panel = np.where(inside, panel - head[:, None] * line, panel)
            return panel, np.where((places == place)[:, None], line, lines)

        zeros = _zeros((width, size), matrix.dtype)
        _, lines = active().loop(width, column, panel, zeros)
        beyond = rows >= first + width
        inside = beyond[:, None] & beyond
        matrix = np.where(inside, matrix - lines.mT @ lines, matrix)
        return matrix, np.where((numbers == number)[:, None, None], lines, factor)

    zeros = _zeros((blocks, width, size), matrix.dtype)
    _, factor = active().loop(blocks, block, matrix, zeros)
    return factor.reshape(size, size).mT
