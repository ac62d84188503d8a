"""What may be chosen about how a nest runs: plain data that lowering reads and the tuner searches.

A schedule never changes what is computed, only the order (inside the bounds of numerics) and the
speed. A user can print one and paste it into ``@tw.kernel(schedule=…)``.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

INNER: Final = "inner"
"""The last axis of each stage, as a vector axis."""


class Schedule(Struct, frozen=True):
    """How one nest is tiled, vectorised and spread over threads.

    * `tile`: points of each outer axis that one innermost iteration computes, kept in registers;
      empty means one each. Of a fragment: 4, 8 or 16 points, four for each of its render targets.
    * `vector`: which outer axis lies across vector lanes; ``"inner"`` for the last axis of each
      stage (own or reduced); None for scalar code.
    * `width`: lanes of one vector (of rows on GPU targets 4 or none); `unroll`: vectors per
      iteration of an inner vector loop.
    * `order`: the outer axes from the outermost tile loop to the innermost; empty means as written.
    * `chunks`: tasks that the first axis of `order` is split into; 1 runs on the caller's thread.
    * `reduce_block`: reduced points accumulated in one run before partial results are combined; of
      a fragment those of one pass.
    * `unroll_reduce`: reduce loops with at most this many points in all are expanded.
    * `share_windows`: rows of a tile combine what their windows have in common once.
    * `pack`: operands of a contraction copied into tile order first: 1 those that vary along the
      vector axis, 0 those that do not; for fragments copied so that their rows begin with texels.
    * `cache_block`: points of each outer axis that are walked before the next, whole tiles (0: all
      of them); the loops over blocks stand outside of all loops over tiles, in the same order.
    * `lines`: lines of the matrix that a product of one row reads at a time, from one end to the
      other, its results waiting in memory (0: results in registers, a tile at a time).
    * `workgroup`: invocations of a workgroup on GPU targets; with ``vector="inner"`` those for one
      outer point, or (points, invocations of each), of which `tile` gives each several at once.
    * `stage_tile`: depth of the reduced axis that a workgroup keeps in its memory (0: none).
    * `split_reduce`: parts of a reduction that are computed as points of their own and combined by
      a second launch, on targets with workgroups.
    * `subgroups`: the invocations that share a row exchange what they have within subgroups first,
      on devices that have them.
    """

    tile: tuple[int, ...] = ()
    vector: int | str | None = None
    width: int = 1
    unroll: int = 1
    order: tuple[int, ...] = ()
    chunks: int = 1
    reduce_block: int = 0
    unroll_reduce: int = 0
    share_windows: bool = False
    pack: tuple[int, ...] = ()
    cache_block: tuple[int, ...] = ()
    lines: int = 0
    workgroup: tuple[int, ...] = ()
    stage_tile: int = 0
    split_reduce: int = 1
    subgroups: bool = False
