"""Contractions: tiles in workgroup memory, or, on processors, in registers."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.grid import grid_schedule
from tilewright.codegen_wgsl.schedules.measures import (
    FEW_BLOCKS,
    LANES,
    MANY_BLOCKS,
    PROCESSOR_POINTS,
    PROCESSOR_THREADS,
    WORD_BYTES,
)
from tilewright.codegen_wgsl.schedules.parts import parts_of_sum
from tilewright.ir.dtypes import F16, DType
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.contraction import Contraction
from tilewright.ir.lower.workgroup.contraction import copied, shared_rows
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule

_DEPTH = 16
_LEAST_SIDE = 8  # of a contraction through workgroup memory
_PROCESSOR_GROUPS = 16  # of few invocations, that keep the cores of a processor busy
_FEW_THREADS = 8
_PROCESSOR_TILES = ((8, 8), (8, 4), (4, 4), (2, 4))  # rows, columns


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


def block_schedule(nest: Nest, found: Contraction, options: WgslOptions) -> Schedule | None:
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
    if blocks >= FEW_BLOCKS:
        return whole
    parts = parts_of_sum(nest, sizes.depth, -(-MANY_BLOCKS // blocks))
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


def _block(sizes: _Sizes, options: WgslOptions) -> tuple[int, int]:
    """Invocations along each side of a workgroup, and points along each side of an invocation.

    More points for each invocation mean fewer reads of workgroup memory for a product; but first
    there must be enough invocations.
    """
    if sizes.columns % 8 == 0 and _blocks(sizes, 8 * 8) >= MANY_BLOCKS:
        return 8, 8
    large = options.workgroup_invocations >= 256 and _blocks(sizes, 16 * LANES) >= FEW_BLOCKS
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


def register_schedule(nest: Nest, found: Contraction) -> Schedule | None:
    """Tiles in registers, read from memory: the caches of a processor do what workgroup memory
    does, and need no barriers. The tiles get smaller until there are enough of them."""
    row, column = found.rows[-1], found.columns[-1]
    if column is not nest.outer[-1]:
        return None
    rows, columns = points((row,)), points((column,))
    others = points(nest.outer) // (rows * columns)
    for tile in _PROCESSOR_TILES:
        if tile[0] > rows or columns % tile[1]:
            continue
        tiles = others * -(-rows // tile[0]) * (columns // tile[1])
        if tiles >= _PROCESSOR_GROUPS * _FEW_THREADS:
            threads = (
                PROCESSOR_THREADS if tiles >= PROCESSOR_POINTS * PROCESSOR_THREADS else _FEW_THREADS
            )
            return grid_schedule(nest, (row, column), tile, threads, 0)
    return None
