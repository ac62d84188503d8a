"""How nests run as fragments unless someone chose otherwise.

In: a nest with merged axes. Out: its default `Schedule`, of which this target reads `tile` (the
elements that one fragment makes, four for each of its render targets), `unroll` (points of a
reduction written out per iteration), `unroll_reduce` (reductions written out whole) and `pack`
(operands that are copied so that their rows begin with texels).
"""

from __future__ import annotations

from msgspec import Struct

from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import operations, points
from tilewright.ir.lower.fragment.pad_operands import copied_texels, pad_operands, paddable
from tilewright.ir.lower.fragment.tiles import Tile, fetches, one_texel, row_axis, targets_of, tiles
from tilewright.ir.lower.unravel import LANES
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule

# Compilers of browsers get slow beyond a few hundred operations in a loop body.
_MOST_OPERATIONS = 160
_MOST_OF_A_TILE = 256
_MOST_POINTS = 16
_MOST_EXPANDED = 32
_EXTREME_COST = 12
# Fewer fragments than this leave a device idle, however little each of them fetches.
_LEAST_FRAGMENTS = 1024
# What a tile must save: it takes a second pass, and more registers.
_WORTH_A_PASS = 0.6
# Operations on vectors in the time that one fetch takes.
_FETCH_COST = 8
# Fetches in the time in which a texel of a copy is put together and written.
_COPY_COST = 6


class _Choice(Struct, frozen=True):
    """A tile and which operands are copied first, and the time of it all for a texel."""

    tile: Tile
    pack: tuple[int, ...]
    time: float


def default_schedule(nest: Nest) -> Schedule:
    """Long bodies are repeated less often in the text."""
    cost = _cost_of_bodies(nest)
    chosen = _chosen(nest, cost)
    return Schedule(
        tile=chosen.tile,
        unroll=_unroll(chosen.tile, cost),
        unroll_reduce=min(_MOST_EXPANDED, max(4, _room(chosen.tile) // cost)),
        pack=chosen.pack,
    )


def _chosen(nest: Nest, cost: int) -> _Choice:
    """What takes least time, if that is much less than single texels of what is there do."""
    plain = _Choice((), (), 0.0)
    texels, last = points(nest.outer) // LANES, row_axis(nest)
    reduced = max((points(s.reduce_axes) for s in nest.stages if s.reduce_axes), default=0)
    if last is None or not reduced or texels < 2 * _LEAST_FRAGMENTS:
        return plain
    single = one_texel(nest, last)
    fitting = [t for t in tiles(nest) if texels // targets_of(t) >= _LEAST_FRAGMENTS]

    def time(on: Nest, tile: Tile) -> float:
        return _FETCH_COST * fetches(on, tile, _unroll(tile, cost)) + cost * reduced

    choices = [_Choice(tile, (), time(nest, tile)) for tile in fitting]
    pack = paddable(nest, last)
    if pack:
        copies, packed = pad_operands(nest, pack, last)
        copying = _FETCH_COST * _COPY_COST * copied_texels(copies) / texels
        choices += [_Choice(t, pack, time(packed, t) + copying) for t in (single, *fitting)]
    best = min(choices, key=lambda choice: choice.time, default=plain)
    return best if best.time < _WORTH_A_PASS * time(nest, ()) else plain


def _room(tile: Tile) -> int:
    """How many operations the body of a loop may hold for each texel of a tile."""
    targets = targets_of(tile)
    return _MOST_OF_A_TILE // targets if targets > 1 else _MOST_OPERATIONS


def _unroll(tile: Tile, cost: int) -> int:
    """Points of a reduction in the body of its loop, a power of two."""
    fitting = min(_MOST_POINTS, max(1, _room(tile) // cost))
    return 1 << (fitting.bit_length() - 1)


def _cost_of_bodies(nest: Nest) -> int:
    """Operations for one point in the longest body: stages over the same axes share one."""
    costs: dict[tuple[Var, ...], int] = {}
    for stage in nest.stages:
        if stage.reduce_axes:
            costs[stage.reduce_axes] = costs.get(stage.reduce_axes, 0) + _cost(stage)
    return max(costs.values(), default=1)


def _cost(stage: Stage) -> int:
    """Operations to make and combine one point; extremes of floats look for NaN."""
    extreme = stage.value.dtype.is_float and stage.combiner in ("min", "max", "fmin", "fmax")
    return 1 + operations(stage.value) + (_EXTREME_COST if extreme else 0)
