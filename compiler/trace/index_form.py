"""``tw.compute``, ``tw.sum`` and the like, ``tw.at`` under tracing.

An index function is called once, with its index variables. What it computes from them stays an
expression; a reduction inside of it becomes a node over the index variables that it uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tilewright.compiler.trace import positions
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.given_functions import call_given
from tilewright.compiler.trace.handles import Handle, describe, show_sizes
from tilewright.compiler.trace.numpy_padding import clamped, reflected, wrapped
from tilewright.compiler.trace.operands import (
    as_array,
    as_shape,
    cast_to,
    convert,
    literal,
    strong,
)
from tilewright.compiler.trace.positions import as_index
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import at_most, below, size_max
from tilewright.ir.dtypes import BOOL, F16, F32, I64, U8, U32, U64, DType
from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, TraceError
from tilewright.ir.expr import Expr, Load, Size, Var

if TYPE_CHECKING:
    from tilewright.compiler.tracer import Tracer
from tilewright.ir.graph import Tensor


def _call(tracer: Tracer, fn: Callable[..., Any], axes: tuple[Var, ...]) -> Expr:
    """The value of an index function as an expression over its index variables."""
    with tracer.scope(axes):
        form = f"one of {len(axes)} index variables, one for each axis: lambda i, …: …"
        value = as_array(call_given(fn, [tracer.weak(axis) for axis in axes], form))
        if value.rank:
            raise failure(
                ShapeError,
                f"an index function must return one number, but returned shape "
                f"{show_sizes(value.sizes)}",
                help="index every axis of each array, and reduce with tw.sum or the like",
            )
        return value.element(())


def compute(tracer: Tracer, shape: Any, fn: Callable[..., Any]) -> Any:
    """``tw.compute``: the array with ``[i, j, …] = fn(i, j, …)``."""
    if tracer.scopes:
        raise failure(
            TraceError,
            "compute cannot be called inside of an index function",
            help="call it before, and index its result",
        )
    axes = tracer.axes(as_shape(shape))
    body = _call(tracer, fn, axes)
    whole = _whole_tensor(body, axes)
    if whole is not None:
        return tracer.wrap(whole, whole.shape, whole.dtype)
    return tracer.value(axes, body, "tw.compute")


def _whole_tensor(body: Expr, axes: tuple[Var, ...]) -> Tensor | None:
    """The reduction that an index function consists of, so that it is not copied."""
    if not isinstance(body, Load) or not isinstance(body.source, Tensor):
        return None
    if body.source.label.startswith("tw.") and body.indices == axes:
        return body.source
    return None


_COMBINERS = {"sum": "add", "prod": "mul"}


def reduce(tracer: Tracer, kind: str, fn: Callable[..., Any], extents: Any) -> Any:
    """``tw.sum`` and the like: ``fn(i, j, …)`` combined over `extents`."""
    sizes = as_shape(extents)
    if kind not in _COMBINERS and 0 in sizes:
        raise failure(ShapeError, f"{kind} over the empty extents {show_sizes(sizes)} has no value")
    if kind not in _COMBINERS:
        tracer.must_not_be_empty(sizes, f"{kind} over empty extents has no value")
    names = [f"r{len(tracer.scopes)}_{n}" for n in range(len(sizes))]
    axes = tuple(Var(name, size) for name, size in zip(names, sizes, strict=True))
    body = _call(tracer, fn, axes)
    result = body.dtype
    if kind in _COMBINERS:
        accumulator, result = _accumulator(body.dtype)
        body = convert(body, accumulator)
    elif kind in ("argmax", "argmin"):
        body = build.cast(body, U8) if body.dtype is BOOL else body
        result = I64
    combiner = _COMBINERS.get(kind, kind)
    total = tracer.reduction((), axes, combiner, body, f"tw.{kind}")
    return cast_to(total, result)


def _accumulator(dtype: DType) -> tuple[DType, DType]:
    """As ``np.sum``: narrow integers in 64 bits, float16 in float32."""
    if dtype is F16:
        return F32, F16
    if dtype.is_float:
        return dtype, dtype
    wide = U64 if dtype.kind == "u" else I64
    return wide, wide


def at(tracer: Tracer, a: Any, indices: Any, boundary: str, fill: Any) -> Any:
    """``tw.at``: ``a[indices]`` with a rule for what lies outside."""
    array = as_array(a)
    items = indices if isinstance(indices, tuple) else (indices,)
    if len(items) != array.rank:
        raise failure(ShapeError, f"{len(items)} indices for an array of {array.rank} axes")
    where = [_position(item) for item in items]
    shapes = [p for p in where if p.sizes]
    from tilewright.compiler.trace.operands import broadcast_sizes

    sizes = broadcast_sizes(shapes)
    axes = tracer.axes(sizes)
    elements = [p.broadcast_element(axes) for p in where]
    points = [as_index(element) for element in elements]
    if boundary == "constant":
        body = _read_or_fill(array, points, fill)
    elif boundary in _RULES:
        for axis, size in enumerate(array.sizes):
            if size == 0:
                raise failure(
                    BoundsError,
                    f"axis {axis} of shape {show_sizes(array.sizes)} has no element to read",
                )
            elif boundary != "proven" and not at_most(1, size):
                positions.require_element(points, size, axis)
        rule = _RULES[boundary]
        if boundary in _PERIODS:
            pairs = zip(elements, points, array.sizes, strict=True)
            points = [_within_a_period(e, p, s, _PERIODS[boundary]) for e, p, s in pairs]
        body = array.element(
            [rule(p, s, n) for n, (p, s) in enumerate(zip(points, array.sizes, strict=True))]
        )
    else:
        known = ", ".join((*_RULES, "constant"))
        raise failure(TraceError, f"unknown boundary {boundary!r}", help=f"use one of {known}")
    return tracer.value(axes, body, "tw.at", sizes)


def _position(item: Any) -> Handle:
    made: Handle = item if isinstance(item, Handle) else as_array(item)
    if made.element_type.kind not in "iux":
        raise failure(DTypeError, f"an index must be an integer, but is {describe(made)}")
    return made


def _within_a_period(
    element: Expr, point: Expr, extent: Size, period: Callable[[Size], Size]
) -> Expr:
    """The position of an integer that may be too large for one, by what the rule repeats."""
    if element.dtype not in (U32, I64, U64) or (at_most(0, point) and below(point, extent)):
        return point
    return positions.residue(element, period(extent))


def _proven(position: Expr, extent: Size, axis: int) -> Expr:
    """Unlike in ``a[i]``, -1 is outside."""
    return positions.inside(position, extent, axis, (), wraps=False)


def _unless_inside(rule: Callable[[Expr, Size], Expr]) -> Callable[[Expr, Size, int], Expr]:
    """A rule is not needed where the position is proven to be inside."""

    def run(position: Expr, extent: Size, axis: int) -> Expr:
        if at_most(0, position) and below(position, extent):
            return position
        return rule(position, extent)

    return run


_PERIODS: dict[str, Callable[[Size], Size]] = {
    "wrap": lambda extent: extent,
    "reflect": lambda extent: size_max(1, build.size_mul(build.size_sub(extent, 1), 2)),
}
_RULES: dict[str, Callable[[Expr, Size, int], Expr]] = {
    "proven": _proven,
    "clamp": _unless_inside(clamped),
    "reflect": _unless_inside(reflected),
    "wrap": _unless_inside(wrapped),
}


def _read_or_fill(array: Handle, points: list[Expr], fill: Any) -> Expr:
    dtype = array.element_type
    filler = (
        literal(fill, dtype)
        if isinstance(fill, int) and dtype.kind in "iu"
        else convert(strong(as_array(fill)).element(()), dtype)
    )
    if 0 in array.sizes:
        return filler
    inside: Expr = build.TRUE
    clamped_points: list[Expr] = []
    for point, size in zip(points, array.sizes, strict=True):
        low, high = at_most(0, point), below(point, size)
        if not low:
            inside = build.logical_and(inside, build.ge(point, build.index(0)))
        if not high:
            inside = build.logical_and(inside, build.lt(point, build.index(size)))
        read = point
        if not high:
            read = build.minimum(read, build.index(build.size_sub(size, 1)))
        if not low or not (high or at_most(1, size)):  # of an empty axis, the last one is -1
            read = build.maximum(read, build.index(0))
        clamped_points.append(read)
    return build.select(inside, array.element(clamped_points), filler)
