"""Linear systems: elimination with row exchanges, as loops over columns of whole-matrix steps.

In: square matrices, with any axes before the last two. Out: solutions, inverses, determinants and
Cholesky factors. A singular matrix gives infinities or NaN where NumPy raises `LinAlgError`: a
compiled kernel cannot raise on data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tilewright.compiler.trace import blocked_solvers, ufuncs
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, show_sizes
from tilewright.compiler.trace.operands import active, as_array, cast_to
from tilewright.ir.dtypes import F16, F64
from tilewright.ir.errors import DTypeError, ShapeError, UnsupportedError

_UNROLLED: Final = 4
_BLOCKED: Final = 25
_BLOCKED_IN_BATCH: Final = 12
"""Rows from which a matrix is taken in blocks of columns. Smaller ones of a batch go together."""

_SLOGDET: Final[Any] = type(np.linalg.slogdet(np.eye(1)))
State = tuple[Any, ...]


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    matrix, right = _square(a, "np.linalg.solve"), _float(as_array(b))
    dtype = np.result_type(matrix.dtype, right.dtype)
    matrix, right = (dispatch(np.astype, (m, dtype), {}) for m in (matrix, right))
    is_vector = right.rank == 1  # NumPy 2: only then, and not by the rank of the matrix
    if is_vector:
        right = right[:, None]
    if right.sizes[-2] != matrix.sizes[-1]:
        raise failure(
            ShapeError,
            f"np.linalg.solve cannot solve {show_sizes(matrix.sizes)} for "
            f"{show_sizes(right.sizes)}",
        )
    solution = _solved(matrix, right)
    return solution[..., 0] if is_vector else solution


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    matrix = _square(a, "np.linalg.inv")
    return _solved(matrix, active().known(np.eye(matrix.shape[-1], dtype=matrix.dtype)))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    diagonal, sign = _pivots(_square(a, "np.linalg.det"))
    return sign * dispatch(np.prod, (diagonal,), {"axis": -1})


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    diagonal, sign = _pivots(_square(a, "np.linalg.slogdet"))
    signs = dispatch(np.prod, (ufuncs.call(np.sign, (diagonal,)),), {"axis": -1})
    magnitudes = ufuncs.call(np.log, (ufuncs.call(np.absolute, (diagonal,)),))
    return _SLOGDET(sign * signs, dispatch(np.sum, (magnitudes,), {"axis": -1}))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    matrix = _square(a, "np.linalg.cholesky")
    if upper:
        matrix = dispatch(np.matrix_transpose, (matrix,), {})
    size = matrix.shape[-1]
    if _takes_blocks(matrix):
        like = dispatch(np.zeros_like, (matrix,), {})
        (factor,) = _one_by_one(blocked_solvers.cholesky, (matrix,), (like,))
        return dispatch(np.matrix_transpose, (factor,), {}) if upper else factor
    numbers = active().known(np.arange(size))

    def step(column: Any, rest: Any, factor: Any) -> State:
        at_column = ufuncs.call(np.equal, (numbers, column))
        pivot = ufuncs.call(np.sqrt, (rest[..., column, column],))[..., None]
        below = ufuncs.call(np.greater, (numbers, column))
        line = dispatch(np.where, (below, rest[..., :, column] / pivot, 0), {})
        line = dispatch(np.where, (at_column, pivot, line), {})
        rest = rest - line[..., :, None] * line[..., None, :]
        return rest, dispatch(np.where, (at_column, line[..., :, None], factor), {})

    _, factor = _steps(size, step, matrix, dispatch(np.zeros_like, (matrix,), {}))
    return dispatch(np.matrix_transpose, (factor,), {}) if upper else factor


def _square(a: Any, label: str) -> Any:
    matrix = _float(as_array(a))
    if matrix.rank < 2:
        raise failure(ShapeError, f"{label} takes matrices, not shape {show_sizes(matrix.sizes)}")
    rows, columns = matrix.sizes[-2:]
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise failure(UnsupportedError, f"{label} of matrices of open size is not supported")
    if rows != columns:
        raise failure(
            ShapeError, f"{label} takes square matrices, not shape {show_sizes(matrix.sizes)}"
        )
    return matrix


def _float(array: Any) -> Any:
    if array.element_type is F16:
        raise failure(DTypeError, "np.linalg does not take float16", help="convert to float32")
    return array if array.element_type.is_float else cast_to(array, F64)


def _steps(count: int, step: Callable[..., State], *state: Any) -> State:
    """``state = step(k, *state)`` for every k: written out where they are few, else a loop."""
    if count > _UNROLLED:
        return active().loop(count, step, *state)
    for k in range(count):
        state = step(k, *state)
    return state


def _exchanged(matrix: Handle, column: Any, numbers: Any) -> tuple[Any, Any]:
    """The order of rows that brings the largest candidate up, and whether it changes the sign."""
    values = ufuncs.call(np.absolute, (matrix[..., :, column],))  # type: ignore[index]
    open_rows = ufuncs.call(np.greater_equal, (numbers, column))
    candidates = dispatch(np.where, (open_rows, values, values.dtype.type(-1)), {})
    best = dispatch(np.argmax, (candidates,), {"axis": -1})[..., None]
    here = ufuncs.call(np.equal, (numbers, column))
    there = ufuncs.call(np.equal, (numbers, best))
    order = dispatch(np.where, (there, column, numbers), {})
    order = dispatch(np.where, (here, best, order), {})
    return order, ufuncs.call(np.not_equal, (best[..., 0], column))


def _in_order(matrix: Any, order: Any) -> Any:
    return dispatch(np.take_along_axis, (matrix, order[..., None], -2), {})


def _solved(matrix: Any, right: Any) -> Any:
    """Gauss and Jordan: every column is cleared above and below its pivot."""
    size = matrix.shape[-1]
    numbers = active().known(np.arange(size))
    batch = dispatch(np.broadcast_shapes, (matrix.shape[:-2], right.shape[:-2]), {})
    matrix = dispatch(np.broadcast_to, (matrix, (*batch, size, size)), {})
    right = dispatch(np.broadcast_to, (right, (*batch, *right.shape[-2:])), {})
    if _takes_blocks(matrix):
        like = dispatch(np.zeros_like, (right,), {})
        return _one_by_one(blocked_solvers.solve, (matrix, right), (like,))[0]

    def step(column: Any, left: Any, right: Any) -> State:
        order, _ = _exchanged(left, column, numbers)
        left, right = _in_order(left, order), _in_order(right, order)
        pivot = left[..., column, column][..., None]
        others = ufuncs.call(np.not_equal, (numbers, column))
        factor = dispatch(np.where, (others, left[..., :, column] / pivot, 0), {})[..., None]
        left = left - factor * left[..., column, :][..., None, :]
        right = right - factor * right[..., column, :][..., None, :]
        return left, right

    left, right = _steps(size, step, matrix, right)
    return right / _diagonal(left)[..., None]


def _takes_blocks(matrix: Any) -> bool:
    return bool(matrix.shape[-1] >= (_BLOCKED if matrix.rank == 2 else _BLOCKED_IN_BATCH))


def _one_by_one(function: Callable[..., State], given: State, like: State) -> State:
    """`function` of each matrix of a batch by itself, which stays in the cache meanwhile. `like`
    has the shapes of what it returns, with the axes of the batch."""
    batch = given[0].shape[:-2]
    if not batch:
        return function(*given)
    count = math.prod(batch)
    flat = tuple(g.reshape(count, *g.shape[len(batch) :]) for g in given)
    made = tuple(m.reshape(count, *m.shape[len(batch) :]) for m in like)
    numbers = np.arange(count)

    def step(number: Any, *made: Any) -> State:
        found = function(*(f[number] for f in flat))
        return tuple(
            np.where((numbers == number).reshape(-1, *(1,) * f.rank), f, m)
            for f, m in zip(found, made, strict=True)
        )

    found = active().loop(count, step, *made)
    return tuple(f.reshape(m.shape) for f, m in zip(found, like, strict=True))


def _diagonal(matrix: Any) -> Any:
    return dispatch(np.diagonal, (matrix,), {"axis1": -2, "axis2": -1})


def _pivots(matrix: Any) -> tuple[Any, Any]:
    """The diagonal after elimination, and the sign of the exchanges."""
    size = matrix.shape[-1]
    if _takes_blocks(matrix):
        like = dispatch(np.zeros, (matrix.shape[:-1], matrix.dtype), {})
        return _one_by_one(blocked_solvers.pivots, (matrix,), (like, like[..., 0]))
    numbers = active().known(np.arange(size))

    def step(column: Any, left: Any, sign: Any) -> State:
        order, moved = _exchanged(left, column, numbers)
        left = _in_order(left, order)
        pivot = left[..., column, column][..., None]
        below = ufuncs.call(np.greater, (numbers, column))
        # A pivot of 0 leaves only zeros below: the determinant is 0, and must not become NaN.
        safe = dispatch(np.where, (pivot == 0, 1, pivot), {})
        factor = dispatch(np.where, (below, left[..., :, column] / safe, 0), {})[..., None]
        left = left - factor * left[..., column, :][..., None, :]
        return left, dispatch(np.where, (moved, -sign, sign), {})

    sign = dispatch(np.ones, (matrix.shape[:-2],), {"dtype": matrix.dtype})
    left, sign = _steps(size, step, matrix, sign)
    return _diagonal(left), sign
