"""Rows that several stages read across lanes are turned once.

In: a nest whose outer axis lies across lanes, and its schedule. Out: the same nest; where two
stages or more read short rows that lie one behind the other (``x[i, r]`` for all r, with i across
lanes), a first stage copies them to scratch memory, in which the lanes are neighbours: the elements
of a vector are put together one by one once, and not again by every reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.analysis.ranges import interval
from tilewright.ir.expr import Expr, Load, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import flat
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule
from tilewright.ir.traverse import rewrite, substitute

_LEAST_STRIDE = 5
"""Elements at smaller strides are shuffled out of a few whole vectors."""
_LEAST_READERS = 2
_AT_A_TIME = 4
_SCRATCH_BYTES = 16 << 10
"""Half of a small first-level cache."""


class Row(Struct, frozen=True):
    """Neighbouring elements that one outer point reads; `terms` and `constant`: where they begin,
    in terms of outer axes."""

    buffer: Buffer
    terms: frozenset[tuple[Expr, int]]
    constant: int
    length: int


def turn_rows(nest: Nest, schedule: Schedule) -> Nest:
    """`nest` with a stage in front for each row that is worth it."""
    if not isinstance(schedule.vector, int):
        return nest
    axis = nest.outer[schedule.vector]
    points = math.prod(schedule.tile)
    copies: list[Stage] = []
    turned: dict[Row, Buffer] = {}
    for row, readers in _readers(nest, axis).items():
        if len(readers) < _LEAST_READERS:
            continue
        if row.length * points * row.buffer.dtype.itemsize > _SCRATCH_BYTES:
            continue
        name = f"{row.buffer.name}_row{len(turned)}"
        turned[row] = Buffer(name, (row.length,), row.buffer.dtype, "scratch")
        copies.append(_copy(*readers[0], turned[row]))
    if not turned:
        return nest
    stages = [_reading(nest, stage, turned) for stage in nest.stages]
    return replace(nest, stages=(*copies, *stages), locals=(*turned.values(), *nest.locals))


def _readers(nest: Nest, axis: Var) -> dict[Row, list[tuple[Stage, Load]]]:
    """The stages that read each row, its elements being apart along the vector axis."""
    found: dict[Row, list[tuple[Stage, Load]]] = {}
    for stage in nest.stages:
        loads = [n for n in post_order((stage.value,)) if isinstance(n, Load)]
        rows = {row: node for node in loads if (row := _row(nest, stage, node)) is not None}
        for row, node in rows.items():
            if abs(dict(row.terms).get(axis, 0)) >= _LEAST_STRIDE:
                found.setdefault(row, []).append((stage, node))
    return found


def _row(nest: Nest, stage: Stage, node: Load) -> Row | None:
    """The row that the innermost axis of a stage runs along, if `node` reads one."""
    buffer, inside = node.source, (*stage.axes, *stage.reduce_axes)
    if not isinstance(buffer, Buffer) or not inside or not isinstance(inside[-1].extent, int):
        return None
    if any(s.target.root is buffer.root for s in nest.stages) or not _is_inside(buffer, node):
        return None
    form = flat(buffer, node.indices)
    terms = dict(form.terms)
    if terms.pop(inside[-1], 0) != 1 or not all(atom in nest.outer for atom in terms):
        return None
    return Row(buffer, frozenset(terms.items()), form.constant, inside[-1].extent)


def _is_inside(buffer: Buffer, node: Load) -> bool:
    """Whether the element exists at every point, and not only where a choice by position asks for
    it: the copy has no such choice."""
    for index, size in zip(node.indices, buffer.shape, strict=True):
        low, high = interval(index)
        if isinstance(index, Var) and index.extent == size:
            continue
        if not isinstance(size, int) or low is None or high is None or low < 0 or high >= size:
            return False
    return True


def _copy(stage: Stage, node: Load, local: Buffer) -> Stage:
    """What fills the scratch row: the load of one of its readers, along axes of its own. Four
    elements at a time stand side by side in the code; the last four may repeat some."""
    along = (*stage.axes, *stage.reduce_axes)[-1]
    length = local.shape[0]
    assert isinstance(length, int)
    if length < _AT_A_TIME:
        counter = Var("row", length)
        axes: tuple[Var, ...] = (counter,)
        place: Expr = counter
    else:
        axes = (Var("rows", -(-length // _AT_A_TIME)), Var("row", _AT_A_TIME))
        first = build.mul(axes[0], build.index(_AT_A_TIME))
        if length % _AT_A_TIME:
            first = build.minimum(first, build.index(length - _AT_A_TIME))
        place = build.add(first, axes[1])
    value = substitute(node, {along: place})
    return Stage(axes, (), None, value, local, (place,), stage.label, stage.loc)


def _reading(nest: Nest, stage: Stage, turned: Mapping[Row, Buffer]) -> Stage:
    """The stage with what it reads of the rows from scratch memory."""

    def load(node: Expr) -> Expr | None:
        row = _row(nest, stage, node) if isinstance(node, Load) else None
        local = turned.get(row) if row is not None else None
        return None if local is None else Load(local, ((*stage.axes, *stage.reduce_axes)[-1],))

    return replace(stage, value=rewrite(stage.value, load))
