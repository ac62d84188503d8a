"""``np.pad``, and the rules by which positions outside of an axis are mapped inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.compiler.trace import positions
from tilewright.compiler.trace.dispatch import implements
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_array_or_number,
    as_axis,
    as_size,
    convert,
    is_number,
    literal,
)
from tilewright.compiler.trace.padding_by_value import (
    STATISTICS,
    pad_with_ramps,
    pad_with_statistics,
)
from tilewright.ir import build, ops
from tilewright.ir.analysis.size_proofs import at_most
from tilewright.ir.errors import ShapeError, UnsupportedError
from tilewright.ir.expr import Expr, Size

_PAD_INDEX: dict[str, Callable[[Expr, Size], Expr]] = {}


def pad_index(mode: str) -> Callable[[Callable[[Expr, Size], Expr]], Callable[[Expr, Size], Expr]]:
    """Enter the rule that maps a position outside of an axis to one inside."""

    def enter(rule: Callable[[Expr, Size], Expr]) -> Callable[[Expr, Size], Expr]:
        _PAD_INDEX[mode] = rule
        return rule

    return enter


@pad_index("edge")
def clamped(position: Expr, extent: Size) -> Expr:
    return positions.clamp(position, extent)


@pad_index("wrap")
def wrapped(position: Expr, extent: Size) -> Expr:
    return build.mod(position, build.index(extent))


@pad_index("reflect")
def reflected(position: Expr, extent: Size) -> Expr:
    """Mirrored at the outer elements, which are not repeated."""
    if extent == 1:
        return build.index(0)
    last = build.size_sub(extent, 1)
    phase = build.mod(position, build.maximum(build.index(build.size_mul(last, 2)), build.index(1)))
    distance = build.sub(phase, build.index(last))
    position = build.sub(build.index(last), _magnitude(distance))
    return position if at_most(1, extent) else build.maximum(position, build.index(0))


@pad_index("symmetric")
def mirrored(position: Expr, extent: Size) -> Expr:
    """Mirrored at the border, so that the outer elements are repeated."""
    phase = build.mod(position, build.index(build.size_mul(extent, 2)))
    turned = build.sub(build.index(build.size_sub(build.size_mul(extent, 2), 1)), phase)
    return build.minimum(phase, turned)


def _magnitude(value: Expr) -> Expr:
    return build.maximum(value, build.sub(build.index(0), value))


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    source = as_array(array)
    widths = _pairs(pad_width, source.rank, as_size)
    if mode in STATISTICS or mode == "linear_ramp":
        return _padded_by_value(source, widths, mode, kwargs)
    if mode == "empty":
        mode = "constant"
    sizes = tuple(
        build.size_add(build.size_add(size, before), after)
        for size, (before, after) in zip(source.sizes, widths, strict=True)
    )
    axes = active().axes(sizes)
    offsets = [build.sub(x, build.index(b)) for x, (b, _) in zip(axes, widths, strict=True)]
    if mode == "constant":
        body = _padded_by_constants(source, offsets, widths, kwargs.pop("constant_values", 0))
    elif mode in _PAD_INDEX:
        if kwargs.pop("reflect_type", "even") != "even":
            raise failure(UnsupportedError, 'np.pad with reflect_type="odd" is not supported')
        _refuse_empty(source, widths, mode)
        rule = _PAD_INDEX[mode]
        indices = [
            offset if width == (0, 0) else rule(offset, size)
            for offset, size, width in zip(offsets, source.sizes, widths, strict=True)
        ]
        body = source.element(indices)
    else:
        raise failure(
            UnsupportedError,
            f"np.pad with mode={mode!r} is not supported",
            help="use constant, edge, reflect, symmetric, wrap, linear_ramp, maximum, minimum, "
            "mean or median",
        )
    if kwargs:
        raise failure(UnsupportedError, f"np.pad with {', '.join(kwargs)} is not supported")
    return active().value(axes, body, "np.pad", sizes)


def _padded_by_value(
    source: Handle, widths: list[tuple[Size, Size]], mode: str, keywords: dict[str, Any]
) -> Any:
    name, default = ("end_values", 0) if mode == "linear_ramp" else ("stat_length", None)
    given = _pairs(keywords.pop(name, default), source.rank, lambda v: v)
    if keywords:
        raise failure(UnsupportedError, f"np.pad with {', '.join(keywords)} is not supported")
    _refuse_empty(source, widths, mode)
    if mode == "linear_ramp":
        return pad_with_ramps(source, widths, given)
    return pad_with_statistics(source, widths, mode, given)


def _refuse_empty(source: Handle, widths: list[tuple[Size, Size]], mode: str) -> None:
    for axis, (size, width) in enumerate(zip(source.sizes, widths, strict=True)):
        if size == 0 and width != (0, 0):
            raise failure(
                ShapeError, f"cannot extend empty axis {axis} using modes other than 'constant'"
            )


def _padded_by_constants(
    source: Handle, offsets: list[Expr], widths: list[tuple[Size, Size]], values: Any
) -> Expr:
    fills = _pairs(values, source.rank, lambda v: v)
    inside: list[tuple[Expr, Expr]] = []
    indices: list[Expr] = []
    for offset, size, (before, after) in zip(offsets, source.sizes, widths, strict=True):
        below = build.lt(offset, build.index(0)) if before != 0 else build.FALSE
        above = build.ge(offset, build.index(size)) if after != 0 else build.FALSE
        inside.append((below, above))
        clamped_offset = offset
        if after != 0:
            clamped_offset = build.minimum(offset, build.index(build.size_sub(size, 1)))
        if before != 0 or after != 0:
            clamped_offset = build.maximum(clamped_offset, build.index(0))
        indices.append(clamped_offset)
    if 0 in source.sizes:
        body: Expr = build.zero(source.element_type)
    else:
        body = source.element(indices)
    for (below, above), (low, high) in zip(inside, fills, strict=True):
        if low is high or (is_number(low) and low == high):
            outside = below if above is build.FALSE else above
            if below is not build.FALSE and above is not build.FALSE:
                outside = build.apply(ops.OR, below, above)
            body = build.select(outside, _fill(low, source), body)
        else:
            body = build.select(above, _fill(high, source), body)
            body = build.select(below, _fill(low, source), body)
    return body


def _fill(value: Any, source: Handle) -> Expr:
    dtype = source.element_type
    if is_number(value):
        return literal(int(value) if dtype.kind in "iu" else value, dtype)
    return convert(as_array_or_number(value).element(()), dtype)


def _pairs(value: Any, rank: int, convert_item: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    """NumPy's spelling of one (before, after) per axis."""
    if isinstance(value, dict):
        by_axis = {as_axis(k, rank): v for k, v in value.items()}
        value = [by_axis.get(n, 0) for n in range(rank)]
        return [_pair(v, convert_item) for v in value]
    if isinstance(value, Handle) and value.rank:
        known = value.known()
        value = known.tolist() if known is not None else value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        item = convert_item(value)
        return [(item, item)] * rank
    items = list(value)
    if items and isinstance(items[0], (list, tuple)):
        pairs = [_pair(v, convert_item) for v in items]
        if len(pairs) == 1:
            return pairs * rank
        if len(pairs) != rank:
            raise failure(ShapeError, f"{len(pairs)} pad widths for an array of rank {rank}")
        return pairs
    return [_pair(items, convert_item)] * rank


def _pair(value: Any, convert_item: Callable[[Any], Any]) -> tuple[Any, Any]:
    if isinstance(value, (list, tuple)):
        items = [convert_item(v) for v in value]
        return (items[0], items[0]) if len(items) == 1 else (items[0], items[1])
    item = convert_item(value)
    return item, item
