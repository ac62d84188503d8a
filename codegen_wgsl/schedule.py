"""A good schedule for a nest on a WebGPU device, without tuning.

Contractions go through workgroup memory; where there are few blocks of results, or few results of a
product with a vector, long sums are split. Nests that visit the data of an outer point more than
once, or that have few outer points and much to reduce, get a workgroup for each outer point.
Everything else has one invocation for each point, or for four neighbouring ones, and for four along
another axis where their windows overlap. Those of narrow arrays are four neighbours wherever that
makes whole words of what is stored.

A processor that plays a GPU runs the invocations of a workgroup in one thread, a few at a time:
barriers cost it more than they spare, and there are cores to keep busy, not thousands of lanes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.pack_stores import elements_per_word
from tilewright.codegen_wgsl.row_pieces import alone, has_vectors, in_pieces
from tilewright.ir.dtypes import F16, DType
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, accesses, operations, outer_is_contiguous, points
from tilewright.ir.lower.check_schedule import is_legal
from tilewright.ir.lower.contraction import Contraction, match_contraction
from tilewright.ir.lower.nest import together
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.lower.split_k import can_split
from tilewright.ir.lower.workgroup.contraction import copied, shared_rows
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule

LANES = 4
WORD_BYTES = 4
_WORKGROUP = 64
_DEPTH = 16
_LEAST_SIDE = 8  # of a contraction through workgroup memory
_MANY_BLOCKS = 64  # enough for invocations that compute 8 by 8 points each
_FEW_BLOCKS = 16  # fewer than this leave a device idle: take smaller ones
_LEAST_VECTORS = 1024  # invocations that must be left when each takes four points
_MOST_PARTS = 32  # of a sum
_LEAST_PART = 64  # products: fewer are sooner computed than their sum is written and read
_LEAST_SHARE = 8  # points of a part for each invocation
_MANY_INVOCATIONS = 16384  # that keep a device busy while each reads memory
_MANY_POINTS = 1024  # outer points that keep a device busy without workgroups of their own
_LONG_ROW = 64
_SHORT_ROW = 32
_EXPANDED_REDUCTION = 32
_MANY_WINDOWS = 4096  # invocations that must be left when each computes overlapping windows
_MOST_WRITTEN_OUT = 64  # operations of a point of which an invocation computes four or sixteen
_MOST_IN_REST = 512  # operations of a point of which the last ones of an array have other code
_MOST_CHANNELS = 6
_LEAST_THREADS = 4  # that a column gets, of 32 side by side
_ROW_INVOCATIONS = 128  # of a workgroup of short rows
_MANY_ROWS = 128  # workgroups that must be left when each has several rows
_MOST_THREADS = 256  # that a row gets: more wait longer for each other than they work
_PROCESSOR_POINTS = 32  # outer points that keep the cores of a processor busy
_PROCESSOR_THREADS = 16  # a vector of a processor or two
_PROCESSOR_TILES = ((8, 8), (8, 4), (4, 4), (2, 4))  # rows, columns


def default_schedule(nest: Nest, options: WgslOptions) -> Schedule:
    """The schedule that is used where nothing was tuned."""
    if points(nest.outer) == 0:
        return _grid(nest, options)  # it is never launched
    found = match_contraction(nest)
    if found is not None:
        tiled = _tiles(nest, found) if options.is_processor else None
        tiled = tiled or _contraction(nest, found, options)
        if tiled is not None:
            return tiled
    rows = _row_schedule(nest, options)
    if rows is not None:
        return rows
    made = _grid(nest, options)
    if options.is_processor or not any(is_product(s) for s in nest.stages if s.reduce_axes):
        return made
    outer, tile = points(nest.outer), math.prod(made.tile)
    depth = max(points(s.reduce_axes) for s in nest.stages)
    return replace(made, split_reduce=_parts(nest, depth, _MANY_INVOCATIONS * tile // outer))


# Contractions.


class _Sizes(Struct, frozen=True):
    batch: int
    rows: int
    columns: int
    depth: int


def _sizes(found: Contraction) -> _Sizes:
    return _Sizes(
        points(found.batch),
        points(found.rows),
        points(found.columns),
        points(found.stage.reduce_axes),
    )


def _contraction(nest: Nest, found: Contraction, options: WgslOptions) -> Schedule | None:
    """Tiles in workgroup memory."""
    sizes = _sizes(found)
    if min(sizes.rows, sizes.columns) < _LEAST_SIDE or sizes.depth < LANES:
        return None
    depth = _slice(sizes.depth)
    if sizes.depth % depth and not found.vanishes:
        return None
    side, tile = _block(sizes, options)
    workgroup = (_along(sizes.rows, side, tile), _along(sizes.columns, side, tile))
    whole = Schedule(tile=(tile, tile), workgroup=workgroup, stage_tile=depth)
    if slice_bytes(found, whole, options) > options.workgroup_bytes:
        return None
    blocks = _blocks(sizes, side * tile)
    if blocks >= _FEW_BLOCKS:
        return whole
    parts = _parts(nest, sizes.depth, -(-_MANY_BLOCKS // blocks))
    return replace(whole, split_reduce=parts, stage_tile=_slice(sizes.depth // parts))


def slice_bytes(found: Contraction, schedule: Schedule, options: WgslOptions) -> int:
    """Workgroup memory of a contraction: a slice of each operand."""
    rows, columns = shared_rows(found, schedule)
    operands = zip((*found.left, *found.right), (*rows, *columns), strict=True)
    row = sum(length * shared_bytes(copied(operand).dtype, options) for operand, length in operands)
    return row * schedule.stage_tile


def shared_bytes(dtype: DType, options: WgslOptions) -> int:
    """What an element takes in workgroup memory."""
    return F16.itemsize if dtype is F16 and options.native_half else WORD_BYTES


def _parts(nest: Nest, depth: int, wanted: int, least: int = _LEAST_PART) -> int:
    """Parts of a long sum: at most those that are wanted, and none of them short."""
    parts = 1
    while parts * 2 <= min(wanted, _MOST_PARTS) and depth >= 2 * parts * least:
        if not can_split(nest, parts * 2):
            break
        parts *= 2
    return parts


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


def _tiles(nest: Nest, found: Contraction) -> Schedule | None:
    """Tiles in registers, read from memory: the caches of a processor do what workgroup memory
    does, and need no barriers. The tiles get smaller until there are enough of them."""
    row, column = found.rows[-1], found.columns[-1]
    if column is not nest.outer[-1]:
        return None
    rows, columns = points((row,)), points((column,))
    others = points(nest.outer) // (rows * columns)
    least = _PROCESSOR_POINTS * _PROCESSOR_THREADS
    for tile in _PROCESSOR_TILES:
        if tile[0] > rows or columns % tile[1]:
            continue
        if others * -(-rows // tile[0]) * (columns // tile[1]) >= least:
            return grid_schedule(nest, (row, column), tile, _PROCESSOR_THREADS, 0)
    return None


# Rows.


def _wants_rows(nest: Nest) -> bool:
    outer = points(nest.outer)
    inside = _inside(nest)
    if any(s.axes for s in nest.stages):
        return inside > _SHORT_ROW or outer < _MANY_POINTS // LANES
    if inside < _LONG_ROW:
        return False
    return outer < _MANY_INVOCATIONS or not outer_is_contiguous(nest)


def _row_schedule(nest: Nest, options: WgslOptions) -> Schedule | None:
    """Rows that invocations share; on a processor that has enough of them, one for each."""
    if options.is_processor and points(nest.outer) >= _PROCESSOR_POINTS:
        limits = (options.workgroup_invocations, options.subgroup_sizes)
        room = options.workgroup_bytes
        return alone(nest, lambda s: row_bytes(nest, s) <= room and is_legal(nest, s, *limits))
    return _rows(nest, options) if _wants_rows(nest) else None


def _inside(nest: Nest) -> int:
    """Points of the longest stage at one outer point."""
    return max((points((*s.axes, *s.reduce_axes)) for s in nest.stages), default=1)


def _rows(nest: Nest, options: WgslOptions) -> Schedule:
    """Several invocations for each outer point, in workgroups of neighbouring points: as many as
    read a whole piece of memory together, or as make workgroups of a good size."""
    if options.is_processor:
        return Schedule(vector=INNER, workgroup=(_PROCESSOR_THREADS,))
    outer, most = points(nest.outer), min(options.workgroup_invocations, _MOST_THREADS)
    across = outer_is_contiguous(nest)
    vectors = not across and has_vectors(nest)
    threads, teams = (_LEAST_THREADS if across else 8 if vectors else 32), 1
    while across and teams < min(32, outer) and _fits(nest, teams * 2, threads, options):
        teams *= 2
    each = 2 * LANES if vectors else LANES
    while threads * each < _inside(nest) and threads * teams * 2 <= most:
        if teams > 1 and not _fits(nest, teams, threads * 2, options):
            break
        threads *= 2
    while not across and threads * teams * 2 <= _ROW_INVOCATIONS and outer >= teams * _MANY_ROWS:
        if not _fits(nest, teams * 2, threads, options):
            break
        teams *= 2
    made = Schedule(vector=INNER, workgroup=(teams, threads) if teams > 1 else (threads,))
    if not across:
        made = in_pieces(nest, made)
    groups = -(-outer // (teams * math.prod(made.tile)))
    if groups >= _FEW_BLOCKS:
        return made
    depth = max((points(s.reduce_axes) for s in nest.stages), default=1)
    least = max(_LEAST_PART, threads * _LEAST_SHARE)
    return replace(made, split_reduce=_parts(nest, depth, _MANY_BLOCKS // groups, least))


def _fits(nest: Nest, teams: int, threads: int, options: WgslOptions) -> bool:
    made = Schedule(vector=INNER, workgroup=(teams, threads))
    return row_bytes(nest, made) <= options.workgroup_bytes and is_legal(nest, made)


def row_bytes(nest: Nest, schedule: Schedule) -> int:
    """Workgroup memory of rows at most: the local rows of each team, and what its invocations
    combine."""
    *teams, threads = schedule.workgroup
    rows = sum(math.prod(n for n in b.shape if isinstance(n, int)) for b in nest.locals if b.shape)
    groups = [g for g in together(nest.stages) if g[0].reduce_axes or g[0].scans]
    combined = {(s.value.dtype, k) for group in groups for k, s in enumerate(group)}
    partial = threads * len(combined) * math.prod(schedule.tile) if threads > 1 else 0
    return math.prod(teams) * (rows + partial) * WORD_BYTES


# Grids.


def _grid(nest: Nest, options: WgslOptions) -> Schedule:
    expanded = max((points(s.reduce_axes) for s in nest.stages if s.reduce_axes), default=0)
    unroll = _EXPANDED_REDUCTION if expanded <= _EXPANDED_REDUCTION else 0
    across = _vector_axis(nest, options)
    axes = tuple(a for a in (_window_axis(nest, across, options), across) if a is not None)
    sizes: tuple[int, ...] = (LANES,) * len(axes)
    if _are_pixels(nest, options):
        return grid_schedule(nest, nest.outer[-2:], _pixels(nest), _WORKGROUP, unroll)
    turned = _turned_axis(nest) if axes in ((), (across,)) else None
    if turned is not None:
        axes = (turned, nest.outer[-1])
        sizes = tuple(_along_tile(a) for a in axes)
    threads = _WORKGROUP
    if not axes and options.is_processor:
        while threads > _PROCESSOR_THREADS and threads * _PROCESSOR_POINTS > points(nest.outer):
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


def _vector_axis(nest: Nest, options: WgslOptions) -> Var | None:
    """The last axis, if stores along it are whole ``vec4`` and most loads are of neighbours."""
    if not nest.outer or any(s.axes for s in nest.stages):
        return None
    axis = nest.outer[-1]
    if _fills_words(nest, axis, options):
        return axis
    if not isinstance(axis.extent, int) or axis.extent % LANES:
        return None
    if points(nest.outer) < LANES * _LEAST_VECTORS:
        return None
    found = accesses(nest)
    if not all(_is_aligned(a, axis) for a in found if a.is_store):
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
    if max((_written_out(s) for s in nest.stages), default=0) > _MOST_WRITTEN_OUT:
        return None
    *others, last = nest.outer
    if any(a.is_store and a.stride(last) != 1 for a in accesses(nest)):
        return None
    for load in (a for a in accesses(nest) if not a.is_store and a.stride(last) not in (0, 1)):
        for axis in others:
            tile = _along_tile(axis) * _along_tile(last)
            if load.stride(axis) == 1 and points(nest.outer) >= tile * _LEAST_VECTORS:
                return axis
    return None


def _along_tile(axis: Var) -> int:
    """Four points of an axis, or all of a short one. The last tile of an axis is moved so that it
    fits: little is done twice on a long one."""
    extent = points((axis,))
    if extent <= LANES:
        return extent
    return LANES if extent % LANES == 0 or extent >= LANES * LANES else 1


def _fills_words(nest: Nest, axis: Var, options: WgslOptions) -> bool:
    """Whether four neighbours along `axis`, the last one, are whole words of a narrow array. What
    is left over at the end of an array can be one as well; that of each row cannot."""
    if not isinstance(axis.extent, int) or not _is_short(nest):
        return False
    if axis.extent % LANES:
        # The rest at the end has code of its own.
        written_out = sum(_written_out(s) for s in nest.stages)
        if len(nest.outer) > 1 or written_out > _MOST_IN_REST:
            return False
    return any(_is_aligned(a, axis) for a in _narrow_stores(nest, options))


def cuts_words(nest: Nest, options: WgslOptions) -> bool:
    """Whether rows of narrow elements end inside of words, so that the points are better numbered
    through (`flatten_axes`)."""
    if len(nest.outer) < 2 or not _is_short(nest) or match_contraction(nest) is not None:
        return False
    if sum(_written_out(s) for s in nest.stages) > _MOST_IN_REST or _are_pixels(nest, options):
        return False
    last = points((nest.outer[-1],))
    return any(last % elements_per_word(a.buffer.dtype) for a in _narrow_stores(nest, options))


def _are_pixels(nest: Nest, options: WgslOptions) -> bool:
    """Whether four points of a few narrow elements each are whole words, as four pixels of three
    channels are. What is computed for a channel then has code of its own."""
    if len(nest.outer) < 2 or not _is_short(nest):
        return False
    *_, pixel, channel = nest.outer
    if points((pixel,)) % LANES or points((channel,)) > _MOST_CHANNELS:
        return False
    written_out = sum(_written_out(s) for s in nest.stages) * points((channel,))
    if channel.extent == 1 or points((channel,)) % LANES == 0 or written_out > _MOST_IN_REST:
        return False
    for store in _narrow_stores(nest, options):
        others = [c for a, c in store.form.terms.items() if a not in (pixel, channel)]
        rows = store.stride(channel) == 1 and store.stride(pixel) == channel.extent
        if rows and not any(c % LANES for c in (*others, store.form.constant)):
            return True
    return False


def _pixels(nest: Nest) -> tuple[int, int]:
    return LANES, points(nest.outer[-1:])


def _is_short(nest: Nest) -> bool:
    """Whether each point is soon computed, so that there need not be an invocation for each."""
    if any(s.axes for s in nest.stages):
        return False
    return all(points(s.reduce_axes) <= _EXPANDED_REDUCTION for s in nest.stages if s.reduce_axes)


def _narrow_stores(nest: Nest, options: WgslOptions) -> list[Access]:
    stores = (a for a in accesses(nest) if a.is_store)
    narrow = (a for a in stores if elements_per_word(a.buffer.dtype) > 1)
    return [a for a in narrow if not (options.native_half and a.buffer.dtype is F16)]


def _window_axis(nest: Nest, across: Var | None, options: WgslOptions) -> Var | None:
    """An axis along which an invocation that computes several points reads what their windows
    share once. Not the last one, along which invocations are neighbours."""
    if any(s.axes or s.scans for s in nest.stages):
        return None
    if max((_written_out(s) for s in nest.stages), default=0) > _MOST_WRITTEN_OUT:
        return None
    left = points(nest.outer) // (LANES if across is None else LANES * LANES)
    if left < (_PROCESSOR_POINTS * _PROCESSOR_THREADS if options.is_processor else _MANY_WINDOWS):
        return None
    axis = _overlapping_axis(nest)
    return axis if axis is not None and _along_tile(axis) == LANES else None


def separate_axis(nest: Nest) -> Var | None:
    """An axis whose windows overlap, and which is not to be merged with those after it: their rows
    are whole vectors."""
    axis = _overlapping_axis(nest)
    if axis is None or points(nest.outer[nest.outer.index(axis) + 1 :]) % LANES:
        return None
    return axis


def _overlapping_axis(nest: Nest) -> Var | None:
    """The innermost axis but the last along which neighbouring points read the same elements."""
    loads = [a for a in accesses(nest) if not a.is_store]
    return next((a for a in reversed(nest.outer[:-1]) if _overlaps(loads, a)), None)


def _written_out(stage: Stage) -> int:
    """Operations at one point: expanded reductions count whole, longer ones stay loops."""
    terms = points(stage.reduce_axes)
    return _MOST_WRITTEN_OUT + 1 if terms > _EXPANDED_REDUCTION else terms * operations(stage.value)


def _overlaps(loads: Sequence[Access], axis: Var) -> bool:
    """Whether some load reads at one point what it, or another, reads at the next."""
    for load in loads:
        step = load.stride(axis)
        if not step:
            continue
        if any(load.stride(r) == step and r.extent != 1 for r in load.stage.reduce_axes):
            return True
        for other in loads:
            same = other.buffer is load.buffer and other.form.terms == load.form.terms
            away = abs(other.form.constant - load.form.constant)
            if same and away % step == 0 and 0 < away // abs(step) < LANES:
                return True
    return False


def _is_aligned(access: Access, axis: Var) -> bool:
    if access.stride(axis) != 1 or access.form.constant % LANES:
        return False
    return all(c % LANES == 0 for atom, c in access.form.terms.items() if atom is not axis)
