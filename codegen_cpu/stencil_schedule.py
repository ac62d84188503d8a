"""Stencils: which outer axis to take several points of, so that what they share is read once.

In: a nest and its vector axis. Out: the axis along which neighbouring points read the same
elements. Four rows of a 3x3 window read six rows and not twelve; and unaligned loads, two cache
lines each, are what such a nest spends its time with.
"""

from __future__ import annotations

from itertools import combinations

from tilewright.codegen_cpu.target import CpuTarget
from tilewright.ir.expr import Var
from tilewright.ir.lower.accesses import Access, accesses, operations, points
from tilewright.ir.lower.bands import BandLimits
from tilewright.ir.lower.segments import nest_inside
from tilewright.ir.program import Nest

_MOST_OPERATIONS = 80
_CONFLICTING_BYTES = 2048
_FARTHEST = 8
_MOST_ON_STACK = 256 << 10


def neighbour_axis(nest: Nest, vector_axis: Var) -> Var | None:
    """The outer axis whose neighbouring points share most loads, if there is one."""
    if any(s.axes for s in nest.stages) or _operations(nest) > _MOST_OPERATIONS:
        return None
    inside = nest
    for axis in nest.outer:
        inside = nest_inside(inside, axis)
    loads = [a for a in accesses(inside) if not a.is_store and a.stride(vector_axis) == 1]
    rows = [a for a in inside.outer if a is not vector_axis and points((a,)) >= _FARTHEST]
    rows = [a for a in rows if not any(_conflicts(load, a) for load in loads)]
    shared = {axis: _shared(loads, axis) for axis in rows}
    return max(rows, key=lambda a: shared[a]) if any(shared.values()) else None


def band_limits(target: CpuTarget) -> BandLimits:
    """How much nests may hand on inside of a core. It lies on the stack: no more than that of a
    thread surely has."""
    if target.architecture == "wasm32":
        return BandLimits(0, 0)
    return BandLimits(min(target.caches.l2 // 2, _MOST_ON_STACK), target.caches.l2 // 2)


def rows_of_tile(target: CpuTarget) -> int:
    """Rows that a tile of a stencil has."""
    return 4 if target.vector_registers >= 32 else 2


def _conflicts(load: Access, axis: Var) -> bool:
    """Whether rows lie so that they have the same few places in the first cache: one after the
    other they stay there, several at once push each other out."""
    step = load.stride(axis) or 1
    return step * load.buffer.dtype.itemsize % _CONFLICTING_BYTES == 0


def _operations(nest: Nest) -> int:
    return sum(operations(s.value) * points(s.reduce_axes) for s in nest.stages)


def _shared(loads: list[Access], axis: Var) -> int:
    """How many loads a neighbouring point along `axis` does as well."""
    windows = sum(_slides(load, axis) for load in loads)
    return windows + sum(_follows(a, b, axis) for a, b in combinations(loads, 2))


def _slides(load: Access, axis: Var) -> bool:
    """A window: some reduced axis moves as the outer one does."""
    step = load.stride(axis)
    return bool(step) and any(load.stride(r) == step for r in load.stage.reduce_axes)


def _follows(a: Access, b: Access, axis: Var) -> bool:
    """Whether `b` reads now what `a` reads a few points later."""
    step = a.stride(axis)
    if not step or a.buffer.root is not b.buffer.root or a.form.terms != b.form.terms:
        return False
    rows = round((b.form.constant - a.form.constant) / step)
    return 0 < abs(rows) <= _FARTHEST
