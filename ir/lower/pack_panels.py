"""Operands of a contraction copied into the order in which its tiles read them.

In: a nest and a schedule whose `pack` names operands. Out: the nest reading the copies, and for
each copy the nest that makes it, how that is scheduled, and its buffer. What is computed, and in
which order it is added up, does not change.

An operand that is contiguous along a tiled axis (or must be, since vectors lie along that axis) is
cut into *panels*: ``panel[t // T, k…, t % T]`` holds the T points of one tile side by side for
every k, so that a tile reads one stretch of memory from end to end. An operand whose rows are
contiguous along the reduced axis stays in *rows*, at a distance at which they do not compete for
the same lines of the cache.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.analysis.affine import Linear
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat, points
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import substitute, variables

LEFT, RIGHT = 0, 1
_ROW_PADDING = 16
_VECTORS_PER_STEP = 4


class PackedCopy(Struct, frozen=True, eq=False):
    """A nest that fills `buffer`, to be run before the nest that reads it."""

    nest: Nest
    schedule: Schedule
    buffer: Buffer


class Layout(Struct, frozen=True, eq=False):
    """Where the element of a load lies in its copy.

    `axes` are walked by the copy, `along` the one that its vectors lie along, `step` how many
    points of that one are copied at a time.
    """

    shape: tuple[int, ...]
    indices: tuple[Expr, ...]
    axes: tuple[Var, ...]
    along: Var
    step: int


def pack_panels(nest: Nest, schedule: Schedule) -> tuple[Nest, tuple[PackedCopy, ...]]:
    """`nest` with the operands that ``schedule.pack`` names read from copies in tile order."""
    copies: list[PackedCopy] = []
    stages = list(nest.stages)
    for position, stage in enumerate(nest.stages):
        for load in _packed_loads(nest, stage, schedule):
            layout = _layout(nest, stage, schedule, load)
            buffer = Buffer(f"{nest.name}_p{len(copies)}", layout.shape, load.dtype)
            name = f"{nest.name}_pack{len(copies)}"
            copies.append(_copy(name, schedule, load, layout, buffer))
            value = _replaced(stages[position].value, load, Load(buffer, layout.indices))
            stages[position] = replace(stages[position], value=value)
    return replace(nest, stages=tuple(stages)), tuple(copies)


def can_pack(nest: Nest, stage: Stage, load: Load) -> bool:
    """Whether a copy of what `load` reads is no larger than what it reads from."""
    if not isinstance(load.source, Buffer) or load.source in nest.locals:
        return False
    form = flat(load.source, load.indices)
    used = tuple(form.terms)
    axes = {*nest.outer, *stage.reduce_axes}
    if any(a not in axes or not isinstance(_extent(a), int) for a in used):
        return False
    if not any(a in stage.reduce_axes for a in used):
        return False
    sizes = [s for s in load.source.shape if isinstance(s, int)]
    if len(sizes) < len(load.source.shape):
        return False
    return points(tuple(a for a in used if isinstance(a, Var))) <= prod(sizes)


def _extent(axis: Expr) -> object:
    return axis.extent if isinstance(axis, Var) else None


def _packed_loads(nest: Nest, stage: Stage, schedule: Schedule) -> list[Load]:
    """One load for each place of an operand that is to be packed."""
    if not schedule.pack or not stage.reduce_axes or not isinstance(schedule.vector, int):
        return []
    column = nest.outer[schedule.vector]
    found: dict[Hashable, Load] = {}
    for node in post_order((stage.value,)):
        if not isinstance(node, Load) or not can_pack(nest, stage, node):
            continue
        side = RIGHT if column in variables(node.indices) else LEFT
        if side in schedule.pack:
            found.setdefault(_place(node), node)
    return list(found.values())


def _place(load: Load) -> Hashable:
    """Equal for loads of one element."""
    assert isinstance(load.source, Buffer)
    form = flat(load.source, load.indices)
    return load.source, frozenset(form.terms.items()), form.constant


def _replaced(value: Expr, old: Load, new: Load) -> Expr:
    """`value` with every load of `old`'s place replaced."""
    place = _place(old)

    def swap(load: Load) -> Expr | None:
        return new if isinstance(load.source, Buffer) and _place(load) == place else None

    return substitute(value, {}, swap)


