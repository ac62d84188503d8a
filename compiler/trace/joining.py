"""Several arrays as one: the choice by position that concatenating and stacking come down to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.fitting import converted
from tilewright.compiler.trace.handles import Handle, show_sizes
from tilewright.compiler.trace.operands import (
    active,
    as_axis,
    broadcast_sizes,
    convert,
    literal,
    number_kind,
    origins,
    result_dtype,
)
from tilewright.compiler.trace.ufuncs import is_weak
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import DType
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Expr, Size

Part = Callable[[Expr], Expr]


def choose(position: Expr, starts: Sequence[Size], parts: Sequence[Part]) -> Expr:
    """``parts[k](position - starts[k])`` for the last k with ``starts[k] <= position``.

    A balanced tree of selects. A part is also evaluated where it is not chosen; whoever makes it
    clamps what it reads.
    """
    if len(parts) == 1:
        return parts[0](build.index(build.size_sub(position, starts[0])))
    half = len(parts) // 2
    earlier = choose(position, starts[:half], parts[:half])
    later = choose(position, starts[half:], parts[half:])
    return build.select(build.lt(position, build.index(starts[half])), earlier, later)


def concatenate(arrays: Sequence[Handle], axis: int, dtype: DType, label: str) -> Any:
    """Arrays one after the other along `axis`; their other sizes must be equal."""
    first = arrays[0]
    for other in arrays[1:]:
        fits = other.rank == first.rank and all(
            same_size(a, b)
            for n, (a, b) in enumerate(zip(first.sizes, other.sizes, strict=True))
            if n != axis
        )
        if not fits:
            shapes = " and ".join((show_sizes(first.sizes), show_sizes(other.sizes)))
            raise failure(
                ShapeError,
                f"cannot concatenate shapes {shapes} along axis {axis}",
                notes=origins(first, other),
                help="all other axes must be equal",
            )
    kept = [a for a in arrays if not (isinstance(a.sizes[axis], int) and a.sizes[axis] == 0)]
    arrays = kept or arrays[:1]
    starts: list[Size] = []
    total: Size = 0
    for array in arrays:
        starts.append(total)
        total = build.size_add(total, array.sizes[axis])
    sizes = (*first.sizes[:axis], total, *first.sizes[axis + 1 :])
    axes = active().axes(sizes)

    def part(array: Handle) -> Part:
        last = build.index(build.size_sub(array.sizes[axis], 1))

        def read(offset: Expr) -> Expr:
            inside = build.maximum(build.minimum(offset, last), build.index(0))
            if len(arrays) == 1:
                inside = offset
            indices = [*axes[:axis], inside, *axes[axis + 1 :]]
            return convert(array.element(indices), dtype)

        return read

    body = choose(axes[axis], starts, [part(a) for a in arrays])
    return active().value(axes, body, label, sizes)


def stack(arrays: Sequence[Handle], axis: int, dtype: DType, label: str) -> Any:
    """Arrays of one shape along a new axis."""
    first = arrays[0]
    for other in arrays[1:]:
        if other.rank != first.rank or not all(map(same_size, first.sizes, other.sizes)):
            raise failure(
                ShapeError,
                f"cannot stack shapes {show_sizes(first.sizes)} and {show_sizes(other.sizes)}",
                notes=origins(first, other),
                help="all shapes must be equal",
            )
    new = as_axis(axis, first.rank + 1)
    sizes = (*first.sizes[:new], len(arrays), *first.sizes[new:])
    axes = active().axes(sizes)
    rest = (*axes[:new], *axes[new + 1 :])

    def part(array: Handle) -> Part:
        return lambda _: convert(array.element(rest), dtype)

    body = choose(axes[new], list(range(len(arrays))), [part(a) for a in arrays])
    return active().value(axes, body, label, sizes)


def stack_values(values: Sequence[Any], dtype: DType | None = None) -> Any:
    """A list of arrays and numbers (weak ones too) as one array, by promotion."""
    wanted = dtype or result_dtype([_default_sample(v) for v in values])
    axes = active().axes((len(values),))
    if all(is_weak(v) or not v.sizes for v in values):

        def part(value: Any) -> Part:
            if isinstance(value, Handle):
                return lambda _: converted(value, value.element(()), wanted)
            return lambda _: literal(value, wanted)

        body = choose(axes[0], list(range(len(values))), [part(v) for v in values])
        return active().value(axes, body, "np.array")
    arrays = [v for v in values if isinstance(v, Handle) and not v.weak]
    if len(arrays) != len(values):
        raise failure(ShapeError, "a list mixes numbers and arrays of other shapes")
    broadcast_sizes(arrays, "make one array of")
    return stack(arrays, 0, wanted, "np.array")


def _default_sample(value: Any) -> Any:
    """A value for promotion: in a list, Python numbers count as NumPy's default dtypes."""
    if not is_weak(value):
        return value
    kind = bool if isinstance(value, bool) else number_kind(value)
    return np.zeros((), kind)
