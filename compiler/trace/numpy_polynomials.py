"""Polynomials by their coefficients, highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.numpy_joining import concatenate
from tilewright.compiler.trace.operands import active, as_array, as_int, cast_to
from tilewright.ir.dtypes import F64
from tilewright.ir.errors import ShapeError, UnsupportedError


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """By Horner's rule."""
    coefficients = as_array(p)
    result: Any = dispatch(np.zeros_like, (as_array(x),), {})
    for coefficient in coefficients:
        result = result * x + coefficient
    return result


def _coefficients(p: Any) -> Any:
    made = as_array(p)
    return made[None] if not made.rank else made


def _padded(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Both with as many coefficients as the longer one."""
    pair = [_coefficients(a1), _coefficients(a2)]
    longest = max(len(p) for p in pair)
    first, second = (
        concatenate([np.zeros(longest - len(p), p.dtype), p]) if len(p) < longest else p
        for p in pair
    )
    return first, second


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    return ufuncs.call(np.add, _padded(a1, a2))


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    return ufuncs.call(np.subtract, _padded(a1, a2))


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """NumPy drops leading zeros first; here only those that are known while tracing."""
    return dispatch(np.convolve, (_without_zeros(a1), _without_zeros(a2)), {})


def _without_zeros(p: Any) -> Any:
    made = _coefficients(p)
    known = made.known()
    return made if known is None else as_array(np.poly1d(known).coeffs)


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    result = _coefficients(p)
    for _ in range(_order(m, "the order of np.polyder")):
        powers = np.arange(len(result) - 1, 0, -1)
        result = result[:-1] * as_array(powers)
    return result


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    result = _coefficients(p)
    count = _order(m, "the order of np.polyint")
    constants = [0.0] if k is None else list(as_array(k)) if np.ndim(k) else [k]
    if len(constants) == 1:
        constants *= count
    if len(constants) < count:
        raise failure(ShapeError, f"np.polyint needs one constant, or {count}")
    for constant in constants[:count]:
        powers = as_array(np.arange(len(result), 0, -1))
        result = concatenate([result / powers, as_array([constant])])
    return result


def _order(value: Any, label: str) -> int:
    count = as_int(value, label)
    if count < 0:
        raise failure(ShapeError, f"{label} is {count}, which is negative")
    return count


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these zeros."""
    zeros = as_array(seq_of_zeros)
    if zeros.rank != 1:
        raise failure(UnsupportedError, "np.poly takes zeros, not the matrix that has them")
    zeros = zeros if zeros.element_type.is_float else cast_to(zeros, F64)
    one = active().known(np.ones(1, zeros.dtype))
    result = one
    for zero in zeros:
        factor = concatenate([one, as_array(-zero)[None]])
        result = dispatch(np.convolve, (result, factor), {})
    return result


@implements(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False) -> Any:
    """Least squares; where the places `x` are known, the solution is a known matrix times `y`."""
    order = _order(deg, "the degree of np.polyfit") + 1
    points, values = cast_to(as_array(x), F64), cast_to(as_array(y), F64)
    if points.rank != 1 or values.rank not in (1, 2) or values.sizes[0] != points.sizes[0]:
        raise failure(ShapeError, "np.polyfit takes x of one dimension, and as many y")
    if full:
        raise failure(UnsupportedError, "np.polyfit with full=True is not supported")
    places = points.known()
    if places is not None:
        matrix = np.vander(places, order)
        scale = np.sqrt((matrix * matrix).sum(axis=0))
        limit = len(places) * np.finfo(np.float64).eps if rcond is None else rcond
        solver = np.linalg.pinv(matrix / scale, limit) / scale[:, None]
        return dispatch(np.matmul, (as_array(solver), values), {})
    columns = dispatch(np.vander, (points, order), {})
    squares = dispatch(np.sum, (columns * columns,), {"axis": 0})
    scale = ufuncs.call(np.sqrt, (squares,))
    columns = columns / scale
    product = dispatch(np.matmul, (columns.T, columns), {})
    right = dispatch(np.matmul, (columns.T, values), {})
    solution = dispatch(np.linalg.solve, (product, right), {})
    return solution / (scale if values.rank == 1 else scale[:, None])
