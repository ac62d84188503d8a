"""A good schedule for a nest on a WebGPU device, without tuning.

Contractions go through workgroup memory. Nests that visit the data of an outer point more than
once, or that have few outer points and much to reduce, get a workgroup for each outer point.
Everything else has one invocation for each point, or for four neighbouring ones.
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, accesses, points
from tilewright.ir.lower.contraction import Contraction, match_contraction
from tilewright.ir.program import Nest
from tilewright.ir.schedule import INNER, Schedule

LANES = 4
WORD_BYTES = 4
_WORKGROUP = 64
_DEPTH = 16
_LEAST_SIDE = 8  # of a contraction through workgroup memory
_MANY_BLOCKS = 64  # enough for invocations that compute 8 by 8 points each
_FEW_BLOCKS = 16  # fewer than this leave a device idle: take smaller ones
_LEAST_VECTORS = 1024  # invocations that must be left when each takes four points
_MANY_POINTS = 1024  # outer points that keep a device busy without workgroups of their own
_LONG_ROW = 64
_SHORT_ROW = 32
_EXPANDED_REDUCTION = 32


def default_schedule(nest: Nest, options: WgslOptions) -> Schedule:
    """The schedule that is used where nothing was tuned."""
    found = match_contraction(nest)
    if found is not None:
        staged = _contraction(found, options)
        if staged is not None:
            return staged
    if _wants_rows(nest):
        return Schedule(vector=INNER, workgroup=(_row_threads(nest, options),))
    return _grid(nest)


# Contractions.


class _Sizes(Struct, frozen=True):
    batch: int
    rows: int
    columns: int
    depth: int


def _contraction(found: Contraction, options: WgslOptions) -> Schedule | None:
    sizes = _Sizes(
        points(found.batch),
        points(found.rows),
        points(found.columns),
        points(found.stage.reduce_axes),
    )
    if min(sizes.rows, sizes.columns) < _LEAST_SIDE or sizes.depth < LANES:
        return None
    depth = _slice(sizes.depth)
    if sizes.depth % depth and not found.vanishes:
        return None
    side, tile = _block(sizes, options)
    parts = len(found.left) + len(found.right)
    if parts * side * tile * depth * WORD_BYTES > options.workgroup_bytes:
        return None
    workgroup = (_along(sizes.rows, side, tile), _along(sizes.columns, side, tile))
    return Schedule(tile=(tile, tile), workgroup=workgroup, stage_tile=depth)


def _block(sizes: _Sizes, options: WgslOptions) -> tuple[int, int]:
    """Invocations along each side of a workgroup, and points along each side of an invocation.

    More points for each invocation mean fewer reads of workgroup memory for a product; but first
    there must be enough invocations.
    """
    if sizes.columns % 8 == 0 and _blocks(sizes, 8 * 8) >= _MANY_BLOCKS:
        return 8, 8
    large = options.workgroup_invocations >= 256 and _blocks(sizes, 16 * LANES) >= _FEW_BLOCKS
    return (16 if large else 8), LANES


def _slice(depth: int) -> int:
    """Reduced points worked on at a time: a divisor near `_DEPTH`, so that no slice is cut."""
    if depth <= _DEPTH:
        return depth
    divisors = [d for d in range(_DEPTH // 2, 2 * _DEPTH) if depth % d == 0]
    return min(divisors, key=lambda d: (d % LANES != 0, abs(d - _DEPTH)), default=_DEPTH)


def _blocks(sizes: _Sizes, side: int) -> int:
    """How many square blocks cover the result."""
    return sizes.batch * -(-sizes.rows // side) * -(-sizes.columns // side)


def _along(extent: int, most: int, tile: int) -> int:
    """Invocations along one side: a power of two that covers a short one."""
    return min(most, 1 << max(0, (-(-extent // tile) - 1).bit_length()))


# Rows.


def _wants_rows(nest: Nest) -> bool:
    outer = points(nest.outer)
    inside = max((points((*s.axes, *s.reduce_axes)) for s in nest.stages), default=1)
    if any(s.axes for s in nest.stages):
        return inside > _SHORT_ROW or outer < _MANY_POINTS // LANES
    if inside < _LONG_ROW:
        return False
    return outer < _MANY_POINTS or not _outer_is_contiguous(nest)


def _outer_is_contiguous(nest: Nest) -> bool:
    """Whether neighbouring outer points read neighbouring elements of what is reduced."""
    loads = [a for a in accesses(nest) if a.stage.reduce_axes and not a.is_store]
    if not nest.outer or not loads:
        return False
    along_outer = sum(a.stride(nest.outer[-1]) == 1 for a in loads)
    along_inner = sum(a.stride(a.stage.reduce_axes[-1]) == 1 for a in loads)
    return along_outer >= along_inner


def _row_threads(nest: Nest, options: WgslOptions) -> int:
    inside = max(points((*s.axes, *s.reduce_axes)) for s in nest.stages)
    threads = 32
    while threads * LANES < inside and threads * 2 <= options.workgroup_invocations:
        threads *= 2
    return threads


# Grids.


def _grid(nest: Nest) -> Schedule:
    expanded = max((points(s.reduce_axes) for s in nest.stages if s.reduce_axes), default=0)
    unroll = _EXPANDED_REDUCTION if expanded <= _EXPANDED_REDUCTION else 0
    axis = _vector_axis(nest)
    if axis is None:
        return Schedule(workgroup=(_WORKGROUP,), unroll_reduce=unroll)
    tile = tuple(LANES if a is axis else 1 for a in nest.outer)
    return Schedule(
        tile=tile,
        vector=nest.outer.index(axis),
        width=LANES,
        workgroup=(_WORKGROUP,),
        unroll_reduce=unroll,
    )


def _vector_axis(nest: Nest) -> Var | None:
    """The last axis, if stores along it are whole ``vec4`` and most loads are of neighbours."""
    if not nest.outer or any(s.axes for s in nest.stages):
        return None
    axis = nest.outer[-1]
    if not isinstance(axis.extent, int) or axis.extent % LANES:
        return None
    if points(nest.outer) < LANES * _LEAST_VECTORS:
        return None
    found = accesses(nest)
    if not all(_is_aligned(a, axis) for a in found if a.is_store):
        return None
    good = sum(a.stride(axis) in (0, 1) for a in found)
    return axis if 2 * good > len(found) else None


def _is_aligned(access: Access, axis: Var) -> bool:
    if access.stride(axis) != 1 or access.form.constant % LANES:
        return False
    return all(c % LANES == 0 for atom, c in access.form.terms.items() if atom is not axis)
