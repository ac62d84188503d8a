"""How many texels one fragment makes: which tiles fit a nest, and how much each has to fetch.

In: a nest with merged axes. Out: tiles, as `Schedule.tile` has them: points of each outer axis, in
which those along the rows of the output count four to a texel. A fragment has a render target for
each texel of its tile; what several of them read is fetched once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product

from tilewright.ir.errors import IRError, LimitError, ShapeError
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.lower.check_schedule import check_schedule
from tilewright.ir.lower.fragment.grid import axes_in_order
from tilewright.ir.lower.fragment.pad_operands import paddable
from tilewright.ir.lower.split_reductions import MOST_AT_A_TIME
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule

Tile = tuple[int, ...]

TARGETS = (1, 2, 4)
"""Render targets of a fragment: every WebGL 2 device has four."""
_MOST_POINTS = 1 << 10
"""Texels times points of a reduction that may be written out in one body."""


def targets_of(tile: Tile) -> int:
    """The render targets that a tile needs; no tile at all is one texel."""
    return math.prod(tile) // LANES or 1


def check_fragments(nest: Nest, schedule: Schedule) -> None:
    """Raise `ShapeError` or `LimitError` unless fragments can run `nest` under `schedule`."""
    check_schedule(nest, schedule)
    check_block(nest.name, schedule)
    last = row_axis(nest)
    why = _objection(nest, schedule.tile, last) if schedule.tile else None
    if why is not None:
        raise _misfit(nest.name, f"tile={schedule.tile!r} {why}")
    if schedule.pack and (last is None or not set(schedule.pack) <= set(paddable(nest, last))):
        raise _misfit(nest.name, f"pack={schedule.pack!r} is for operands with rows of odd lengths")
    if targets_of(schedule.tile) * max(schedule.unroll, schedule.unroll_reduce) > _MOST_POINTS:
        raise LimitError(
            f"schedule of {nest.name}: tile and unroll are beyond the limit of {_MOST_POINTS}"
        )


def check_block(name: str, schedule: Schedule) -> int:
    """How many elements a fragment reduces at a time, 0 if that is not said."""
    block = schedule.reduce_block
    if not isinstance(block, int) or block < 0 or block == 1:
        raise _misfit(name, f"reduce_block={block!r} is neither 0 nor at least 2")
    if block > MOST_AT_A_TIME:
        raise LimitError(
            f"schedule of {name}: reduce_block is beyond the limit of {MOST_AT_A_TIME}"
        )
    return block


def _misfit(name: str, why: str) -> ShapeError:
    return ShapeError(
        f"schedule of {name}: {why}",
        help="start from a printed one: kernel.compile(…).schedule",
    )


def runs_on_fragments(nest: Nest, schedule: Schedule) -> bool:
    """Whether `check_fragments` has no objection."""
    try:
        check_fragments(nest, schedule)
    except (LimitError, ShapeError):
        return False
    return True


def _objection(nest: Nest, tile: Tile, last: Var | None) -> str | None:
    targets = math.prod(tile) / LANES
    if targets not in TARGETS:
        return f"is none of {', '.join(str(t * LANES) for t in TARGETS)} points"
    if last is None:
        return "is for nests with one output, whose rows are a multiple of four long"
    if tile[nest.outer.index(last)] % LANES:
        return "has points along the rows of the output that are not a multiple of four"
    for axis, size in zip(nest.outer, tile, strict=True):
        if not isinstance(axis.extent, int) or size > axis.extent:
            return f"has {size} points of an axis of {axis.extent}"
    return None


def row_axis(nest: Nest) -> Var | None:
    """The outer axis along which the output's elements are neighbours, if texels do not cross its
    end."""
    finals = [stage for stage in nest.stages if stage.target not in nest.locals]
    if len(finals) != 1 or any(stage.axes for stage in nest.stages):
        return None
    axes = (*nest.outer, *(a for s in nest.stages for a in s.reduce_axes))
    if not nest.outer or not all(isinstance(a.extent, int) and a.extent for a in axes):
        return None
    try:
        last = axes_in_order(nest)[-1]
    except IRError:
        return None
    return last if isinstance(last.extent, int) and last.extent % LANES == 0 else None


def one_texel(nest: Nest, last: Var) -> Tile:
    """The tile of a single texel, along the rows of the output."""
    return tuple(LANES if axis is last else 1 for axis in nest.outer)


def tiles(nest: Nest) -> tuple[Tile, ...]:
    """The tiles of more than one texel that fit."""
    last = row_axis(nest)
    if last is None:
        return ()
    units = one_texel(nest, last)
    found: list[Tile] = []
    for counts in product(TARGETS, repeat=len(nest.outer)):
        tile = tuple(c * u for c, u in zip(counts, units, strict=True))
        if targets_of(tile) > 1 and _objection(nest, tile, last) is None:
            found.append(tile)
    return tuple(found)


# What a tile fetches.


def fetches(nest: Nest, tile: Tile, written_out: int) -> float:
    """Texels fetched for each texel of the output, where bodies of reductions hold `written_out`
    points. With several targets another pass puts their texels in order."""
    last = row_axis(nest)
    assert last is not None
    sizes = dict(zip(nest.outer, tile or one_texel(nest, last), strict=True))
    targets = targets_of(tile)
    made = sum(_stage_fetches(stage, nest, sizes, last, written_out) for stage in nest.stages)
    ordering = targets + 2 if targets > 1 else 0
    return made / targets + ordering


def _stage_fetches(
    stage: Stage, nest: Nest, sizes: Mapping[Var, int], last: Var, written_out: int
) -> float:
    """Texels fetched by one fragment for a stage."""
    steps = dict(sizes)
    rounds = 1.0
    for axis in reversed(stage.reduce_axes):
        assert isinstance(axis.extent, int)
        steps[axis] = min(axis.extent, max(1, written_out))
        rounds *= axis.extent / steps[axis]
        written_out //= axis.extent
    loads = {node for node in post_order((stage.value,)) if isinstance(node, Load)}
    return rounds * sum(
        _load_fetches(node.source, node.indices, steps, last)
        for node in loads
        if isinstance(node.source, Buffer) and node.source not in nest.locals
    )


def _load_fetches(
    buffer: Buffer, indices: tuple[Expr, ...], steps: Mapping[Var, int], last: Var
) -> int:
    """Different texels that the points of a body need of one load."""
    form = flat(buffer, indices)
    factors = {atom: form.coefficient(atom) for atom in form.terms if isinstance(atom, Var)}
    if len(factors) < len(form.terms):  # at places that are data
        return math.prod(steps.values())
    if all(_keeps_texels(axis, c, steps.get(axis, 1)) for axis, c in factors.items()):
        return len({place // LANES for place in _places(factors, steps, form.constant)})
    lane = factors.pop(last, 0)
    each = 1 if lane == 0 else 2 if lane == 1 else LANES
    texels = {**steps, last: steps[last] // LANES}
    if lane:
        factors[last] = lane * LANES
    return each * len(set(_places(factors, texels, 0)))


def _keeps_texels(axis: Var, factor: int, step: int) -> bool:
    """Whether elements lie at the same place of a texel from one body to the next."""
    return factor * step % LANES == 0 or axis.extent == step


def _places(factors: Mapping[Var, int], steps: Mapping[Var, int], constant: int) -> Iterator[int]:
    """The offsets of all points of a body, less what they have in common."""
    runs = [range(0, c * steps[axis], c) for axis, c in factors.items() if axis in steps and c]
    return (sum(point) + constant for point in product(*runs))
