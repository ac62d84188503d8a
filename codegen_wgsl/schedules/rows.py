"""Rows and columns: several invocations for each outer point."""

from __future__ import annotations

import math

from msgspec.structs import replace

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.measures import (
    FEW_BLOCKS,
    LANES,
    MANY_BLOCKS,
    MANY_INVOCATIONS,
    PROCESSOR_POINTS,
    PROCESSOR_THREADS,
    WORD_BYTES,
)
from tilewright.codegen_wgsl.schedules.parts import LEAST_PART, parts_of_sum
from tilewright.codegen_wgsl.schedules.row_pieces import alone, has_vectors, in_pieces
from tilewright.ir.lower.accesses import outer_is_contiguous, points
from tilewright.ir.lower.check_schedule import is_legal
from tilewright.ir.lower.nest import together
from tilewright.ir.program import Nest
from tilewright.ir.schedule import INNER, Schedule

_LEAST_SHARE = 8  # points of a part for each invocation
_MANY_POINTS = 1024  # outer points that keep a device busy without workgroups of their own
_LONG_ROW = 64
_SHORT_ROW = 32
_LEAST_THREADS = 4  # that a column gets, of 32 side by side
_ROW_INVOCATIONS = 128  # of a workgroup of short rows
_MANY_ROWS = 128  # workgroups that must be left when each has several rows
_MOST_THREADS = 256  # that a row gets: more wait longer for each other than they work


def _wants_rows(nest: Nest) -> bool:
    outer = points(nest.outer)
    inside = _inside(nest)
    if any(s.axes for s in nest.stages):
        return inside > _SHORT_ROW or outer < _MANY_POINTS // LANES
    if inside < _LONG_ROW:
        return False
    return outer < MANY_INVOCATIONS or not outer_is_contiguous(nest)


def row_schedule(nest: Nest, options: WgslOptions) -> Schedule | None:
    """Rows that invocations share; on a processor that has enough of them, one for each."""
    if options.is_processor and points(nest.outer) >= PROCESSOR_POINTS:
        return alone(nest, lambda made: fits(nest, made, options))
    return _rows(nest, options) if _wants_rows(nest) else None


def _inside(nest: Nest) -> int:
    """Points of the longest stage at one outer point."""
    return max((points((*s.axes, *s.reduce_axes)) for s in nest.stages), default=1)


def _rows(nest: Nest, options: WgslOptions) -> Schedule:
    """Several invocations for each outer point, in workgroups of neighbouring points: as many as
    read a whole piece of memory together, or as make workgroups of a good size."""
    if options.is_processor:
        return Schedule(vector=INNER, workgroup=(PROCESSOR_THREADS,))
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
    if groups >= FEW_BLOCKS:
        return made
    depth = max((points(s.reduce_axes) for s in nest.stages), default=1)
    least = max(LEAST_PART, threads * _LEAST_SHARE)
    return replace(made, split_reduce=parts_of_sum(nest, depth, MANY_BLOCKS // groups, least))


def _fits(nest: Nest, teams: int, threads: int, options: WgslOptions) -> bool:
    return fits(nest, Schedule(vector=INNER, workgroup=(teams, threads)), options)


def fits(nest: Nest, made: Schedule, options: WgslOptions) -> bool:
    """Whether a schedule of rows is legal and has the memory that it needs."""
    limits = (options.workgroup_invocations, options.subgroup_sizes)
    return row_bytes(nest, made) <= options.workgroup_bytes and is_legal(nest, made, *limits)


def row_bytes(nest: Nest, schedule: Schedule) -> int:
    """Workgroup memory of rows at most: the local rows of each team, and what its invocations
    combine."""
    *teams, threads = schedule.workgroup
    rows = sum(math.prod(n for n in b.shape if isinstance(n, int)) for b in nest.locals if b.shape)
    groups = [g for g in together(nest.stages) if g[0].reduce_axes or g[0].scans]
    combined = {(s.value.dtype, k) for group in groups for k, s in enumerate(group)}
    partial = threads * len(combined) * math.prod(schedule.tile) if threads > 1 else 0
    return math.prod(teams) * (rows + partial) * WORD_BYTES
