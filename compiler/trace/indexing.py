"""``x[index]`` and ``x[index] = value`` by NumPy's rules.

Basic indexing gives a view. Integer arrays gather (a new array) or scatter. Positions that are
proven to be inside need no test; others are wrapped and clamped, and a `Check` has the host test
the extremes after the run. A boolean mask can be assigned through, but not read: the size of its
result would depend on data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace import positions, views
from tilewright.compiler.trace.dispatch import bare, fold, has_traced
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.fitting import converted
from tilewright.compiler.trace.handles import (
    Formula,
    Handle,
    describe,
    seen_through,
    show_sizes,
)
from tilewright.compiler.trace.masks import (
    gather_selected,
    is_mask,
    known_mask,
    mask_of_positions,
    select,
    store_selected,
)
from tilewright.compiler.trace.operands import (
    active,
    as_array,
    as_size,
    broadcast_sizes,
    is_number,
    is_symbolic,
    literal,
)
from tilewright.compiler.trace.selections import Selection, refusal
from tilewright.compiler.trace.views import AxisMap, along, fixed
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import at_most, same_size
from tilewright.ir.dtypes import BOOL, DType
from tilewright.ir.errors import BoundsError, DTypeError, ShapeError, TraceError
from tilewright.ir.expr import Expr, Size, Var


def fetch(array: Handle, index: Any) -> Any:
    """``array[index]``."""
    raw = mask_of_positions(index if isinstance(index, tuple) else (index,))
    if any(isinstance(i, Selection) for i in raw):
        return gather_selected(array, raw)
    items = _items(array, raw)
    if any(is_mask(item) for item in items):
        return select(items, lambda basic: _seen(array, basic))
    if any(_is_index_array(item) for item in items):
        return Advanced(array, items).gather()
    view, sizes = _basic(array, items)
    result = array.viewed(view, sizes)
    if any(i is Ellipsis for i in raw):
        return result.as_boxed()
    return result if sizes else _scalar(result)


def _seen(array: Handle, items: Sequence[Any]) -> Handle:
    """The view that basic indexing gives."""
    view, sizes = _basic(array, items)
    return array.viewed(view, sizes)


def _scalar(element: Handle) -> Any:
    """A NumPy scalar: the element as it is now, whatever is written to the array later.

    One of a known array is NumPy's own, with which Python can calculate.
    """
    array = element.known()
    if array is not None:
        return array[()]
    return active().wrap(Formula((), element.element(())), (), element.element_type)


def store(array: Handle, index: Any, value: Any) -> None:
    """``array[index] = value``."""
    index = mask_of_positions(index if isinstance(index, tuple) else (index,))
    items = _items(array, index)
    if any(is_mask(item) for item in items):
        store_selected(items, value, lambda basic: _seen(array, basic), _fitted)
        return
    if any(_is_index_array(item) for item in items):
        scatter(array, index, value, None)
        return
    view, sizes = _basic(array, items)
    target = array.viewed(view, sizes)
    if _store_known(target, value):
        return
    axes = active().axes(sizes)
    body = _fitted(value, target.element_type, sizes, axes)
    tracer = active()
    target.overwrite(tracer.finish(axes, body, "assignment"))


def _store_known(target: Handle, value: Any) -> bool:
    """Assign within a known array while tracing, so that its elements stay known."""
    array = target.cell.array
    if array is None or has_traced((value,)):
        return False
    numbers = np.arange(array.size).reshape(array.shape)
    places = seen_through(numbers, target.window, target.sizes)
    if places is None:
        return False
    active().refuse_unwritable(target)
    given = np.asarray(bare(value))
    changed = array.copy()
    with np.errstate(all="ignore"):
        try:
            changed.reshape(-1)[places] = np.broadcast_to(given, places.shape)
        except ValueError as error:
            raise _cannot_assign(given.shape, target.sizes) from error
    target.cell.write_known(changed)
    return True


def _cannot_assign(source: Sequence[Size], target: Sequence[Size]) -> ShapeError:
    return failure(
        ShapeError,
        f"cannot assign shape {show_sizes(source)} to shape {show_sizes(target)}",
    )


def _fitted(value: Any, dtype: DType, sizes: tuple[Size, ...], axes: tuple[Var, ...]) -> Expr:
    """The element of `value` that broadcasting assigns at `axes`."""
    if is_number(value):
        return literal(value, dtype)
    source = value if isinstance(value, Handle) else as_array(value)
    while source.rank > len(sizes) and source.sizes[0] == 1:
        source = fetch(source, 0)
        if not isinstance(source, Handle):
            source = as_array(source)
    fits = source.rank <= len(sizes) and all(
        s == 1 or same_size(s, t)
        for s, t in zip(reversed(source.sizes), reversed(sizes), strict=False)
    )
    if not fits:
        raise _cannot_assign(source.sizes, sizes)
    return converted(source, source.broadcast_element(axes), dtype)


# Parsing an index.


def _items(array: Handle, index: Any) -> list[Any]:
    """The items of an index, the ellipsis spread, one for every axis."""
    raw = list(index) if isinstance(index, tuple) else [index]
    items = [item for i in raw for item in _known_mask_as_positions(_item(i))]
    used = sum(_axes_used(i) for i in items)
    if used > array.rank:
        raise failure(
            BoundsError,
            f"too many indices: {used} for an array of shape {show_sizes(array.sizes)}",
        )
    missing = [slice(None)] * (array.rank - used)
    at = next((n for n, i in enumerate(items) if i is Ellipsis), None)
    if at is None:
        return items + missing
    if any(i is Ellipsis for i in items[at + 1 :]):
        raise failure(BoundsError, "an index can only have a single ellipsis ('...')")
    return [*items[:at], *missing, *items[at + 1 :]]


def _item(item: Any) -> Any:
    if isinstance(item, Selection):
        raise refusal(item, "assigning to the elements at these positions")
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (bool, np.bool_)):
        raise failure(TraceError, "a bool is not supported as an index", help="use 0 or 1, or None")
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, (list, np.ndarray, range)):
        item = as_array(item if not isinstance(item, list) or item else np.zeros(0, np.int64))
    if not isinstance(item, Handle):
        try:
            return item.__index__()
        except (AttributeError, TypeError):
            raise failure(
                BoundsError,
                f"an index must be an int, a slice, None, ... or an array of ints, not "
                f"{type(item).__name__}",
            ) from None
    if item.element_type.is_float:
        raise failure(
            BoundsError,
            f"arrays used as indices must be of integer or bool dtype, not {item.element_type}",
            help="convert it: i.astype(np.int64)",
        )
    if item.rank == 0 and item.element_type is not BOOL and item.known() is not None:
        return int(item.known())  # type: ignore[arg-type]
    return item


def _known_mask_as_positions(item: Any) -> list[Any]:
    """A mask that is known while tracing is the list of its positions along each of its axes."""
    known = known_mask(item) if is_mask(item) and item.rank else None
    return [item] if known is None else [active().known(n.copy()) for n in np.nonzero(known)]


def _is_index_array(item: Any) -> bool:
    return isinstance(item, Handle) and item.rank > 0


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.rank if is_mask(item) else 1


def _refuse_mask(items: Sequence[Any]) -> None:
    if any(is_mask(i) for i in items):
        raise failure(
            TraceError,
            "positions given by a boolean mask depend on data in number",
            help="assign with x[mask] += value, or np.where(mask, value, x)",
        )


def _basic(array: Handle, items: Sequence[Any]) -> tuple[views.View, tuple[Size, ...]]:
    """The view that basic indexing gives, and its shape."""
    view: list[AxisMap] = []
    sizes: list[Size] = []
    for item in items:
        if item is None:
            sizes.append(1)
            continue
        extent = array.sizes[len(view)]
        if isinstance(item, slice):
            start, step, length = slice_parts(item, extent)
            view.append(AxisMap(start, ((len(sizes), step),)))
            sizes.append(length)
        else:
            view.append(fixed(positions.one(item, extent, len(view))))
    return tuple(view), tuple(sizes)


def slice_parts(item: slice, extent: Size) -> tuple[Size, int, Size]:
    """Start, step and length of a slice along an axis."""
    step = 1 if item.step is None else as_size(item.step, "a slice's step")
    if not isinstance(step, int):
        raise failure(TraceError, "a slice's step cannot be an open dimension")
    if step == 0:
        raise failure(ShapeError, "a slice's step cannot be zero")
    start = _bound(item.start)
    stop = _bound(item.stop)
    if isinstance(extent, int) and not isinstance(start, Expr) and not isinstance(stop, Expr):
        begin, end, _ = slice(start, stop, step).indices(extent)
        return begin, step, len(range(begin, end, step))
    return _open_slice(start, stop, step, extent)


def _bound(value: Any) -> Size | None:
    if value is None:
        return None
    if isinstance(value, Handle) and value.weak and not is_symbolic(value):
        tracer = active()
        if tracer.index_variables((value.element(()),)):
            raise failure(
                TraceError,
                "a slice's bound cannot depend on an index variable, for then its length would",
                help="index one element, and reduce with tw.sum over a fixed extent",
            )
    return as_size(value, "a slice's bound")


def _open_slice(
    start: Size | None, stop: Size | None, step: int, extent: Size
) -> tuple[Size, int, Size]:
    """A slice whose bounds or axis are open dimensions: Python's rules, as expressions."""
    last = build.size_sub(extent, 1)
    if step > 0:
        first = positions.clamped_bound(start, extent, 0, 0, extent)
        end = positions.clamped_bound(stop, extent, extent, 0, extent)
        counted = build.size_sub(end, first)
        if (start is None or at_most(0, start)) and (stop is None or at_most(stop, -1)):
            # Both bounds lie on their side of the axis: where clamping moves one, nothing is left.
            # So ``x[1:]`` and ``x[:-1]`` have one size.
            counted = build.size_sub(build.size_add(extent, stop or 0), start or 0)
        length = positions.ceil_divide(counted, step)
    else:
        first = positions.clamped_bound(start, extent, last, -1, last)
        end = positions.clamped_bound(stop, extent, -1, -1, last)
        length = positions.ceil_divide(build.size_sub(first, end), -step)
    return first, step, length


