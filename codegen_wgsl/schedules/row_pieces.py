"""What an invocation takes of the rows that it shares, or that it computes alone.

In: a nest whose outer points are rows, and what the device has. Out: parts of a schedule of
``vector="inner"``. Rows of whole ``vec4`` are read by these. A product with a vector reads it once
for several rows, as long as enough invocations are left. A processor that plays a GPU gets one
invocation for each row, which waits for nobody, and reads vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from tilewright.ir.expr import Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import Access, accesses, outer_is_contiguous, points
from tilewright.ir.lower.check_schedule import LANES, is_legal
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import INNER, Schedule

_ENOUGH = 8192  # invocations that are left when each works on several rows
_TILES = (4, 2)
_SHORT_ROW = 32
_LEAST_ROWS = 4  # of a workgroup of a processor: fewer are better off as points of a grid
_MOST_ROWS = 16
_GROUPS = 4  # of a processor
_LONG_LOCAL = 256
"""Elements of a local row with which Mesa compiles for seconds if every invocation has its own."""


def in_pieces(nest: Nest, made: Schedule) -> Schedule:
    """`made`, in which invocations share rows, with vectors and several rows at once."""
    *_, threads = made.workgroup
    outer = points(nest.outer)
    for tile in _TILES:
        several = replace(made, tile=row_tile(nest, tile))
        if outer // tile * threads >= _ENOUGH and fits_tile(nest, tile) and is_legal(nest, several):
            made = several
            break
    return replace(made, width=LANES if has_vectors(nest) else 1)


def alone(nest: Nest, fits: Callable[[Schedule], bool]) -> Schedule | None:
    """An invocation for each row, on a processor; None where points of a grid do as well. `fits`:
    whether a workgroup has the memory."""
    longest = max((points((*s.axes, *s.reduce_axes)) for s in nest.stages), default=1)
    if longest < _SHORT_ROW or outer_is_contiguous(nest):
        return None
    vectors = has_vectors(nest)
    if not vectors and max((points_of(b) for b in nest.locals), default=0) < _LONG_LOCAL:
        return None
    if any(s.scans for s in nest.stages):
        return None
    tile = next((t for t in _TILES if fits_tile(nest, t)), 1)
    rows = _MOST_ROWS
    while rows >= _LEAST_ROWS:
        made = Schedule(
            tile=row_tile(nest, tile),
            vector=INNER,
            width=LANES if vectors else 1,
            workgroup=(rows, 1),
        )
        is_busy = rows == _LEAST_ROWS or rows * tile * _GROUPS <= points(nest.outer)
        if is_busy and fits(made):
            return made
        rows //= 2
    return None


def points_of(local: Buffer) -> int:
    """The elements of a local."""
    return math.prod(n for n in local.shape if isinstance(n, int))


def row_tile(nest: Nest, size: int) -> tuple[int, ...]:
    """The tile of an invocation that works on `size` rows at once."""
    axis = row_axis(nest)
    return tuple(size if a is axis else 1 for a in nest.outer) if size > 1 else ()


def fits_tile(nest: Nest, size: int) -> bool:
    """Whether rows have something in common along an axis of at least so many."""
    axis = row_axis(nest)
    return axis is not None and points((axis,)) >= size


def row_axis(nest: Nest) -> Var | None:
    """The innermost axis along which rows have something in common that a reduction reads, and read
    the rest from end to end; None where there is none."""
    if any(s.axes for s in nest.stages):
        return None
    loads = [a for a in accesses(nest) if a.stage.reduce_axes and not a.is_store]
    return next((a for a in reversed(nest.outer) if _is_shared(loads, a)), None)


def _is_shared(loads: list[Access], axis: Var) -> bool:
    own = [a for a in loads if a.stride(axis) != 0]
    common = [a for a in loads if a.stride(axis) == 0 and _along(a) not in (None, 0)]
    return bool(own) and bool(common) and all(_along(a) in (0, 1) for a in own)


def has_vectors(nest: Nest) -> bool:
    """Whether all stages go along rows of whole ``vec4``."""
    return all(map(_is_of_vectors, nest.stages)) and all(map(_is_aligned, accesses(nest)))


def _is_of_vectors(stage: Stage) -> bool:
    lasts = (axes[-1].extent for axes in (stage.axes, stage.reduce_axes) if axes)
    return all(isinstance(last, int) and last % LANES == 0 for last in lasts)


def _along(access: Access) -> int | None:
    """How far an access moves along the innermost axis of its stage."""
    axes = _axes(access)
    return access.stride(axes[-1]) if axes else 0


def _is_aligned(access: Access) -> bool:
    step = _along(access)
    if step == 0:
        return True
    last = _axes(access)[-1]
    others = (c for atom, c in access.form.terms.items() if atom is not last)
    return step == 1 and not any(c % LANES for c in (access.form.constant, *others))


def _axes(access: Access) -> tuple[Var, ...]:
    return (*access.stage.axes, *access.stage.reduce_axes)
