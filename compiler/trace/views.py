"""Views as affine maps from a view's axes to the axes of the storage behind it.

Storage axis ``j`` is read at ``start_j + sum(step * view_index[axis])``. Slices, transposes,
broadcasts, diagonals and sliding windows all compose in this form, so none of them makes a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from msgspec import Struct

from tilewright.ir import build
from tilewright.ir.expr import Expr, Size


class AxisMap(Struct, frozen=True):
    """Where one axis of the storage is read: ``start + sum(step * index of axis)``."""

    start: Size
    terms: tuple[tuple[int, Size], ...]


View = tuple[AxisMap, ...]


@cache
def identity(rank: int) -> View:
    """The view of everything as it is."""
    return tuple(AxisMap(0, ((axis, 1),)) for axis in range(rank))


@cache
def along(axis: int) -> AxisMap:
    """The whole of one axis in order."""
    return AxisMap(0, ((axis, 1),))


def fixed(position: Size) -> AxisMap:
    """One position."""
    return AxisMap(position, ())


def compose(outer: View, inner: View) -> View:
    """`outer` (storage from old axes) after `inner` (old axes from new axes)."""
    return tuple(_compose_axis(axis, inner) for axis in outer)


def _compose_axis(axis: AxisMap, inner: View) -> AxisMap:
    start = axis.start
    steps: dict[int, Size] = {}
    for old_axis, step in axis.terms:
        below = inner[old_axis]
        start = build.size_add(start, build.size_mul(below.start, step))
        for new_axis, factor in below.terms:
            moved = build.size_mul(factor, step)
            known = steps.get(new_axis)
            steps[new_axis] = moved if known is None else build.size_add(known, moved)
    return AxisMap(start, tuple(steps.items()))


def locate(view: View, indices: Sequence[Expr]) -> tuple[Expr, ...]:
    """The storage's indices of the view's element at `indices`."""
    return tuple(_position(axis, indices) for axis in view)


def _position(axis: AxisMap, indices: Sequence[Expr]) -> Expr:
    if axis.start == 0 and len(axis.terms) == 1:
        view_axis, step = axis.terms[0]
        if step == 1:
            return indices[view_axis]
    total: Size = 0
    for view_axis, step in axis.terms:
        total = build.size_add(total, build.mul(indices[view_axis], build.index(step)))
    return build.index(build.size_add(total, axis.start))


class Inverse(Struct, frozen=True):
    """Which element of a view a storage element is: `indices`, where `inside` holds.

    The indices are in range even where `inside` does not hold, so that a load there is harmless.
    """

    inside: Expr
    indices: tuple[Expr, ...]


def invert(
    view: View, sizes: Sequence[Size], storage_sizes: Sequence[Size], axes: Sequence[Expr]
) -> Inverse | None:
    """The view's index of the storage element at `axes`; None if elements of the view coincide."""
    inside: Expr = build.TRUE
    found: dict[int, Expr] = {}
    for axis, extent, here in zip(view, storage_sizes, axes, strict=True):
        if len(axis.terms) > 1:
            return None
        if not axis.terms:
            inside = build.logical_and(inside, build.eq(here, build.index(axis.start)))
            continue
        view_axis, step = axis.terms[0]
        if not isinstance(step, int) or step == 0:
            return None
        position, condition = _invert_axis(axis.start, step, sizes[view_axis], extent, here)
        inside = build.logical_and(inside, condition)
        if view_axis in found:
            same = build.eq(found[view_axis], position)
            inside = build.logical_and(inside, same)
        else:
            found[view_axis] = position
    from tilewright.ir.analysis.size_proofs import same_size

    for view_axis, size in enumerate(sizes):
        if view_axis not in found:
            if not same_size(size, 1):
                return None
            found[view_axis] = build.index(0)
    return Inverse(inside, tuple(found[a] for a in range(len(sizes))))


def _invert_axis(start: Size, step: int, size: Size, extent: Size, here: Expr) -> tuple[Expr, Expr]:
    """The position along one view axis, clamped into range, and whether it is really there."""
    from tilewright.ir.analysis.size_proofs import at_most, same_size

    forwards = step > 0
    distance = build.size_sub(here, start) if forwards else build.size_sub(start, here)
    offset = build.index(distance)
    stride = build.index(abs(step))
    position = build.floordiv(offset, stride)
    condition = (
        build.TRUE if abs(step) == 1 else build.eq(build.mod(offset, stride), build.index(0))
    )
    last = build.size_sub(size, 1)
    far = build.size_sub(extent, 1)
    first_storage, last_storage = (0, far) if forwards else (far, 0)
    if not same_size(start, first_storage):
        condition = build.logical_and(condition, build.ge(offset, build.index(0)))
        position = build.maximum(position, build.index(0))
    end = build.size_add(start, build.size_mul(step, last))
    reaches_end = at_most(last_storage, end) if forwards else at_most(end, last_storage)
    if not reaches_end:
        limit = build.index(build.size_mul(size, abs(step)))
        condition = build.logical_and(condition, build.lt(offset, limit))
        position = build.minimum(position, build.index(last))
        if not at_most(1, size):  # of an empty view, the last one is -1
            position = build.maximum(position, build.index(0))
    return position, condition
