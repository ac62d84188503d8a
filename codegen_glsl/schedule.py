"""How nests run as fragments unless someone chose otherwise.

In: a nest. Out: its default `Schedule`, of which this target reads `unroll` (points of a reduction
written out per iteration) and `unroll_reduce` (reductions written out whole).
"""

from __future__ import annotations

from tilewright.ir.lower.accesses import operations
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule

# Compilers of browsers get slow beyond a few hundred operations in a loop body.
_MOST_OPERATIONS = 160
_MOST_POINTS = 16
_MOST_EXPANDED = 32
_EXTREME_COST = 12


def default_schedule(nest: Nest) -> Schedule:
    """Long bodies are repeated less often in the text."""
    cost = max((_cost(s) for s in nest.stages if s.reduce_axes), default=1)
    points = min(_MOST_POINTS, max(1, _MOST_OPERATIONS // cost))
    expanded = min(_MOST_EXPANDED, max(4, _MOST_OPERATIONS // cost))
    return Schedule(unroll=1 << (points.bit_length() - 1), unroll_reduce=expanded)


def _cost(stage: Stage) -> int:
    """Operations to make and combine one point; extremes of floats look for NaN."""
    extreme = stage.value.dtype.is_float and stage.combiner in ("min", "max", "fmin", "fmax")
    return 1 + operations(stage.value) + (_EXTREME_COST if extreme else 0)
