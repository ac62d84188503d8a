"""A good schedule for a nest on a WebGPU device, without tuning.

Contractions go through workgroup memory (`blocks.py`); nests that visit the data of an outer point
more than once, or that have few outer points and much to reduce, get several invocations for each
of them (`rows.py`). Everything else has one invocation for each point, or for a few (`grid.py`).
Where there are few results, long sums are split (`parts.py`).

A processor that plays a GPU runs the invocations of a workgroup in one thread, a few at a time:
barriers cost it more than they spare, and there are cores to keep busy, not thousands of lanes.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.blocks import block_schedule, register_schedule
from tilewright.codegen_wgsl.schedules.grid import default_grid
from tilewright.codegen_wgsl.schedules.measures import MANY_INVOCATIONS
from tilewright.codegen_wgsl.schedules.parts import parts_of_sum
from tilewright.codegen_wgsl.schedules.rows import row_schedule
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule


def default_schedule(nest: Nest, options: WgslOptions) -> Schedule:
    """The schedule that is used where nothing was tuned."""
    if points(nest.outer) == 0:
        return default_grid(nest, options)  # it is never launched
    found = match_contraction(nest)
    if found is not None:
        tiled = register_schedule(nest, found) if options.is_processor else None
        tiled = tiled or block_schedule(nest, found, options)
        if tiled is not None:
            return tiled
    rows = row_schedule(nest, options)
    if rows is not None:
        return rows
    made = default_grid(nest, options)
    if options.is_processor or not any(is_product(s) for s in nest.stages if s.reduce_axes):
        return made
    outer, tile = points(nest.outer), math.prod(made.tile)
    depth = max(points(s.reduce_axes) for s in nest.stages)
    return replace(made, split_reduce=parts_of_sum(nest, depth, MANY_INVOCATIONS * tile // outer))
