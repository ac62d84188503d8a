"""The schedules of a nest that are worth trying as fragment shaders: the elements that one fragment
makes in its render targets, the operands that are copied so that rows begin with texels, and how
much of a reduction is written out, in each iteration of its loop or whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from tilewright.ir.lower.fragment.pad_operands import paddable
from tilewright.ir.lower.fragment.tiles import fetches, row_axis, runs_on_fragments, tiles
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

_UNROLLS: Final = (1, 2, 4, 8, 16, 32)
_EXPANDED: Final = (0, 4, 8, 16, 32, 64)
_MOST_TILES: Final = 6


def schedule_space(nest: Nest, default: Schedule) -> ScheduleSpace:
    """The space of `nest`, which is as it is lowered, around the schedule that it would have."""
    if not any(stage.reduce_axes for stage in nest.stages):
        return ScheduleSpace((), lambda _: default, lambda _: {}, ())
    last = row_axis(nest)
    packs = _packs(paddable(nest, last)) if last is not None else ((),)
    knobs = (
        Knob("tile", _tiles(nest, default, len(packs) > 1), is_ordered=False),
        Knob("pack", packs, is_ordered=False),
        Knob("unroll", tuple(sorted({*_UNROLLS, default.unroll}))),
        Knob("unroll_reduce", tuple(sorted({*_EXPANDED, default.unroll_reduce}))),
    )
    start = tuple(knob.values.index(getattr(default, knob.name)) for knob in knobs)

    def make(values: Mapping[str, Any]) -> Schedule | None:
        made = replace(default, **values)
        return made if runs_on_fragments(nest, made) else None

    def values_of(schedule: Schedule) -> dict[str, Any]:
        return {knob.name: getattr(schedule, knob.name) for knob in knobs}

    return ScheduleSpace(knobs, make, values_of, start)


def _packs(operands: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """None of the operands, each of them, and all."""
    return tuple(dict.fromkeys(((), *((k,) for k in operands), operands)))


def _tiles(nest: Nest, default: Schedule, packs: bool) -> tuple[tuple[int, ...], ...]:
    """Single texels, and the tiles that fetch least."""
    cost = {tile: fetches(nest, tile, default.unroll) for tile in tiles(nest)}
    best = sorted(cost, key=lambda tile: cost[tile])[:_MOST_TILES]
    single: tuple[int, ...] = ()
    if packs:  # which copies are made for; they need a tile to be one
        last = row_axis(nest)
        single = tuple(LANES if axis is last else 1 for axis in nest.outer)
    return tuple(dict.fromkeys((default.tile, single, *best)))