def _layout(nest: Nest, stage: Stage, schedule: Schedule, load: Load) -> Layout:
    assert isinstance(load.source, Buffer)
    form = flat(load.source, load.indices)
    tile = dict(zip(nest.outer, schedule.tile, strict=True))
    reduced = tuple(a for a in stage.reduce_axes if form.coefficient(a))
    outer = tuple(a for a in nest.outer if form.coefficient(a))
    tiled = _tiled_axis(nest, schedule, outer, form, tile)
    if tiled is None:
        return _rows(schedule, outer, reduced)
    return _panels(outer, tiled, tile[tiled], reduced)


def _tiled_axis(
    nest: Nest, schedule: Schedule, outer: tuple[Var, ...], form: Linear, tile: dict[Var, int]
) -> Var | None:
    """The axis to cut into panels: the vector axis, or one along which the operand lies."""
    assert isinstance(schedule.vector, int)
    column = nest.outer[schedule.vector]
    if column in outer:
        return column
    return next((a for a in outer if form.coefficient(a) == 1 and tile[a] > 1), None)


def _panels(outer: tuple[Var, ...], tiled: Var, size: int, reduced: tuple[Var, ...]) -> Layout:
    others = tuple(a for a in outer if a is not tiled)
    panel = build.floordiv(tiled, build.index(size))
    # Written as a difference: where the panel is known, the two multiples of it cancel.
    inside = build.sub(tiled, build.mul(panel, build.index(size)))
    count = -(-_static(tiled) // size)
    shape = (*map(_static, others), count, *map(_static, reduced), size)
    indices = (*others, panel, *reduced, inside)
    return Layout(shape, indices, (*others, tiled, *reduced), tiled, size)


def _rows(schedule: Schedule, outer: tuple[Var, ...], reduced: tuple[Var, ...]) -> Layout:
    *leading, last = reduced
    width = _static(last) + _ROW_PADDING
    shape = (*map(_static, outer), *map(_static, leading), width)
    step = schedule.width * _VECTORS_PER_STEP
    return Layout(shape, (*outer, *reduced), (*outer, *reduced), last, step)


def _static(axis: Var) -> int:
    assert isinstance(axis.extent, int)
    return axis.extent


def _copy(name: str, schedule: Schedule, load: Load, layout: Layout, buffer: Buffer) -> PackedCopy:
    """``buffer[layout] = load`` over axes of its own, vectors along ``layout.along``."""
    fresh = {a: Var(a.name, a.extent) for a in layout.axes}
    value = substitute(load, fresh)
    indices = tuple(substitute(i, fresh) for i in layout.indices)
    axes = tuple(fresh.values())
    stage = Stage((), (), None, value, buffer, indices, "pack")
    vector = layout.axes.index(layout.along)
    tile = [1] * len(axes)
    tile[vector] = min(layout.step, _static(layout.along))
    copied = Schedule(
        tile=tuple(tile),
        vector=vector,
        width=schedule.width,
        order=_parallel_order(layout),
        chunks=schedule.chunks,
    )
    return PackedCopy(Nest(name, axes, (stage,), ()), copied, buffer)


def _parallel_order(layout: Layout) -> tuple[int, ...]:
    """Tasks share out the axis with the most steps; panels are written from end to end."""
    steps = [-(-_static(a) // (layout.step if a is layout.along else 1)) for a in layout.axes]
    outer = [k for k, a in enumerate(layout.axes) if a is not layout.axes[-1]] or [0]
    first = max(outer, key=lambda k: steps[k])
    return (first, *(k for k in range(len(layout.axes)) if k != first))
