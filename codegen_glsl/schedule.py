"""How nests run as fragments unless someone chose otherwise.

In: a nest with merged axes. Out: its default `Schedule`, of which this target reads `tile` (the
elements that one fragment makes, four for each of its render targets), `unroll` (points of a
reduction written out per iteration) and `unroll_reduce` (reductions written out whole).
"""

from __future__ import annotations

from tilewright.ir.lower.accesses import operations, points
from tilewright.ir.lower.fragment.tiles import Tile, fetches, targets_of, tiles
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


def default_schedule(nest: Nest) -> Schedule:
    """Long bodies are repeated less often in the text."""
    cost = max((_cost(s) for s in nest.stages if s.reduce_axes), default=1)
    tile = _default_tile(nest, cost)
    room = _room(tile) // cost
    return Schedule(
        tile=tile,
        unroll=_unroll(tile, cost),
        unroll_reduce=min(_MOST_EXPANDED, max(4, room)),
    )


def _room(tile: Tile) -> int:
    """How many operations the body of a loop may hold for each texel of a tile."""
    targets = targets_of(tile)
    return _MOST_OF_A_TILE // targets if targets > 1 else _MOST_OPERATIONS


def _unroll(tile: Tile, cost: int) -> int:
    """Points of a reduction in the body of its loop, a power of two."""
    fitting = min(_MOST_POINTS, max(1, _room(tile) // cost))
    return 1 << (fitting.bit_length() - 1)


def _default_tile(nest: Nest, cost: int) -> Tile:
    """The tile that takes least time, if that is much less than single texels do."""
    texels = points(nest.outer) // LANES
    reduced = max((points(s.reduce_axes) for s in nest.stages if s.reduce_axes), default=0)
    if texels < 2 * _LEAST_FRAGMENTS or not reduced:
        return ()
    times = {
        tile: _FETCH_COST * fetches(nest, tile, _unroll(tile, cost)) + cost * reduced
        for tile in ((), *tiles(nest))
        if texels // targets_of(tile) >= _LEAST_FRAGMENTS
    }
    best = min(times, key=lambda tile: times[tile])
    return best if times[best] < _WORTH_A_PASS * times[()] else ()


def _cost(stage: Stage) -> int:
    """Operations to make and combine one point; extremes of floats look for NaN."""
    extreme = stage.value.dtype.is_float and stage.combiner in ("min", "max", "fmin", "fmax")
    return 1 + operations(stage.value) + (_EXTREME_COST if extreme else 0)