class Advanced:
    """An index with integer arrays, split into NumPy's parts.

    The arrays (and ints beside them) broadcast together; the axes of their shape replace the
    indexed axes where those stand next to each other, and come first otherwise.
    """

    def __init__(self, array: Handle, items: Sequence[Any]) -> None:
        self.array = array
        self.items = items
        scalars = [i for i in items if isinstance(i, (int, Handle))]
        self.arrays = [i for i in scalars if isinstance(i, Handle) and i.rank > 0]
        self.shape = broadcast_sizes(self.arrays, "index with arrays of")
        where = [n for n, i in enumerate(items) if isinstance(i, (int, Handle))]
        adjacent = where == list(range(where[0], where[-1] + 1))
        self.first = where[0] if adjacent else 0
        self.sizes, self.slots = self._layout(adjacent)

    def _layout(self, adjacent: bool) -> tuple[tuple[Size, ...], list[Any]]:
        """The result's shape, and for every item what it reads: a slice with its result axis."""
        sizes: list[Size] = [] if adjacent and self.first else list(self.shape)
        slots: list[Any] = []
        axis = 0
        for position, item in enumerate(self.items):
            if adjacent and self.first == position and position:
                sizes.extend(self.shape)
            if item is None:
                sizes.append(1)
                slots.append(None)
                continue
            if isinstance(item, slice):
                start, step, length = slice_parts(item, self.array.sizes[axis])
                slots.append((start, step, len(sizes)))
                sizes.append(length)
            else:
                slots.append(item)
            axis += 1
        return tuple(sizes), slots

    @property
    def offset(self) -> int:
        """The result axis at which the index arrays' shape begins."""
        before = self.slots[: self.first]
        return sum(1 for s in before if s is None or isinstance(s, tuple))

    def element_indices(self, axes: tuple[Var, ...]) -> list[Expr]:
        """The index of `array` for the result's element at `axes`."""
        inner = axes[self.offset : self.offset + len(self.shape)]
        indices: list[Expr] = []
        for slot in self.slots:
            if slot is None:
                continue
            extent = self.array.sizes[len(indices)]
            if isinstance(slot, tuple):
                start, step, axis = slot
                moved = build.mul(axes[axis], build.index(step))
                indices.append(build.add(moved, build.index(start)))
            elif isinstance(slot, Handle) and slot.rank:
                indices.append(positions.many(slot, inner, extent, len(indices)))
            else:
                indices.append(build.index(positions.one(slot, extent, len(indices))))
        return indices

    def gather(self) -> Any:
        """``array[index]``."""
        known = self.array.known()
        if known is not None and all(a.known() is not None for a in self.arrays):
            return self._gather_known(known)
        tracer = active()
        axes = tracer.axes(self.sizes)
        body = self.array.element(self.element_indices(axes))
        return tracer.value(axes, body, "gather", self.sizes)

    def _gather_known(self, known: np.ndarray) -> Any:
        index = tuple(bare(i) for i in self.items)
        return fold(np.ndarray.__getitem__, (known, index), {})


