"""A schedule that a user gave, and the nest it is for -> an error if the two do not fit.

Lowerings trust their schedules: those of the heuristics fit by construction. One that was pasted
from another kernel, or written by hand, is checked here first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tilewright.ir.errors import LimitError, ShapeError
from tilewright.ir.expr import Var
from tilewright.ir.kernel import Buffer, Kernel
from tilewright.ir.lower.accesses import depends
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.lower.row_products import is_row_product
from tilewright.ir.lower.split_k import can_split
from tilewright.ir.lower.workgroup.combine import MOST_ROUNDS
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule

MOST_CHUNKS = (1 << 16) - 1
MOST_POINTS = 1 << 40
MOST_EXPANDED = 1 << 12
"""Points that one iteration of the innermost loops may compute: each costs code and registers."""
MOST_WRITTEN_OUT = 1 << 14
"""Vectors that one iteration may compute with the reductions that are expanded in it: a compiler
takes seconds for them."""
MOST_LINES = 64
MOST_PARTS = 64
"""Parts of one reduction: each is an operand of the expression that adds them up."""
LANES = 4
"""Elements of a vector on GPU targets, of which tiles in workgroup memory are made."""


def check_schedule(
    nest: Nest,
    schedule: Schedule,
    invocations: int | None = None,
    subgroup_sizes: tuple[int, int] | None = None,
) -> None:
    """Raise `ShapeError` or `LimitError` unless `nest` can be lowered under `schedule`.

    `nest` is as it is lowered, with merged axes. `invocations` are how many a workgroup may have,
    where there are workgroups, and `subgroup_sizes` the fewest and the most in one of its
    subgroups, where there are subgroups.
    """
    check = _Check(nest, schedule)
    check.run()
    if invocations is not None:
        check.fits_workgroups(invocations)
    elif schedule.split_reduce != 1:
        raise check.wrong("split_reduce", "is for targets with workgroups, and 1 elsewhere")
    if schedule.subgroups:
        check.fits_subgroups(subgroup_sizes)


def check_stack(nest: Nest, kernel: Kernel, most: int) -> None:
    """Raise `LimitError` where `kernel`, to which `nest` was lowered, keeps rows of more than
    `most` bytes on the stack."""
    rows = bytes_of_rows(buffer for buffer in kernel.locals if buffer.space == "scratch")
    if rows > most:
        raise LimitError(
            f"schedule of {nest.name}: the rows of a tile take {rows} bytes of the stack, which is"
            f" beyond the limit of {most}",
            help="make the tile smaller",
        )


def bytes_of_rows(buffers: Iterable[Buffer]) -> int:
    """Of those among `buffers` that have axes: others are registers."""
    shaped = ((b.shape, b.dtype.itemsize) for b in buffers if b.shape)
    return sum(math.prod(n for n in shape if isinstance(n, int)) * each for shape, each in shaped)


def is_legal(
    nest: Nest,
    schedule: Schedule,
    invocations: int | None = None,
    subgroup_sizes: tuple[int, int] | None = None,
) -> bool:
    """Whether `check_schedule` has no objection."""
    try:
        check_schedule(nest, schedule, invocations, subgroup_sizes)
    except (LimitError, ShapeError):
        return False
    return True


class _Check:
    def __init__(self, nest: Nest, schedule: Schedule) -> None:
        self.nest = nest
        self.schedule = schedule
        self.rank = len(nest.outer)

    def run(self) -> None:
        self._check_kinds()
        self._check_sizes()
        if self.schedule.stage_tile:
            self._check_staged()
        else:
            self._check_axes("tile", self.schedule.tile, 1)
            self._check_tile()
            self._check_cache_block()
        self._check_order()
        self._check_vector()
        self._check_pack()
        self._check_expansion()

    def fits_workgroups(self, invocations: int) -> None:
        given = self.schedule
        if len(given.workgroup) > 3 or min(given.workgroup, default=1) < 1:
            raise self.wrong("workgroup", "is not one to three sizes from 1 up")
        self._check_split()
        if math.prod(given.workgroup) > invocations:
            raise self._beyond("workgroup", invocations)
        if given.vector == INNER and not given.stage_tile:
            self._check_teams()
        if isinstance(given.vector, int) and given.tile and not given.stage_tile:
            extent, size = self.nest.outer[given.vector].extent, given.tile[given.vector]
            alone = self.rank == 1 and given.split_reduce == 1
            if not isinstance(extent, int) or (extent % size and not alone):
                raise self.wrong("vector", f"is an axis of {extent} points, which tiles cut")

    def _check_teams(self) -> None:
        """Rows: so many invocations for each outer point, for one or several of these."""
        *teams, threads = self.schedule.workgroup or (1,)
        if len(teams) > 1 or threads & (threads - 1):
            raise self.wrong(
                "workgroup",
                "is not a power of two of invocations, alone or behind a number of points that "
                f"have as many each, which vector={INNER!r} needs",
            )
        axes = [a for s in self.nest.stages for a in (*s.axes, *s.reduce_axes)]
        if math.prod(teams) > 1 and not all(isinstance(a.extent, int) for a in axes):
            raise self.wrong("workgroup", "has several points, whose sizes may differ")
        if math.prod(self.schedule.tile) > 1 and any(s.axes for s in self.nest.stages):
            raise self.wrong("tile", "has several rows, but the nest keeps or stores whole ones")

    def fits_subgroups(self, sizes: tuple[int, int] | None) -> None:
        given = self.schedule
        if sizes is None:
            raise self.wrong("subgroups", "is for devices that have them, and False elsewhere")
        if given.vector != INNER or given.stage_tile or len(given.workgroup) > 1:
            raise self.wrong(
                "subgroups",
                f"is for rows, with vector={INNER!r} and a workgroup for each, and False elsewhere",
            )
        (least, most), threads = sizes, math.prod(given.workgroup)
        is_whole = threads & (threads - 1) == 0 and threads % most == 0
        if not is_whole or threads > MOST_ROUNDS * least**2:
            raise self.wrong(
                "workgroup",
                f"is not one power of two from {most} to {MOST_ROUNDS * least**2}, which subgroups "
                f"of {least} to {most} invocations need",
            )

    def _check_split(self) -> None:
        parts = self.schedule.split_reduce
        if parts < 1:
            raise self.wrong("split_reduce", "is less than 1")
        if parts > MOST_PARTS:
            raise self._beyond("split_reduce", MOST_PARTS)
        if parts > 1 and not can_split(self.nest, parts):
            raise self.wrong("split_reduce", "does not divide the only reduction of the nest")

    def _check_kinds(self) -> None:
        """Plain ints and tuples of them, as the printed form has."""
        given = self.schedule
        for name in ("tile", "order", "pack", "cache_block", "workgroup"):
            value = getattr(given, name)
            if not isinstance(value, tuple) or not all(map(_is_int, value)):
                raise self.wrong(name, "is not a tuple of integers")
        for name in (
            "width",
            "unroll",
            "chunks",
            "reduce_block",
            "unroll_reduce",
            "stage_tile",
            "split_reduce",
            "lines",
        ):
            if not _is_int(getattr(given, name)):
                raise self.wrong(name, "is not an integer")
        if not isinstance(given.subgroups, bool):
            raise self.wrong("subgroups", "is neither True nor False")
        if not (given.vector is None or given.vector == INNER or _is_int(given.vector)):
            raise self.wrong("vector", f"is neither an axis, nor {INNER!r}, nor None")

    def _check_sizes(self) -> None:
        given = self.schedule
        for name in ("width", "unroll"):
            value = getattr(given, name)
            if value < 1 or value & (value - 1):
                raise self.wrong(name, "is not a power of two")
        for name, least in (("chunks", 1), ("reduce_block", 0), ("unroll_reduce", 0), ("lines", 0)):
            if getattr(given, name) < least:
                raise self.wrong(name, f"is less than {least}")
        if given.reduce_block == 1:
            raise self.wrong("reduce_block", "combines nothing: give at least 2, or 0 for any")
        if given.lines:
            self._check_lines()
        if given.chunks > MOST_CHUNKS:
            raise self._beyond("chunks", MOST_CHUNKS)
        if given.reduce_block > MOST_POINTS:
            raise self._beyond("reduce_block", MOST_POINTS)

    def _check_lines(self) -> None:
        given = self.schedule
        if not is_row_product(self.nest):
            raise self.wrong("lines", "is for products of one row and a matrix, and 0 elsewhere")
        if given.lines > MOST_LINES:
            raise self._beyond("lines", MOST_LINES)
        extent = self.nest.stages[0].reduce_axes[0].extent
        if not isinstance(extent, int) or extent % given.chunks:
            raise self.wrong("chunks", f"do not divide the {extent} lines")

    def _check_axes(self, name: str, sizes: tuple[int, ...], least: int) -> None:
        """One size for each outer axis, or none at all."""
        if sizes and len(sizes) != self.rank:
            raise self.wrong(name, f"does not fit {self.rank} outer axes")
        if min(sizes, default=least) < least:
            raise self.wrong(name, f"has a size below {least}")

    def _check_tile(self) -> None:
        for axis, size in zip(self.nest.outer, self.schedule.tile, strict=False):
            if size > 1 and self._shapes_inner(axis):
                raise self.wrong("tile", "has several points of an axis that sizes depend on")

    def _shapes_inner(self, axis: Var) -> bool:
        stages = self.nest.stages
        return any(depends(a, axis) for s in stages for a in (*s.axes, *s.reduce_axes))

    def _check_cache_block(self) -> None:
        given = self.schedule
        self._check_axes("cache_block", given.cache_block, 0)
        if max(given.cache_block, default=0) > MOST_POINTS:
            raise self._beyond("cache_block", MOST_POINTS)
        tile = given.tile or (1,) * self.rank
        if any(points % size for points, size in zip(given.cache_block, tile, strict=False)):
            raise self.wrong("cache_block", f"cuts tiles of {tile}")

    def _check_order(self) -> None:
        order = self.schedule.order
        if order and sorted(order) != list(range(self.rank)):
            raise self.wrong("order", f"is not an order of {self.rank} outer axes")

    def _check_vector(self) -> None:
        vector, stages = self.schedule.vector, self.nest.stages
        if vector == INNER:
            # The threads of a workgroup can take turns along a scan; lanes cannot.
            scans = any(s.scans for s in stages)
            if scans and not self.schedule.workgroup:
                raise self.wrong("vector", "is an axis along which values run in order")
        elif isinstance(vector, int):
            if not 0 <= vector < self.rank:
                raise self.wrong("vector", f"is none of {self.rank} outer axes")
            if self._shapes_inner(self.nest.outer[vector]):
                raise self.wrong("vector", "is an axis that others depend on in their size")

    def _check_pack(self) -> None:
        pack = self.schedule.pack
        if len(set(pack)) != len(pack) or not set(pack) <= {0, 1}:
            raise self.wrong("pack", "holds something else than 0 and 1, or one of them twice")
        if pack and self.rank and not self.schedule.tile:
            raise self.wrong("pack", "asks for copies in tile order, but there is no tile")

    def _check_staged(self) -> None:
        """A contraction through workgroup memory; its tile is that of one invocation."""
        given = self.schedule
        found = match_contraction(self.nest)
        if given.stage_tile < 0 or found is None:
            raise self.wrong("stage_tile", "is for contractions, and 0 elsewhere")
        depth = math.prod(a.extent for a in found.stage.reduce_axes if isinstance(a.extent, int))
        depth //= max(1, given.split_reduce)
        if depth % min(given.stage_tile, max(1, depth)) and not found.vanishes:
            raise self.wrong("stage_tile", f"cuts the {depth} terms of a sum that 0 adds to")
        if len(given.tile) != 2 or min(given.tile) < LANES or any(t % LANES for t in given.tile):
            raise self.wrong("tile", f"is not two multiples of {LANES}, which stage_tile needs")
        if len(given.workgroup) != 2:
            raise self.wrong("workgroup", "is not two sizes, which stage_tile needs")
        if given.cache_block:
            raise self.wrong("cache_block", "is for what is not in workgroup memory")

    def _check_expansion(self) -> None:
        given = self.schedule
        # Along an outer axis the lanes are points of its tile.
        vector = given.width * given.unroll if given.vector == INNER else 1
        if math.prod(given.tile) * vector > MOST_EXPANDED:
            raise self._beyond("tile, width and unroll", MOST_EXPANDED)
        for name in ("unroll", "unroll_reduce"):
            if getattr(given, name) > MOST_EXPANDED:
                raise self._beyond(name, MOST_EXPANDED)
        lanes = given.width if isinstance(given.vector, int) else 1
        vectors = -(-math.prod(given.tile) // lanes) * vector
        if vectors * max(map(self._expanded, self.nest.stages), default=1) > MOST_WRITTEN_OUT:
            raise self._beyond("tile, width and unroll_reduce", MOST_WRITTEN_OUT)

    def _expanded(self, stage: Stage) -> int:
        """Points of reduced axes that are written out."""
        most = self.schedule.unroll_reduce
        extents = (a.extent for a in stage.reduce_axes)
        return math.prod(e for e in extents if isinstance(e, int) and 0 < e <= most)

    def wrong(self, name: str, why: str) -> ShapeError:
        return ShapeError(
            f"schedule of {self.nest.name}: {name}={getattr(self.schedule, name)!r} {why}",
            help="start from a printed one: kernel.compile(…).schedule",
        )

    def _beyond(self, name: str, limit: int) -> LimitError:
        return LimitError(f"schedule of {self.nest.name}: {name} is beyond the limit of {limit}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
