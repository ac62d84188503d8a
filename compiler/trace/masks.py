"""``x[mask]`` and ``x[mask] = value`` where the mask is data, alone or beside ints and slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.compiler.trace.dispatch import dispatch
from tilewright.compiler.trace.failures import failure
from tilewright.compiler.trace.handles import Handle, show_sizes
from tilewright.compiler.trace.memory import detached
from tilewright.compiler.trace.operands import active, as_array, is_number, truth
from tilewright.compiler.trace.selections import (
    MaskPositions,
    Selection,
    refusal,
    same_choice,
    same_mask,
)
from tilewright.ir import build
from tilewright.ir.analysis.size_proofs import same_size
from tilewright.ir.dtypes import BOOL, I64
from tilewright.ir.errors import ShapeError, TraceError
from tilewright.ir.graph import Graph, Input

Seen = Callable[[list[Any]], Any]


def known_mask(mask: Handle) -> np.ndarray | None:
    """The elements of a mask that is made of shapes and constants only."""
    known = mask.known()
    if known is not None or any(not isinstance(s, int) for s in mask.sizes):
        return known
    tracer = active()
    if tracer.scoped or tracer.looped:
        return None
    graph = Graph("mask", (), (tracer.tensor(mask),))
    if any(isinstance(n, Input) for n in graph.nodes()):
        return None
    from tilewright.ir.interpret.graph import run_graph  # seldom needed, and takes time to import

    made: np.ndarray = run_graph(graph, [])[0]
    return made


def positions(a: Any) -> tuple[Any, ...]:
    """``np.nonzero(a)``: for each axis the positions, as selections from all positions."""
    array = as_array(a)
    tracer = active()
    mask = detached(array if is_mask(array) else as_array(array != 0))
    loc = tracer.here()
    sizes = mask.sizes
    made = []
    for number in range(mask.rank):
        axes = tracer.axes(sizes)
        whole = tracer.value(axes, build.cast(axes[number], I64), "np.nonzero", sizes)
        made.append(MaskPositions(whole, mask, number, loc))
    return tuple(made)


def mask_of_positions(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    """An index in which all the positions of a mask, in order, are the mask itself again."""
    for start, item in enumerate(raw):
        if isinstance(item, MaskPositions) and not item.number:
            group = raw[start : start + item.mask.rank]
            if len(group) == item.mask.rank and all(
                isinstance(p, MaskPositions) and p.number == n and same_mask(p.mask, item.mask)
                for n, p in enumerate(group)
            ):
                rest = mask_of_positions(raw[start + len(group) :])
                return (*raw[:start], item.mask, *rest)
    return raw


def gather_selected(array: Any, raw: tuple[Any, ...]) -> Selection:
    """``array[s, t]`` for selections by one mask: gathered everywhere, chosen by the mask."""
    first = next(i for i in raw if isinstance(i, Selection))
    count = sum(isinstance(i, Selection) for i in raw)
    fits = all(
        isinstance(i, Selection) and i.ndim == 1 and same_choice(first, i) and not is_mask(i.whole)
        for i in raw[:count]
    )
    if not fits or not all(isinstance(i, slice) for i in raw[count:]):
        raise refusal(first, "this index with it")
    # Where the mask is False there may be anything, also what is no position.
    inner = [dispatch(np.where, (first.mask, i.whole, 0), {}) for i in raw[:count]]
    return first.with_whole(array[(*inner, *raw[count:])])


def is_mask(item: Any) -> bool:
    """Whether an item of an index is an array of bools."""
    return isinstance(item, Handle) and item.element_type is BOOL


def select(items: Sequence[Any], seen: Seen) -> Selection:
    """``array[items]``, where `seen` gives the view of the array for a basic index."""
    whole, mask, axis = _located(items, seen)
    advanced = [n for n, i in enumerate(items) if isinstance(i, (int, Handle))]
    if advanced != list(range(advanced[0], advanced[-1] + 1)) or not mask.rank:
        raise refusal(Selection(whole, mask, axis, active().here()), "this index with a mask")
    tracer = active()
    return Selection(detached(whole), detached(mask), axis, tracer.here())


def store_selected(
    items: Sequence[Any], value: Any, seen: Seen, fitted: Callable[..., Any]
) -> None:
    """``array[items] = value``: each element is the value's or the old one."""
    whole, mask, axis = _located(items, seen)
    sizes = whole.sizes
    if isinstance(value, Selection):
        if value.axis != axis or not same_mask(value.mask, mask):
            raise refusal(value, "assigning it through another mask")
        value = value.whole
        _check_rest(value, sizes)
    elif not is_number(value):
        value = _without_count(as_array(value), sizes[axis + mask.rank :])
    axes = active().axes(sizes)
    here = truth(mask.element(axes[axis : axis + mask.rank]))
    new = fitted(value, whole.element_type, sizes, axes)
    body = build.select(here, new, whole.element(axes))
    whole.overwrite(active().finish(axes, body, "masked assignment"))


def _located(items: Sequence[Any], seen: Seen) -> tuple[Any, Handle, int]:
    """The view that the other items give, the mask, and at which axis of the view it begins."""
    at = next(n for n, i in enumerate(items) if is_mask(i))
    others = [*items[:at], *items[at + 1 :]]
    if any(isinstance(i, Handle) and (i.rank or is_mask(i)) for i in others):
        raise failure(
            TraceError,
            "a boolean mask can be used together with slices and ints, but not with other arrays",
            help="use x[...] = np.where(mask, value, x)",
        )
    mask = items[at]
    whole = seen([*items[:at], *[slice(None)] * mask.rank, *items[at + 1 :]])
    axis = sum(1 for i in items[:at] if i is None or isinstance(i, slice))
    covered = whole.sizes[axis : axis + mask.rank]
    if not all(same_size(a, b) for a, b in zip(mask.sizes, covered, strict=True)):
        raise failure(
            ShapeError,
            f"a mask of shape {show_sizes(mask.sizes)} does not fit axes of shape "
            f"{show_sizes(covered)}",
        )
    return whole, mask, axis


def _check_rest(value: Handle, sizes: Sequence[Any]) -> None:
    same_rank = value.rank == len(sizes)
    if not same_rank or not all(map(same_size, value.sizes, sizes)):
        raise failure(
            ShapeError,
            f"cannot assign elements of shape {show_sizes(value.sizes)} to {show_sizes(sizes)}",
        )


def _without_count(source: Any, rest: Sequence[Any]) -> Any:
    """An array that is the same for all elements that the mask chooses."""
    if source.rank <= len(rest):
        return source
    if source.rank == len(rest) + 1 and source.sizes[0] == 1:
        return as_array(source[0])
    raise failure(
        TraceError,
        "an array assigned through a boolean mask is matched to the mask's True elements, "
        "whose number depends on data",
        help="use x[...] = np.where(mask, values, x) with values of the shape of x",
    )
