"""The schedules of a nest that are worth trying as fragment shaders: the elements that one fragment
makes in its render targets, the operands that are copied so that rows begin with texels, how many
elements a fragment reduces in one pass, and how much of a reduction is written out, in each
iteration of its loop or whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from msgspec.structs import replace

from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.fragment.pad_operands import paddable
from tilewright.ir.lower.fragment.tiles import (
    Tile,
    fetches,
    one_texel,
    row_axis,
    runs_on_fragments,
    tiles,
)
from tilewright.ir.lower.split_reductions import PARTS
from tilewright.ir.program import Nest
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

_UNROLLS: Final = (1, 2, 4, 8, 16, 32)
_EXPANDED: Final = (0, 4, 8, 16, 32, 64)
_BLOCKS: Final = (0, 32, 64, 128, 256, 512, 1024, 2048)
_MOST_TILES: Final = 6


def schedule_spaces(nests: Sequence[tuple[Nest, Schedule]]) -> list[tuple[Nest, ScheduleSpace]]:
    """The space of each of the nests of a program, which are as they are lowered, around the
    schedule that it would have."""
    known = {nest.name: (nest, default) for nest, default in nests}

    @cache
    def is_free(name: str) -> bool:
        """Whether a nest of that name, and those that make its partial results, have no tiles,
        which are about the axes that a nest has in this number of passes."""
        return name not in known or (not _has_tiles(*known[name]) and is_free(name + PARTS))

    return [
        (nest, _space(nest, default, nest.name + PARTS in known, is_free))
        for nest, default in nests
    ]


def _space(
    nest: Nest, default: Schedule, is_split: bool, is_free: Callable[[str], bool]
) -> ScheduleSpace:
    """`is_split` says that it combines partial results, `is_free` of its name that it may do so of
    others."""
    if not any(stage.reduce_axes for stage in nest.stages):
        return ScheduleSpace((), lambda _: default, lambda _: {}, ())
    last = row_axis(nest)
    packs: tuple[tuple[int, ...], ...] = ((),)
    single: Tile = ()  # copies need a tile to be made for, if only of one texel
    if last is not None and (padded := paddable(nest, last)):
        packs, single = _packs(padded), one_texel(nest, last)
    knobs: tuple[Knob, ...] = (
        Knob("tile", _tiles(nest, default, single), is_ordered=False),
        Knob("pack", packs, is_ordered=False),
        Knob("unroll", tuple(sorted({*_UNROLLS, default.unroll}))),
        Knob("unroll_reduce", tuple(sorted({*_EXPANDED, default.unroll_reduce}))),
    )
    longest = max(points(stage.reduce_axes) for stage in nest.stages)
    is_long = is_split or longest > 2 * _BLOCKS[1]
    if is_long and not nest.name.endswith(PARTS) and is_free(nest.name):
        knobs = (*knobs, Knob("reduce_block", _BLOCKS))
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


def _has_tiles(nest: Nest, default: Schedule) -> bool:
    last = row_axis(nest)
    return last is not None and (bool(paddable(nest, last)) or len(_tiles(nest, default)) > 1)


def _tiles(nest: Nest, default: Schedule, single: Tile = ()) -> tuple[Tile, ...]:
    """Single texels, and the tiles that fetch least, if that is less."""
    cost = {tile: fetches(nest, tile, default.unroll) for tile in tiles(nest)}
    plain = fetches(nest, (), default.unroll) if cost else 0.0
    less = [tile for tile in cost if cost[tile] < plain]
    best = sorted(less, key=lambda tile: cost[tile])[:_MOST_TILES]
    return tuple(dict.fromkeys((default.tile, single, *best)))
