"""The schedules of a nest that are worth trying on a WebGPU device: three forms, each in sizes.

* ``staged``: a contraction through workgroup memory, in tiles;
* ``rows``: a team of invocations for each outer point, one or several in a workgroup;
* ``grid``: an invocation for each outer point, or for a tile of them in registers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedules.blocks import slice_bytes
from tilewright.codegen_wgsl.schedules.grid import grid_schedule
from tilewright.codegen_wgsl.schedules.measures import LANES
from tilewright.codegen_wgsl.schedules.row_pieces import fits_tile, row_axis, row_tile
from tilewright.codegen_wgsl.schedules.rows import row_bytes
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.check_schedule import is_legal
from tilewright.ir.lower.contraction import Contraction, match_contraction
from tilewright.ir.lower.split_k import can_split
from tilewright.ir.program import Nest
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

_SIDES: Final = (1, 2, 4, 8, 16, 32)
_TILES: Final = (1, 2, 4, 8)
_DEPTHS: Final = (4, 8, 16, 32)
_FEW_THREADS: Final = (8, 16)  # a processor's vectors
_TEAMS: Final = (1, 2, 4, 8, 16, 32)
_THREADS: Final = (32, 64, 128, 256, 512, 1024)
_MOST_TERMS: Final = 1 << 10
"""Of the reduction of a tile that are written out: shaders of more take seconds to compile."""
_PARTS: Final = (1, 2, 4, 8, 16, 32)
_MOST_RESULTS: Final = 1 << 24
"""Of the parts of sums: they are written and read again."""
_EXPANDED: Final = (0, 8, 32)
_TILED: Final = ("tile rows", "tile columns")


def schedule_space(nest: Nest, default: Schedule, options: WgslOptions) -> ScheduleSpace:
    """The space of `nest`, which is as it is lowered, around the schedule that it would have."""
    found = match_contraction(nest)
    forms = [_form(default)]
    others = ("staged",) if found is not None else ()
    if any(s.axes or s.reduce_axes for s in nest.stages):
        others = (*others, "rows")
    forms += [form for form in (*others, "grid") if form not in forms]
    knobs = [Knob("form", tuple(forms), is_ordered=False)]
    axes = _tiled_axes(nest, found)

    def values_of(schedule: Schedule) -> dict[str, Any]:
        return _values(nest, schedule, axes)

    values = values_of(default)
    if "staged" in forms:
        knobs += [
            Knob("rows", _with(_SIDES, values["rows"])),
            Knob("columns", _with(_SIDES, values["columns"])),
            Knob("depth", _with(_DEPTHS, values["depth"])),
        ]
    usual = (*_FEW_THREADS, *_THREADS) if options.is_processor else _THREADS
    threads = tuple(t for t in usual if t <= options.workgroup_invocations)
    knobs.append(Knob("threads", _with(threads, values["threads"])))
    reduces = any(s.reduce_axes for s in nest.stages)
    if "rows" in forms:
        knobs += _row_knobs(nest, values, reduces and options.subgroup_sizes is not None)
    if reduces:
        knobs.append(Knob("expanded", _with(_EXPANDED, values["expanded"])))
    for axis, name in zip(reversed(axes), reversed(_TILED), strict=False):
        extent = axis.extent if isinstance(axis.extent, int) else 1
        knobs.append(Knob(name, _with(tuple(t for t in _TILES if t <= extent), values[name])))
    parts = tuple(n for n in _PARTS if n == 1 or can_split(nest, n))
    if len(parts) > 1:
        knobs.append(Knob("parts", parts))
    start = tuple(knob.values.index(values[knob.name]) for knob in knobs)

    def make(chosen: Mapping[str, Any]) -> Schedule | None:
        given = {**values, **chosen}
        made = _schedule(nest, axes, given)
        if made is None or points(nest.outer) * given["parts"] > _MOST_RESULTS:
            return None
        made = replace(made, split_reduce=given["parts"])
        room = options.workgroup_bytes
        if found is not None and made.stage_tile and slice_bytes(found, made, options) > room:
            return None
        is_several = len(made.workgroup) > 1 or max(made.tile, default=1) > 1
        if is_several and made.vector == INNER and row_bytes(nest, made) > room:
            return None
        limits = (options.workgroup_invocations, options.subgroup_sizes)
        return made if is_legal(nest, made, *limits) else None

    return ScheduleSpace(tuple(knobs), make, values_of, start)


def _row_knobs(nest: Nest, values: Mapping[str, Any], has_subgroups: bool) -> list[Knob]:
    knobs = [Knob("teams", _with(_TEAMS, values["teams"])), Knob("row width", (1, LANES))]
    if row_axis(nest) is not None:
        tiles = tuple(t for t in _TILES if fits_tile(nest, t))
        knobs.append(Knob("row tile", _with(tiles, values["row tile"])))
    if has_subgroups:
        knobs.append(Knob("subgroups", (False, True), is_ordered=False))
    return knobs


def _with(values: tuple[int, ...], default: int) -> tuple[int, ...]:
    return tuple(sorted({*values, default}))


def _form(schedule: Schedule) -> str:
    if schedule.stage_tile:
        return "staged"
    return "rows" if schedule.vector == INNER else "grid"


def _tiled_axes(nest: Nest, found: Contraction | None) -> tuple[Var, ...]:
    """The outer axes along which an invocation may have several points: rows and columns."""
    if any(s.axes for s in nest.stages):
        return ()
    if found is not None:
        return (found.rows[-1], found.columns[-1])
    return nest.outer[-2:]


def _values(nest: Nest, schedule: Schedule, axes: Sequence[Var]) -> dict[str, Any]:
    """The values of a schedule, and usual ones for the forms that it does not have."""
    form = _form(schedule)
    staged = form == "staged"
    tiles = dict.fromkeys(_TILED, LANES)
    if form == "grid":
        own = dict(zip(nest.outer, schedule.tile, strict=False))
        sizes = (own.get(axis, 1) for axis in reversed(axes))
        tiles |= dict(zip(reversed(_TILED), sizes, strict=False))
    elif staged:
        tiles = dict(zip(_TILED, schedule.tile, strict=True))
    return {
        "form": form,
        "rows": schedule.workgroup[0] if staged else 8,
        "columns": schedule.workgroup[1] if staged else 8,
        "depth": schedule.stage_tile or 16,
        "threads": 64 if staged else math.prod(schedule.workgroup),
        "teams": schedule.workgroup[0] if form == "rows" and len(schedule.workgroup) > 1 else 1,
        "row width": schedule.width if form == "rows" else LANES,
        "row tile": math.prod(schedule.tile) if form == "rows" else 1,
        "expanded": schedule.unroll_reduce,
        "parts": schedule.split_reduce,
        "subgroups": schedule.subgroups,
        **tiles,
    }


def _schedule(nest: Nest, axes: Sequence[Var], values: Mapping[str, Any]) -> Schedule | None:
    if values["form"] == "staged":
        return Schedule(
            tile=(values["tile rows"], values["tile columns"]),
            workgroup=(values["rows"], values["columns"]),
            stage_tile=values["depth"],
        )
    if values["form"] == "rows":
        # Subgroups are of one team, so that they can be tried from any number of teams.
        teams = 1 if values["subgroups"] else values["teams"]
        threads = values["threads"] // teams
        if threads < 1:
            return None
        workgroup = (teams, threads) if teams > 1 else (threads,)
        return Schedule(
            tile=row_tile(nest, values["row tile"]),
            vector=INNER,
            width=values["row width"],
            workgroup=workgroup,
            subgroups=values["subgroups"],
        )
    sizes = [values[name] for name in _TILED[len(_TILED) - len(axes) :]]
    if math.prod(sizes) * values["expanded"] > _MOST_TERMS:
        return None
    return grid_schedule(nest, axes, sizes, values["threads"], values["expanded"])
