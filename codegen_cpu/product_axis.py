"""Which axis of a sum of products lies across lanes.

In: a nest with one stage that adds up products. Out: an outer axis, ``INNER``, or None where the
nest is of another form or has no points.

Results that are neighbours in memory can share a vector: one factor is then repeated in all lanes.
Or the lanes hold parts of one sum, and are combined at its end (a *dot product*). What either costs
is counted in vector operations. It depends on how well the axis fills its vectors, on how many sums
there are to combine, and on which operands have to be copied, or put together element by element,
because they do not lie along the lanes.
"""

from __future__ import annotations

from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, accesses, points
from tilewright.ir.lower.pack_operands import contraction, is_worth_a_copy
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER

_COMBINED_LANES = 2.0
"""Each halving of the lanes of a sum."""
_APART = 2.0
"""An element loaded into its lane, or stored from it."""
_COPIED = 3.0
"""An element copied, when rows become columns."""
_NEAR = 4
_ONE_VECTOR = 1.1
"""In a tile with one vector of columns, every multiply-add loads its other factor."""
_OUT_OF_CACHE = 2.0
_ROWS_OF_TILE = 8


def product_axis(nest: Nest, target: CpuTarget) -> Var | str | None:
    """The cheaper form: the outer axis of the neighbouring results, or ``INNER``."""
    stage = contraction(nest)
    if stage is None or not points((*nest.outer, *stage.reduce_axes)):
        return None
    found = accesses(nest)
    loads = [a for a in found if a.stage is stage and not a.is_store]
    stores = [a for a in found if a.is_store]
    if any(a.stride(axis) is None for a in loads for axis in (*nest.outer, *stage.reduce_axes)):
        return None
    lanes = max(1, target.vector_bits // stage.value.dtype.bits)
    costs: dict[Var | str, float] = {
        axis: _columns(nest, stage, axis, loads, stores, lanes)
        for axis in nest.outer
        if any(load.stride(axis) for load in loads)
    }
    if not target.reproducible:
        costs[INNER] = _dots(nest, stage, loads, lanes, target)
    return min(costs, key=lambda axis: costs[axis], default=None)


def _columns(
    nest: Nest, stage: Stage, axis: Var, loads: list[Access], stores: list[Access], lanes: int
) -> float:
    products = points(nest.outer) * points(stage.reduce_axes)
    size = max(1, points((axis,)))  # there may be no rows at all
    vectors = products / size * -(-size // lanes)
    results = points(nest.outer)
    cost = vectors * (_ONE_VECTOR if size <= lanes else 1.0)
    for store in stores:
        if (stride := store.stride(axis)) != 1:
            near = stride is not None and 0 < abs(stride) <= _NEAR
            cost += _APART * (results / size * -(-size // lanes) if near else results)
    return cost + sum(_brought_in(nest, stage, load, axis, vectors) for load in loads)


def _dots(nest: Nest, stage: Stage, loads: list[Access], lanes: int, target: CpuTarget) -> float:
    products = points(nest.outer) * points(stage.reduce_axes)
    axis = stage.reduce_axes[-1]
    size = max(1, points((axis,)))  # there may be no rows at all
    vectors = products / size * -(-size // lanes)
    row = points(stage.reduce_axes) * stage.value.dtype.itemsize
    far = row * _ROWS_OF_TILE > target.caches.l1
    combined = _COMBINED_LANES * (lanes.bit_length() - 1) * points(nest.outer)
    cost = vectors * (_OUT_OF_CACHE if far else 1.0) + combined
    return cost + sum(_brought_in(nest, stage, load, axis, vectors) for load in loads)


def _brought_in(nest: Nest, stage: Stage, load: Access, axis: Var, vectors: float) -> float:
    """What it costs, besides a load of each vector, that an operand does not lie along `axis`."""
    stride = load.stride(axis)
    if stride in (0, 1):
        return 0.0
    assert stride is not None
    products = points(nest.outer) * points(stage.reduce_axes)
    one_by_one = vectors * _APART if abs(stride) <= _NEAR else products * _APART
    if not is_worth_a_copy(nest, stage, load):
        return one_by_one
    moving = tuple(a for a in (*nest.outer, *stage.reduce_axes) if load.stride(a))
    return min(one_by_one, _COPIED * points(moving))
