"""The schedules of a nest that are worth trying on a CPU: those around the default, in every field.

The default says which fields matter: what it leaves alone (copies of operands of what is no
product, lines where there is no row) stays so. Large tiles that are written out whole take LLVM
seconds to compile, and do not fit the caches of decoded instructions: they are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any, Final

from msgspec.structs import replace

from tilewright.codegen_cpu.backend import lower
from tilewright.codegen_cpu.code_size import CodeSize
from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir.lower.check_schedule import bytes_of_rows, is_legal
from tilewright.ir.lower.contraction import match_contraction
from tilewright.ir.program import Nest, Program
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

_TILES: Final = (1, 2, 3, 4, 6, 8, 12, 14, 16)
_VECTORS: Final = (1, 2, 4, 8, 16)
_MOST_ORDERED: Final = 3
_FACTORS: Final = (0.25, 0.5, 1, 2, 4)
_BLOCKS_OF_SUMS: Final = (0, 32, 128, 512)
_EXPANDED: Final = (0, 8, 32)
_PACKS: Final = ((), (1,), (0,), (0, 1))
_MOST_CODE: Final = 4000
"""Instructions of a nest, or as many as the default has: some 0.2 s of LLVM's time."""
_VARIANTS: Final = 3
"""The rows of a tile are on the stack, and those of the smaller tiles at the ends of axes."""


def schedule_spaces(program: Program, target: CpuTarget) -> list[tuple[Nest, ScheduleSpace]]:
    """The nests of a program whose schedule may be chosen, and the space of each."""
    nests = lower(program, target).nests
    return [(nest, schedule_space(nest, default, target)) for nest, default in nests]


def schedule_space(nest: Nest, default: Schedule, target: CpuTarget) -> ScheduleSpace:
    """The space of `nest`, which is as it is lowered, around the schedule that it would have."""
    knobs = [*_shape(nest, default), *_threads(default, target), *_reductions(nest, default)]
    if default.lines:
        knobs = [_around("lines", default.lines)]
    elif match_contraction(nest) is not None and default.tile:
        knobs += _copies(nest, default)
    chosen = [knob for knob in knobs if len(knob.values) > 1]
    start = tuple(knob.values.index(_of(default, knob.name)) for knob in chosen)
    code = CodeSize(nest, target)
    most = max(_MOST_CODE, code.instructions(default))
    row = bytes_of_rows(nest.locals)

    def make(values: Mapping[str, Any]) -> Schedule | None:
        made = _with(default, values)
        rows = math.prod(made.tile) * row
        if rows > row and _VARIANTS * rows > target.scratch_bytes:
            return None
        return made if is_legal(nest, made) and code.instructions(made) <= most else None

    def values_of(schedule: Schedule) -> dict[str, Any]:
        return {knob.name: _of(schedule, knob.name) for knob in chosen}

    return ScheduleSpace(tuple(chosen), make, values_of, start)


# A knob is a field, or an entry of one: "tile 1".


def _of(schedule: Schedule, name: str) -> Any:
    field, _, number = name.partition(" ")
    value = getattr(schedule, field)
    if not number:
        return value
    return value[int(number)] if int(number) < len(value) else None


def _with(schedule: Schedule, values: Mapping[str, Any]) -> Schedule:
    whole = {n: v for n, v in values.items() if " " not in n}
    for name in ("tile", "cache_block"):
        entries = list(getattr(schedule, name))
        for k in range(len(entries)):
            entries[k] = values.get(f"{name} {k}", entries[k])
        whole[name] = tuple(entries)
    if not any(whole["cache_block"]):
        whole["cache_block"] = ()
    return replace(schedule, **whole)


def _knob(name: str, values: Iterable[Any], default: Any) -> Knob:
    return Knob(name, tuple(sorted({*values, default})))


def _around(name: str, default: int) -> Knob:
    return _knob(name, (max(1, int(default * f)) for f in _FACTORS), default)


def _shape(nest: Nest, default: Schedule) -> list[Knob]:
    """Tiles, the vector's axis, its width and how many there are."""
    knobs = []
    for k, size in enumerate(default.tile):
        extent = nest.outer[k].extent
        most = extent if isinstance(extent, int) else max(_TILES)
        steps = [v * default.width for v in _VECTORS] if k == default.vector else list(_TILES)
        knobs.append(_knob(f"tile {k}", (s for s in steps if s <= max(most, size)), size))
    axes: list[Any] = [*range(len(nest.outer))]
    if any(s.axes or s.reduce_axes for s in nest.stages):
        axes.append(INNER)
    if default.vector is not None:
        others = [a for a in axes if a != default.vector]
        knobs.append(Knob("vector", (default.vector, *others), is_ordered=False))
        widths = {max(1, default.width // 2), default.width, default.width * 2}
        knobs.append(_knob("width", widths, default.width))
    if default.vector == INNER:
        knobs.append(_knob("unroll", (1, 2, 4, 8), default.unroll))
    if 1 < len(default.order) <= _MOST_ORDERED:
        orders = [o for o in permutations(default.order) if o != default.order]
        knobs.append(Knob("order", (default.order, *orders), is_ordered=False))
    return knobs


def _threads(default: Schedule, target: CpuTarget) -> list[Knob]:
    if not target.has_threads or default.chunks == 1:
        return []
    return [_around("chunks", default.chunks)]


def _reductions(nest: Nest, default: Schedule) -> list[Knob]:
    if not any(s.reduce_axes for s in nest.stages):
        return []
    knobs = [
        _knob("reduce_block", _BLOCKS_OF_SUMS, default.reduce_block),
        _knob("unroll_reduce", _EXPANDED, default.unroll_reduce),
    ]
    if default.share_windows:
        knobs.append(Knob("share_windows", (True, False), is_ordered=False))
    return knobs


def _copies(nest: Nest, default: Schedule) -> list[Knob]:
    """Operands copied into tile order, and blocks that stay in a cache."""
    packs = (default.pack, *(p for p in _PACKS if p != default.pack))
    return [Knob("pack", packs, is_ordered=False)]
