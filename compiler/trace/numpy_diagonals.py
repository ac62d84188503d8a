"""Triangles and diagonals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import positions
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.indexing import (
    broadcast_view,
)
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    as_int,
    as_number,
    as_size,
)
from tilewright.compiler.trace.views import AxisMap, along, fixed
from tilewright.ir import build, ops
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Size


def _triangle(keep_lower: bool, label: str) -> Callable[..., Any]:
    def run(m: Any, k: Any = 0) -> Any:
        array = as_array(m)
        if array.rank == 1:
            array = broadcast_view(array, (array.sizes[0], array.sizes[0]))
        offset = build.index(as_int(k, "the diagonal"))
        axes = active().axes(array.sizes)
        reach = build.add(axes[-2], offset)
        test = build.apply(ops.GE if keep_lower else ops.LE, reach, axes[-1])
        zero = build.zero(array.element_type)
        body = build.select(test, array.element(axes), zero)
        return active().value(axes, body, label, array.sizes)

    return run


implements(np.tril)(_triangle(True, "np.tril"))
implements(np.triu)(_triangle(False, "np.triu"))


def diagonal_view(array: Any, offset: int, axis1: int, axis2: int) -> Any:
    """The elements ``[i, i + offset]`` of two axes as the last axis of a view."""
    first, second = as_axis(axis1, array.rank), as_axis(axis2, array.rank)
    if first == second:
        raise failure(ShapeError, "axis1 and axis2 of a diagonal cannot be the same")
    rows, columns = as_number(array.sizes[first]), as_number(array.sizes[second])
    down, right = max(-offset, 0), max(offset, 0)
    length = _diagonal_length(rows, columns, down, right)
    kept = [n for n in range(array.rank) if n not in (first, second)]
    inner = [fixed(0)] * array.rank
    for new, old in enumerate(kept):
        inner[old] = along(new)
    inner[first] = AxisMap(down, ((len(kept), 1),))
    inner[second] = AxisMap(right, ((len(kept), 1),))
    return array.viewed(tuple(inner), (*(array.sizes[o] for o in kept), length))


def main_diagonal(array: Any) -> Any:
    """The elements ``[i, i, …, i]`` as a view; more than two axes must be of the same length."""
    if array.rank < 2:
        raise failure(ShapeError, "a diagonal needs an array of at least two dimensions")
    if array.rank == 2:
        return diagonal_view(array, 0, 0, 1)
    length = array.sizes[0]
    if not all(same_size(size, length) for size in array.sizes):
        shape = ", ".join(map(str, array.sizes))
        raise failure(ShapeError, f"the axes of ({shape}) must be of the same length")
    return array.viewed((AxisMap(0, ((0, 1),)),) * array.rank, (length,))


def wrapped_diagonal(array: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the diagonal of a matrix; below a tall one's square, and a row that is
    left out, another begins."""
    rows, columns = (
        as_int(as_number(size), "a size of a wrapped diagonal") for size in array.sizes
    )
    at = np.arange(0, rows * columns, columns + 1)
    return at // max(columns, 1), at % max(columns, 1)


def _diagonal_length(rows: Any, columns: Any, down: int, right: int) -> Size:
    from tilewright.ir.analysis.size_proofs import size_max, size_min

    return size_max(
        size_min(build.size_sub(as_size(rows), down), build.size_sub(as_size(columns), right)), 0
    )


@implements(np.diagonal, np.linalg.diagonal, always=True)
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Any:
    return diagonal_view(as_array(a), as_int(offset, "the diagonal"), axis1, axis2)


@implements(np.trace, np.linalg.trace)
def trace(
    a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None
) -> Any:
    elements = diagonal(a, offset, axis1, axis2)
    return dispatch(np.sum, (elements,), {"axis": -1, "dtype": dtype, "out": out})


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> Any:
    array = as_array(v)
    offset = as_int(k, "the diagonal")
    if array.rank == 2:
        return diagonal(array, offset)
    if array.rank != 1:
        raise failure(ShapeError, "Input must be 1- or 2-d.")
    size = build.size_add(array.sizes[0], abs(offset))
    axes = active().axes((size, size))
    on_diagonal = build.eq(build.add(axes[0], build.index(offset)), axes[1])
    place = axes[0] if offset >= 0 else axes[1]
    inside = positions.clamp(place, array.sizes[0]) if offset else place
    body = build.select(on_diagonal, array.element((inside,)), build.zero(array.element_type))
    return active().value(axes, body, "np.diag")
