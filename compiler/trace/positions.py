"""Positions along one axis: proven inside, an error while tracing, or clamped and checked later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, show_size
from tilewright.compiler.trace.operands import active
from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.size_proofs import at_most, below, reaches, size_max, size_min
from tilewright.ir.dtypes import I64, INDEX, U64
from tilewright.ir.errors import BoundsError
from tilewright.ir.expr import Expr, Size, Var, post_order
from tilewright.ir.graph import CheckKind, Tensor
from tilewright.ir.traverse import substitute


def one(item: Any, extent: Size, axis: int) -> Size:
    """The position that an int, or a traced int of rank 0, names."""
    if isinstance(item, int):
        if isinstance(extent, int):
            if not -extent <= item < extent:
                raise _out_of_bounds(item, extent, axis)
            return item % extent
        return _constant_on_open_axis(item, extent, axis)
    return inside(as_index(item.element(())), extent, axis, ())


def many(item: Handle, axes: tuple[Var, ...], extent: Size, axis: int) -> Expr:
    """The positions that an array of ints names, at the point `axes` of the broadcast shape."""
    known = item.known()
    if known is not None and isinstance(extent, int):
        if known.size and (known.min() < -extent or known.max() >= extent):
            worst = known.min() if known.min() < -extent else known.max()
            raise _out_of_bounds(int(worst), extent, axis)
        if known.size and known.min() < 0:
            item = active().known((known % extent).astype(known.dtype))
        return build.cast(item.broadcast_element(axes), INDEX)
    return inside(as_index(item.broadcast_element(axes)), extent, axis, axes)


def as_index(value: Expr) -> Expr:
    """An integer as an index. NumPy's are signed: the largest uint64 is the last element."""
    return build.cast(build.cast(value, I64) if value.dtype is U64 else value, INDEX)


def residue(value: Expr, period: Size) -> Expr:
    """``value mod period`` as an index, for a period above 0.

    In the integers of `value`: as an index it could be too large for targets that have 32 bits.
    """
    divisor = build.cast(build.index(period), value.dtype)
    rest = build.apply(ops.MOD, value, divisor)
    if value.dtype is not U64:
        return build.cast(rest, INDEX)
    # The upper half counts from the end of all numbers, and is as far off as they are many.
    largest = build.apply(ops.MOD, build.const(U64.max, U64), divisor)
    below = build.sub(divisor, build.add(largest, build.const(1, U64)))
    turned = build.apply(ops.MOD, build.add(rest, below), divisor)
    negative = build.apply(ops.SHR, value, build.const(63, U64))
    return build.cast(build.select(build.eq(negative, build.zero(U64)), rest, turned), INDEX)


def inside(
    expr: Expr, extent: Size, axis: int, axes: tuple[Var, ...], *, wraps: bool = True
) -> Expr:
    """`expr` certainly in range; where `wraps`, negative positions count from the end.

    What cannot be proven is clamped, and a check of the extremes is added to the graph.
    """
    if extent == 0 and not _certainly_empty(axes):
        raise failure(
            BoundsError,
            f"index into axis {axis}, which has no elements",
            help="test the size first",
        )
    from_front = at_most(0, expr)
    if from_front and below(expr, extent):
        return expr
    least = build.size_sub(0, extent) if wraps else 0
    too_small = build.size_sub(build.size_sub(least, 1), expr)  # 0 or more where expr < least
    if reaches(expr, extent) or reaches(build.index(too_small), 0):
        raise failure(
            BoundsError,
            f"index {show_size(expr)} goes out of bounds for axis {axis} with size "
            f"{show_size(extent)}",
            help='give tw.at a boundary ("clamp", "constant", "reflect", "wrap"), or '
            "compute fewer elements",
        )
    position = expr if from_front or not wraps else from_end(expr, extent)
    if below(expr, extent) and at_most(least, expr):
        return position
    add_check(expr, extent, axis, wraps=wraps)
    return clamp(position, extent)


def _certainly_empty(axes: tuple[Var, ...]) -> bool:
    return any(a.extent == 0 for a in axes)


def from_end(expr: Expr, extent: Size) -> Expr:
    """Negative positions count from the end."""
    negative = build.lt(expr, build.index(0))
    return build.select(negative, build.add(expr, build.index(extent)), expr)


def clamp(expr: Expr, extent: Size) -> Expr:
    """The nearest position inside."""
    last = build.index(build.size_sub(extent, 1))
    return build.maximum(build.minimum(expr, last), build.index(0))


def add_check(
    expr: Expr, extent: Size, axis: int, *, wraps: bool, kind: CheckKind = "index"
) -> None:
    """Have the host test the extremes of `expr` over all axes that it varies along."""
    tracer = active()
    free = [
        n
        for n in post_order((expr,))
        if isinstance(n, Var) and n.extent is not None and n not in tracer.counters
    ]
    fresh = tuple(Var(v.name, v.extent) for v in free)
    body = build.cast(substitute(expr, dict(zip(free, fresh, strict=True))), I64)
    extremes: list[Tensor] = []
    for combiner in ("min", "max"):
        if fresh:
            value = tracer.reduction((), fresh, combiner, body, "bounds check")
        else:
            value = tracer.value((), body, "bounds check")
        extremes.append(tracer.tensor(value))
    tracer.check(extremes[0], extremes[1], extent, axis, wraps=wraps, kind=kind)


def require_element(points: Sequence[Expr], extent: Size, axis: int) -> None:
    """Have the host test that an axis of open size has an element, if any of `points` is read."""
    tracer = active()
    read = tuple(
        node.extent
        for node in post_order(points)
        if isinstance(node, Var) and node.extent is not None and node not in tracer.counters
    )
    if any(_is_multiple(size, extent) for size in read):
        return  # nothing is read of an empty axis
    zero = tracer.tensor(tracer.value((), build.const(0, I64), "bounds check"))
    unless_nothing = build.size_sub(1, size_min(build.product(read), 1))
    tracer.check(zero, zero, size_max(extent, unless_nothing), axis, wraps=False)


def _is_multiple(size: Size, of: Size) -> bool:
    """Whether `size` is known to be 0 where `of` is."""
    if isinstance(size, int) or isinstance(of, int):
        return False
    form = linear(size)
    return size is of or (form.terms.keys() == {of} and not form.constant)


def _constant_on_open_axis(item: int, extent: Size, axis: int) -> Size:
    """A literal position on an axis of open size."""
    depth = item + 1 if item >= 0 else -item
    position = item if item >= 0 else build.size_add(extent, item)
    if at_most(depth, extent):
        return position
    add_check(build.index(item), extent, axis, wraps=True)
    return clamp(build.index(position), extent)


def _out_of_bounds(index: int, extent: int, axis: int) -> BoundsError:
    return failure(
        BoundsError, f"index {index} is out of bounds for axis {axis} with size {extent}"
    )


def clamped_bound(bound: Size | None, extent: Size, default: Size, least: Size, most: Size) -> Size:
    """A slice bound, counted from the front and brought into ``least … most``."""
    if bound is None:
        return default
    position = bound
    if not at_most(0, bound):
        if at_most(bound, -1):
            position = build.size_add(extent, bound)
        else:
            position = from_end(build.index(bound), extent)
    return size_max(least, size_min(position, most))


def ceil_divide(length: Size, step: int) -> Size:
    """``ceil(length / step)``, at least 0."""
    length = size_max(length, 0)
    return build.size_floordiv(build.size_add(length, step - 1), step)
