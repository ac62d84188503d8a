"""An invocation for each point, or for a few of them that are neighbours in memory."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.measures import (
    EXPANDED_REDUCTION,
    LANES,
    MOST_WRITTEN_OUT,
    PROCESSOR_POINTS,
    PROCESSOR_THREADS,
    along_tile,
    is_aligned,
    operations_at,
)
from tilewright.codegen_wgsl.schedules.narrow import are_pixels, fills_words, pixels
from tilewright.codegen_wgsl.schedules.windows import window_axis
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import accesses, outer_is_contiguous, points
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule

_WORKGROUP = 64
_LEAST_VECTORS = 1024  # invocations that must be left when each takes four points
_PROCESSOR_GROUPS = 4  # that there should be, if each has at least four invocations


def default_grid(nest: Nest, options: WgslOptions) -> Schedule:
    expanded = max((points(s.reduce_axes) for s in nest.stages if s.reduce_axes), default=0)
    unroll = EXPANDED_REDUCTION if expanded <= EXPANDED_REDUCTION else 0
    if options.is_processor and _are_columns(nest):
        return _columns_on_processor(nest, unroll)
    across = _vector_axis(nest, options)
    axes = tuple(a for a in (window_axis(nest, across, options), across) if a is not None)
    sizes: tuple[int, ...] = (LANES,) * len(axes)
    if are_pixels(nest, options):
        return grid_schedule(nest, nest.outer[-2:], pixels(nest), _WORKGROUP, unroll)
    turned = _turned_axis(nest) if axes in ((), (across,)) else None
    if turned is not None:
        axes = (turned, nest.outer[-1])
        sizes = tuple(along_tile(a) for a in axes)
    threads = _WORKGROUP
    if not axes and options.is_processor:
        while threads > PROCESSOR_THREADS and threads * PROCESSOR_POINTS > points(nest.outer):
            threads //= 2
    return grid_schedule(nest, axes, sizes, threads, unroll)


def grid_schedule(
    nest: Nest, axes: Sequence[Var], sizes: Sequence[int], threads: int, unroll: int
) -> Schedule:
    """An invocation for `sizes` points along `axes`, across lanes along the last of them if that
    is the nest's last one and tiles do not cut it, or its only one."""
    tile = tuple(sizes[axes.index(a)] if a in axes else 1 for a in nest.outer)
    whole = False
    if tile and axes and axes[-1] is nest.outer[-1]:
        extent = axes[-1].extent
        alone = len(tile) == 1  # what is left over at its end is computed apart
        fills = isinstance(extent, int) and (alone or extent % tile[-1] == 0)
        whole = tile[-1] % LANES == 0 and fills
    return Schedule(
        tile=tile if max(tile, default=1) > 1 else (),
        vector=len(tile) - 1 if whole else None,
        width=LANES if whole else 1,
        workgroup=(threads,),
        unroll_reduce=unroll,
    )


def _are_columns(nest: Nest) -> bool:
    """Whether long reductions read neighbouring elements at neighbouring points, in whole
    vectors."""
    if any(s.axes or s.scans for s in nest.stages) or not outer_is_contiguous(nest):
        return False
    deepest = max(points(s.reduce_axes) for s in nest.stages)
    last = nest.outer[-1].extent
    return deepest > EXPANDED_REDUCTION and isinstance(last, int) and last % LANES == 0


def _columns_on_processor(nest: Nest, unroll: int) -> Schedule:
    """Two vectors for an invocation, and workgroups for all cores."""
    last = nest.outer[-1]
    tile = 2 * LANES if points((last,)) % (2 * LANES) == 0 else LANES
    threads = PROCESSOR_THREADS
    while threads > LANES and points(nest.outer) < tile * threads * _PROCESSOR_GROUPS:
        threads //= 2
    return grid_schedule(nest, (last,), (tile,), threads, unroll)


def _vector_axis(nest: Nest, options: WgslOptions) -> Var | None:
    """The last axis, if stores along it are whole ``vec4`` and most loads are of neighbours."""
    if not nest.outer or any(s.axes for s in nest.stages):
        return None
    axis = nest.outer[-1]
    if fills_words(nest, axis, options):
        return axis
    if not isinstance(axis.extent, int) or axis.extent % LANES:
        return None
    if points(nest.outer) < LANES * _LEAST_VECTORS:
        return None
    found = accesses(nest)
    if not all(is_aligned(a, axis) for a in found if a.is_store):
        return None
    good = sum(a.stride(axis) in (0, 1) for a in found)
    return axis if 2 * good > len(found) else None


def _turned_axis(nest: Nest) -> Var | None:
    """The axis along which a map reads neighbours that it does not store as neighbours: an
    invocation that takes a tile of both axes reads and stores whole pieces of memory."""
    if not nest.outer or points(nest.outer) == 0:
        return None
    if any(s.axes or s.reduce_axes for s in nest.stages):
        return None
    if max((operations_at(s) for s in nest.stages), default=0) > MOST_WRITTEN_OUT:
        return None
    *others, last = nest.outer
    if any(a.is_store and a.stride(last) != 1 for a in accesses(nest)):
        return None
    for load in (a for a in accesses(nest) if not a.is_store and a.stride(last) not in (0, 1)):
        for axis in others:
            tile = along_tile(axis) * along_tile(last)
            if load.stride(axis) == 1 and points(nest.outer) >= tile * _LEAST_VECTORS:
                return axis
    return None
