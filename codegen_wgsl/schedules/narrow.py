"""Narrow results: points that fill whole words, several elements in each."""

from __future__ import annotations

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.pack_stores import elements_per_word
from tilewright.codegen_wgsl.schedules.measures import (
    EXPANDED_REDUCTION,
    LANES,
    is_aligned,
    operations_at,
)
from tilewright.ir.dtypes import F16
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, accesses, points
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.program import Nest

_MOST_IN_REST = 512  # operations of a point of which the last ones of an array have other code
_MOST_CHANNELS = 6


def fills_words(nest: Nest, axis: Var, options: WgslOptions) -> bool:
    """Whether four neighbours along `axis`, the last one, are whole words of a narrow array. What
    is left over at the end of an array can be one as well; that of each row cannot."""
    if not isinstance(axis.extent, int) or not _is_short(nest):
        return False
    if axis.extent % LANES:
        # The rest at the end has code of its own.
        written_out = sum(operations_at(s) for s in nest.stages)
        if len(nest.outer) > 1 or written_out > _MOST_IN_REST:
            return False
    return any(is_aligned(a, axis) for a in _narrow_stores(nest, options))


def cuts_words(nest: Nest, options: WgslOptions) -> bool:
    """Whether rows of narrow elements end inside of words, so that the points are better numbered
    through (`flatten_axes`)."""
    if len(nest.outer) < 2 or not _is_short(nest) or match_contraction(nest) is not None:
        return False
    if sum(operations_at(s) for s in nest.stages) > _MOST_IN_REST or are_pixels(nest, options):
        return False
    last = points((nest.outer[-1],))
    return any(last % elements_per_word(a.buffer.dtype) for a in _narrow_stores(nest, options))


def are_pixels(nest: Nest, options: WgslOptions) -> bool:
    """Whether four points of a few narrow elements each are whole words, as four pixels of three
    channels are. What is computed for a channel then has code of its own."""
    if len(nest.outer) < 2 or not _is_short(nest):
        return False
    *_, pixel, channel = nest.outer
    if points((pixel,)) % LANES or points((channel,)) > _MOST_CHANNELS:
        return False
    written_out = sum(operations_at(s) for s in nest.stages) * points((channel,))
    if channel.extent == 1 or points((channel,)) % LANES == 0 or written_out > _MOST_IN_REST:
        return False
    for store in _narrow_stores(nest, options):
        others = [c for a, c in store.form.terms.items() if a not in (pixel, channel)]
        rows = store.stride(channel) == 1 and store.stride(pixel) == channel.extent
        if rows and not any(c % LANES for c in (*others, store.form.constant)):
            return True
    return False


def pixels(nest: Nest) -> tuple[int, int]:
    return LANES, points(nest.outer[-1:])


def _is_short(nest: Nest) -> bool:
    """Whether each point is soon computed, so that there need not be an invocation for each."""
    if any(s.axes for s in nest.stages):
        return False
    return all(points(s.reduce_axes) <= EXPANDED_REDUCTION for s in nest.stages if s.reduce_axes)


def _narrow_stores(nest: Nest, options: WgslOptions) -> list[Access]:
    stores = (a for a in accesses(nest) if a.is_store)
    narrow = (a for a in stores if elements_per_word(a.buffer.dtype) > 1)
    return [a for a in narrow if not (options.native_half and a.buffer.dtype is F16)]