def scatter(array: Handle, index: Any, value: Any, combiner: str | None) -> None:
    """``array[index] = value`` (or combined with it) where the index holds integer arrays."""
    tracer = active()
    items = _items(array, index)
    _refuse_mask(items)
    tracer.refuse_unwritable(array)
    plan = Advanced(array, items) if any(_is_index_array(i) for i in items) else None
    if plan is None:
        view, sizes = _basic(array, items)
        axes = tracer.axes(sizes)
        indices = list(views.locate(view, axes))
    else:
        sizes = plan.sizes
        axes = tracer.axes(sizes)
        indices = plan.element_indices(axes)
    if 0 in sizes:
        return
    body = _fitted(value, array.element_type, sizes, axes)
    label = "assignment" if combiner is None else f"scatter {combiner}"
    node = tracer.scatter(array, axes, indices, body, combiner, label)
    array.overwrite(node)


def transposed(array: Handle, order: Sequence[int]) -> Any:
    """The view with axes in another order."""
    inner = [along(0)] * array.rank
    for new, old in enumerate(order):
        inner[old] = along(new)
    return array.viewed(tuple(inner), tuple(array.sizes[o] for o in order))


def broadcast_view(array: Handle, sizes: Sequence[Size]) -> Any:
    """The read-only view that broadcasting makes; the sizes must fit."""
    skipped = len(sizes) - array.rank
    inner = []
    for axis, size in enumerate(array.sizes):
        target = sizes[skipped + axis]
        stretched = size == 1 and not same_size(target, 1)
        inner.append(fixed(0) if stretched else along(skipped + axis))
    view = array.viewed(tuple(inner), tuple(sizes))
    view.frozen = True
    return view


def require_integer(array: Handle, what: str) -> None:
    """Raise unless `array` can index."""
    if array.element_type.kind not in "iux":
        raise failure(DTypeError, f"{what} must be integers, not {describe(array)}")
