"""The schedules of a nest that are worth trying on a WebGPU device: three forms, each in sizes.

* ``staged``: a contraction through workgroup memory, in tiles;
* ``rows``: a workgroup for each outer point, whose invocations share the row;
* ``grid``: an invocation for each outer point, or for four neighbouring ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedule import LANES, WORD_BYTES
from tilewright.ir.lower.check_schedule import is_legal
from tilewright.ir.lower.contraction import Contraction, match_contraction
from tilewright.ir.program import Nest
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

_SIDES: Final = (1, 2, 4, 8, 16, 32)
_TILES: Final = (4, 8)
_DEPTHS: Final = (4, 8, 16, 32)
_THREADS: Final = (32, 64, 128, 256, 512, 1024)
_EXPANDED: Final = (0, 8, 32)


def schedule_space(nest: Nest, default: Schedule, options: WgslOptions) -> ScheduleSpace:
    """The space of `nest`, which is as it is lowered, around the schedule that it would have."""
    found = match_contraction(nest)
    forms = [_form(default)]
    others = ("staged",) if found is not None else ()
    if any(s.axes or s.reduce_axes for s in nest.stages):
        others = (*others, "rows")
    forms += [form for form in (*others, "grid") if form not in forms]
    knobs = [Knob("form", tuple(forms), is_ordered=False)]
    values = _values(default)
    if "staged" in forms:
        knobs += [
            Knob("rows", _with(_SIDES, values["rows"])),
            Knob("columns", _with(_SIDES, values["columns"])),
            Knob("tile rows", _with(_TILES, values["tile rows"])),
            Knob("tile columns", _with(_TILES, values["tile columns"])),
            Knob("depth", _with(_DEPTHS, values["depth"])),
        ]
    threads = tuple(t for t in _THREADS if t <= options.workgroup_invocations)
    knobs.append(Knob("threads", _with(threads, values["threads"])))
    if any(s.reduce_axes for s in nest.stages):
        knobs.append(Knob("expanded", _with(_EXPANDED, values["expanded"])))
    if nest.outer and not any(s.axes for s in nest.stages):
        knobs.append(Knob("lanes", (1, LANES)))
    start = tuple(knob.values.index(values[knob.name]) for knob in knobs)

    def make(chosen: Mapping[str, Any]) -> Schedule | None:
        made = _schedule({**values, **chosen}, len(nest.outer))
        if found is not None and made.stage_tile and _bytes(found, made) > options.workgroup_bytes:
            return None
        return made if is_legal(nest, made, options.workgroup_invocations) else None

    return ScheduleSpace(tuple(knobs), make, _values, start)


def _with(values: tuple[int, ...], default: int) -> tuple[int, ...]:
    return tuple(sorted({*values, default}))


def _form(schedule: Schedule) -> str:
    if schedule.stage_tile:
        return "staged"
    return "rows" if schedule.vector == INNER else "grid"


def _values(default: Schedule) -> dict[str, Any]:
    """The values of a schedule, and usual ones for the forms that it does not have."""
    form = _form(default)
    staged = form == "staged"
    return {
        "form": form,
        "rows": default.workgroup[0] if staged else 8,
        "columns": default.workgroup[1] if staged else 8,
        "tile rows": default.tile[0] if staged else LANES,
        "tile columns": default.tile[1] if staged else LANES,
        "depth": default.stage_tile or 16,
        "threads": 64 if staged else default.workgroup[0],
        "expanded": default.unroll_reduce,
        "lanes": LANES if isinstance(default.vector, int) else 1,
    }


def _schedule(values: Mapping[str, Any], rank: int) -> Schedule:
    if values["form"] == "staged":
        return Schedule(
            tile=(values["tile rows"], values["tile columns"]),
            workgroup=(values["rows"], values["columns"]),
            stage_tile=values["depth"],
        )
    if values["form"] == "rows":
        return Schedule(vector=INNER, workgroup=(values["threads"],))
    grid = Schedule(workgroup=(values["threads"],), unroll_reduce=values["expanded"])
    if values["lanes"] == 1:
        return grid
    return Schedule(
        tile=(1,) * (rank - 1) + (LANES,),
        vector=rank - 1,
        width=LANES,
        workgroup=grid.workgroup,
        unroll_reduce=grid.unroll_reduce,
    )


def _bytes(found: Contraction, schedule: Schedule) -> int:
    """Workgroup memory: a slice of each operand."""
    rows, columns = (s * t for s, t in zip(schedule.workgroup, schedule.tile, strict=True))
    words = len(found.left) * rows + len(found.right) * columns
    return math.prod((words, schedule.stage_tile, WORD_BYTES))
