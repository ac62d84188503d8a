"""Reductions over the same points of the same arrays become one launch with several targets.

In: the steps of a program. Out: the same steps, of which nests that reduce alike, and read a common
array or little at all, are one: the least and the largest element of each row, or a sum and one of
squares, are then made from one pass over the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from msgspec.structs import replace

from tilewright.ir.analysis.effects import touched
from tilewright.ir.expr import Expr, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.fragment.tiles import TARGETS
from tilewright.ir.lower.reducer import is_product
from tilewright.ir.program import Nest, Repeat, Stage, Step, extents
from tilewright.ir.traverse import substitute

LITTLE = 1 << 14
"""Elements that take less time than another launch does."""


def merge_reductions(steps: Sequence[Step], most_inputs: int) -> tuple[Step, ...]:
    """`most_inputs` is how many arrays a launch may read."""
    made: list[Step] = []
    for step in steps:
        if isinstance(step, Repeat):
            made.append(replace(step, steps=merge_reductions(step.steps, most_inputs)))
            continue
        place = _place(made, step, most_inputs) if isinstance(step, Nest) else None
        if place is None:
            made.append(step)
        else:
            earlier = made[place]
            assert isinstance(earlier, Nest)
            assert isinstance(step, Nest)
            made[place] = _merged(earlier, step)
    return tuple(made)


def _place(made: Sequence[Step], nest: Nest, most_inputs: int) -> int | None:
    """The number of a step that `nest` can be made together with."""
    if not _reduces(nest):
        return None
    reads, writes = _touched(nest, writes=False), _touched(nest, writes=True)
    for number in range(len(made) - 1, -1, -1):
        step = made[number]
        earlier_reads, earlier_writes = _touched(step, writes=False), _touched(step, writes=True)
        if earlier_writes & (reads | writes) or earlier_reads & writes:
            return None  # nor with what is before it
        if isinstance(step, Nest) and _reduces(step) and _alike(step, nest):
            inputs, targets = earlier_reads | reads, earlier_writes | writes
            pays = earlier_reads & reads or _elements(nest) <= LITTLE
            if pays and len(inputs) <= most_inputs and len(targets) <= TARGETS[-1]:
                return number
    return None


def _reduces(nest: Nest) -> bool:
    """Whether a nest is reductions over the same axes, and maps of what comes out. Those of
    products are better off with several texels of one output."""
    if any(stage.axes or is_product(stage) for stage in nest.stages):
        return False
    reduced = {stage.reduce_axes for stage in nest.stages if stage.reduce_axes}
    return len(reduced) == 1 and bool(nest.stages[0].reduce_axes)


def _elements(nest: Nest) -> int:
    return points((*nest.outer, *nest.stages[0].reduce_axes))


def _alike(one: Nest, other: Nest) -> bool:
    """Whether two nests have the same points, in the same order."""
    first, second = one.stages[0].reduce_axes, other.stages[0].reduce_axes
    return extents(one.outer) == extents(other.outer) and extents(first) == extents(second)


def _merged(one: Nest, other: Nest) -> Nest:
    """Stages in turns, so that the reductions are neighbours; what is stored comes last."""
    old = (*other.outer, *other.stages[0].reduce_axes)
    new = (*one.outer, *one.stages[0].reduce_axes)
    bindings: dict[Var, Expr] = dict(zip(old, new, strict=True))
    second = [_on_axes(stage, bindings, one.stages[0].reduce_axes) for stage in other.stages]
    both = [s for pair in zip_longest(one.stages, second) for s in pair if s is not None]
    scratch = (*one.locals, *other.locals)
    inside = [stage for stage in both if stage.target in scratch]
    stored = [stage for stage in both if stage.target not in scratch]
    return Nest(one.name, one.outer, (*inside, *stored), scratch)


def _on_axes(stage: Stage, bindings: dict[Var, Expr], reduced: tuple[Var, ...]) -> Stage:
    return replace(
        stage,
        reduce_axes=reduced if stage.reduce_axes else (),
        value=substitute(stage.value, bindings),
        indices=tuple(substitute(index, bindings) for index in stage.indices),
    )


def _touched(step: Step, *, writes: bool) -> set[Buffer]:
    """The arrays that a step writes, or reads."""
    own = step.locals if isinstance(step, Nest) else ()
    return touched((step,), writes=writes) - set(own)
