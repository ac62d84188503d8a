"""Contractions: matmul and its relatives, and einsum.

Each is a `Reduction` by addition of a product of two loads. Products and sums are in the result's
dtype; float16 accumulates in float32; bools combine by and/or.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace import ufuncs
from tilewright.compiler.trace.dispatch import dispatch, implements, write_out
from tilewright.compiler.trace.einsum_text import Term, from_lists, parse
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, show_sizes
from tilewright.compiler.trace.indexing import transposed
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_axis,
    as_dtype,
    cast_to,
    convert,
    origin,
    result_dtype,
)
from tilewright.compiler.trace.ufunc_rules import RULES
from tilewright.compiler.trace.views import along
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import BOOL, F16, F32, DType
from tilewright.ir.errors import DTypeError, ShapeError, UnsupportedError
from tilewright.ir.expr import Expr, Size, Var


def contract(
    operands: Sequence[Handle],
    terms: Sequence[str],
    result: str,
    label: str,
    dtype: DType | None = None,
) -> Any:
    """The sum over all letters that `result` lacks of the product of the operands.

    `terms` name the axes of each operand by letters; a size of 1 broadcasts.
    """
    wanted = dtype or result_dtype(operands)
    compute = F32 if wanted is F16 else wanted
    extents = _extents(operands, terms, label)
    summed = sorted({c for term in terms for c in term} - set(result), key="".join(terms).index)
    tracer = active()
    axes = tracer.axes([extents[c] for c in result])
    reduce_axes = tuple(Var(f"k{n}", extents[c]) for n, c in enumerate(summed))
    where = dict(zip([*result, *summed], [*axes, *reduce_axes], strict=True))
    body: Expr | None = None
    for operand, term in zip(operands, terms, strict=True):
        factor = convert(_read(operand, term, where), compute)
        body = factor if body is None else RULES[np.multiply](body, factor)
    assert body is not None
    if not summed:
        made = tracer.value(axes, body, label, [extents[c] for c in result])
    else:
        combiner = "or" if compute is BOOL else "add"
        made = tracer.reduction(axes, reduce_axes, combiner, body, label)
    return cast_to(made, wanted)


def _read(operand: Handle, term: str, where: dict[str, Var]) -> Expr:
    zero = build.index(0)
    return operand.element(
        [zero if size == 1 else where[c] for c, size in zip(term, operand.sizes, strict=True)]
    )


def _extents(operands: Sequence[Handle], terms: Sequence[str], label: str) -> dict[str, Size]:
    extents: dict[str, Size] = {}
    for operand, term in zip(operands, terms, strict=True):
        for letter, size in zip(term, operand.sizes, strict=True):
            known = extents.get(letter)
            if known is None or known == 1:
                extents[letter] = size
            elif not same_size(known, size) and size != 1:
                raise _mismatch(label, operands, known, size)
    return extents


def _mismatch(label: str, operands: Sequence[Handle], a: Size, b: Size) -> ShapeError:
    shapes = " and ".join(show_sizes(o.sizes) for o in operands)
    notes = [note for o in operands if (note := origin(o))]
    return failure(
        ShapeError,
        f"{label} cannot contract shapes {shapes}",
        notes=notes,
        help=f"sizes {show_sizes((a, b))} must be equal",
    )


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@implements(np.matmul)
def matmul(x1: Any, x2: Any, out: Any = None, dtype: Any = None) -> Any:
    left, right = as_array(x1), as_array(x2)
    if not left.sizes or not right.sizes:
        raise failure(
            ShapeError,
            f"matmul takes no scalars, but got shapes {show_sizes(left.sizes)} and "
            f"{show_sizes(right.sizes)}",
            help="use * to scale",
        )
    batch = max(left.rank, right.rank, 2) - 2
    names = _LETTERS[3 : 3 + batch]
    rows = "a" if left.rank > 1 else ""
    columns = "b" if right.rank > 1 else ""
    term_left = names[batch - max(left.rank - 2, 0) :] + rows + "c"
    term_right = names[batch - max(right.rank - 2, 0) :] + "c" + columns
    inner_left, inner_right = left.sizes[-1], right.sizes[-2 if right.rank > 1 else 0]
    if not same_size(inner_left, inner_right):
        raise _mismatch("np.matmul", (left, right), inner_left, inner_right)
    wanted = None if dtype is None else as_dtype(dtype)
    result = contract(
        (left, right), (term_left, term_right), names + rows + columns, "np.matmul", wanted
    )
    return result if out is None else write_out(result, out)


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    left, right = as_array(a), as_array(b)
    if not left.sizes or not right.sizes:
        result = ufuncs.call(np.multiply, (left, right))
    else:
        first = _LETTERS[1 : left.rank] + "a"
        rest = _LETTERS[26 : 26 + max(right.rank - 1, 0)]
        second = rest[:-1] + "a" + rest[-1:] if right.rank > 1 else "a"
        inner = right.sizes[-2 if right.rank > 1 else 0]
        if not same_size(left.sizes[-1], inner):
            raise _mismatch("np.dot", (left, right), left.sizes[-1], inner)
        result = contract((left, right), (first, second), first[:-1] + rest, "np.dot")
    return result if out is None else write_out(result, out)


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    left = dispatch(np.reshape, (as_array(a), -1), {})
    right = dispatch(np.reshape, (as_array(b), -1), {})
    return dot(left, right)


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    left, right = as_array(a), as_array(b)
    if not left.sizes or not right.sizes:
        return ufuncs.call(np.multiply, (left, right))
    first = _LETTERS[1 : left.rank] + "a"
    second = _LETTERS[26 : 26 + right.rank - 1] + "a"
    if not same_size(left.sizes[-1], right.sizes[-1]):
        raise _mismatch("np.inner", (left, right), left.sizes[-1], right.sizes[-1])
    return contract((left, right), (first, second), first[:-1] + second[:-1], "np.inner")


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, axis: Any = -1) -> Any:
    product = ufuncs.call(np.multiply, (x1, x2))
    return dispatch(np.sum, (product,), {"axis": axis, "dtype": product.dtype})


@implements(np.matvec)
def matvec(x1: Any, x2: Any) -> Any:
    return matmul(x1, as_array(x2)[..., None])[..., 0]


@implements(np.vecmat)
def vecmat(x1: Any, x2: Any) -> Any:
    return matmul(as_array(x1)[..., None, :], x2)[..., 0, :]


implements(np.linalg.matmul)(matmul)


@implements(np.outer, np.linalg.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    left = dispatch(np.reshape, (as_array(a), -1), {})
    right = dispatch(np.reshape, (as_array(b), -1), {})
    result = ufuncs.outer(np.multiply, left, right)
    return result if out is None else write_out(result, out)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    left, right = as_array(a), as_array(b)
    if isinstance(axes, int):
        left_axes: Any = list(range(left.rank - axes, left.rank))
        right_axes: Any = list(range(axes))
    else:
        left_axes, right_axes = axes
        left_axes = [left_axes] if isinstance(left_axes, int) else list(left_axes)
        right_axes = [right_axes] if isinstance(right_axes, int) else list(right_axes)
    if len(left_axes) != len(right_axes):
        raise failure(ShapeError, "tensordot needs as many axes of one array as of the other")
    first = list(_LETTERS[: left.rank])
    second = list(_LETTERS[26 : 26 + right.rank])
    for m, n in zip(left_axes, right_axes, strict=True):
        p, q = as_axis(m, left.rank), as_axis(n, right.rank)
        if not same_size(left.sizes[p], right.sizes[q]):
            raise _mismatch("np.tensordot", (left, right), left.sizes[p], right.sizes[q])
        second[q] = first[p]
    kept = [c for c in first if c not in second] + [c for c in second if c not in first]
    return contract((left, right), ("".join(first), "".join(second)), "".join(kept), "np.tensordot")


@implements(np.einsum)
def einsum(
    *operands: Any,
    out: Any = None,
    dtype: Any = None,
    order: str = "K",
    casting: str = "safe",
    optimize: Any = False,
) -> Any:
    """Two operands are one contraction; more are contracted in pairs, left to right."""
    term, arrays = _einsum_operands(operands)
    if len(arrays) == 1 and out is None and dtype is None:
        seen = _seen(arrays[0], term.inputs[0], term.output)
        if seen is not None:
            return seen
    typed = arrays if out is None else [*arrays, out]
    wanted = as_dtype(dtype) if dtype is not None else result_dtype(typed)
    terms = list(term.inputs)
    while len(arrays) > 2:
        needed = set(term.output).union(*terms[2:])
        kept = "".join(dict.fromkeys(c for c in terms[0] + terms[1] if c in needed))
        pair = contract(arrays[:2], terms[:2], kept, "np.einsum", wanted)
        arrays, terms = [pair, *arrays[2:]], [kept, *terms[2:]]
    result = contract(arrays, terms, term.output, "np.einsum", wanted)
    if out is not None:
        return write_out(result, out)
    # NumPy's optimized path ends with a tensordot, which returns an array where einsum does not.
    is_product = optimize and len(arrays) == 2 and set(terms[0]) & set(terms[1])
    return result.as_boxed() if is_product else result


def _seen(array: Any, letters: str, output: str) -> Any:
    """The view of one operand that no axis is summed of, as in NumPy; None if there is none."""
    sizes = dict(zip(letters, array.sizes, strict=True))
    if {*letters} != {*output} or not all(map(same_size, array.sizes, [sizes[c] for c in letters])):
        return None
    view = tuple(along(output.index(c)) for c in letters)
    return array.viewed(view, tuple(sizes[c] for c in output))


def _einsum_operands(operands: Sequence[Any]) -> tuple[Term, list[Any]]:
    text, given = (operands[0], operands[1:])
    if not isinstance(text, str):
        text, given = from_lists(operands), operands[: len(operands) // 2 * 2 : 2]
    arrays = [as_array(o) for o in given]
    return parse(text, [a.rank for a in arrays]), arrays


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    left, right = as_array(a), as_array(b)
    rank = max(left.rank, right.rank)
    left = dispatch(np.reshape, (left, (1,) * (rank - left.rank) + left.shape), {})
    right = dispatch(np.reshape, (right, (1,) * (rank - right.rank) + right.shape), {})
    spread_left = left[tuple(i for _ in range(rank) for i in (slice(None), None))]
    spread_right = right[tuple(i for _ in range(rank) for i in (None, slice(None)))]
    shape = tuple(m * n for m, n in zip(left.shape, right.shape, strict=True))
    return dispatch(np.reshape, (ufuncs.call(np.multiply, (spread_left, spread_right)), shape), {})


@implements(np.cross, np.linalg.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    left = dispatch(np.moveaxis, (as_array(a), axisa, -1), {})
    right = dispatch(np.moveaxis, (as_array(b), axisb, -1), {})
    sizes = (left.shape[-1], right.shape[-1])
    if not {*sizes} <= {2, 3}:
        raise failure(ShapeError, "both vectors of a cross product must have 2 or 3 elements")
    a0, a1, b0, b1 = (v[..., n] for v in (left, right) for n in range(2))
    last = a0 * b1 - a1 * b0
    if sizes == (2, 2):
        return last if last.sizes else last.as_boxed()
    zero = last.dtype.type(0)
    a2, b2 = (zero if v.shape[-1] == 2 else v[..., 2] for v in (left, right))
    return dispatch(np.stack, ([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, last],), {"axis": axisc})


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    array = as_array(x)
    if not array.element_type.is_float:
        array = cast_to(array, as_dtype(np.float64))
    rank = array.rank if axis is None else len(axis) if isinstance(axis, (tuple, list)) else 1
    keywords = {"axis": axis, "keepdims": keepdims}
    magnitude = ufuncs.call(np.absolute, (array,))
    if ord is None or (ord == 2 and rank == 1) or (ord in ("fro", "f") and rank == 2):
        return ufuncs.call(np.sqrt, (dispatch(np.sum, (array * array,), keywords),))
    if rank == 1:
        return _vector_norm(magnitude, ord, keywords)
    rows = {1: (0, np.max), -1: (0, np.min), np.inf: (1, np.max), -np.inf: (1, np.min)}
    if rank == 2 and ord in rows:
        summed, pick = rows[ord]
        pair = [as_axis(a, array.rank) for a in ((0, 1) if axis is None else axis)]
        total = dispatch(np.sum, (magnitude,), {"axis": pair[summed], "keepdims": True})
        found = dispatch(pick, (total,), {"axis": pair[1 - summed], "keepdims": True})
        return found if keepdims else dispatch(np.max, (found,), {"axis": tuple(pair)})
    raise failure(
        UnsupportedError,
        f"np.linalg.norm with ord={ord!r} of {rank} dimensions is not supported",
        help="it needs singular values; compute it outside of the kernel",
    )


def _vector_norm(magnitude: Any, ord: Any, keywords: dict[str, Any]) -> Any:
    if ord == np.inf:
        return dispatch(np.max, (magnitude,), keywords)
    if ord == -np.inf:
        return dispatch(np.min, (magnitude,), keywords)
    if ord == 0:
        nonzero = cast_to(magnitude != 0, magnitude.element_type)
        return dispatch(np.sum, (nonzero,), keywords)
    if ord == 1:
        return dispatch(np.sum, (magnitude,), keywords)
    return dispatch(np.sum, (magnitude**ord,), keywords) ** (1.0 / ord)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    array = as_array(x)
    if ord == 2:
        return norm(array, None, axis, keepdims)
    if not array.element_type.is_float:
        array = cast_to(array, as_dtype(np.float64))
    magnitude = ufuncs.call(np.absolute, (array,))
    return _vector_norm(magnitude, ord, {"axis": axis, "keepdims": keepdims})


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, None if ord == "fro" else ord, (-2, -1), keepdims)


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    result = as_array(arrays[0])
    for array in arrays[1:]:
        result = dot(result, array)
    return result if out is None else write_out(result, out)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    array = as_array(a)
    if n < 0:
        array, n = dispatch(np.linalg.inv, (array,), {}), -n
    if n == 0:
        eye = np.eye(array.shape[-1], dtype=array.dtype)
        return dispatch(np.broadcast_to, (eye, array.shape), {}).copy()
    result: Any = None
    square = array
    while n:
        if n & 1:
            result = square if result is None else matmul(result, square)
        n >>= 1
        square = matmul(square, square) if n else square
    return result


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """The sum over products with the reversed, zero-padded second array."""
    return correlate_at(a, as_array(v)[::-1], mode, "np.convolve")


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    return correlate_at(a, v, mode, "np.correlate")


def correlate_at(a: Any, v: Any, mode: str, label: str) -> Any:
    left, right = as_array(a), as_array(v)
    if left.rank != 1 or right.rank != 1:
        raise failure(ShapeError, f"{label} takes arrays of one dimension")
    n, m = left.shape[0], right.shape[0]
    if not isinstance(n, int) or not isinstance(m, int):
        raise failure(UnsupportedError, f"{label} of open dimensions is not supported")
    flipped = m > n
    if flipped:  # NumPy slides the shorter one, and turns the answer around
        left, right, n, m = right[::-1], left[::-1], m, n
    half = (m // 2, (m - 1) // 2)
    if flipped and label == "np.correlate":
        half = half[::-1]
    pads = {"full": (m - 1, m - 1), "valid": (0, 0), "same": half}
    if mode not in pads:
        raise failure(DTypeError, f"mode is 'full', 'same' or 'valid', not {mode!r}")
    padded = dispatch(np.pad, (left, pads[mode]), {}) if mode != "valid" else left
    windows = dispatch(np.lib.stride_tricks.sliding_window_view, (padded, m), {})
    return contract((windows, right), ("ab", "b"), "a", label)


def matrix_transpose(array: Handle) -> Any:
    """The last two axes swapped."""
    return transposed(array, [*range(array.rank - 2), array.rank - 1, array.rank - 2])


@implements(np.matrix_transpose, np.linalg.matrix_transpose, always=True)
def matrix_transpose_of(x: Any, /) -> Any:
    array = as_array(x)
    if array.rank < 2:
        raise failure(ShapeError, "a matrix transpose needs at least two dimensions")
    return matrix_transpose(array)
