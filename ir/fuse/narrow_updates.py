"""Updates of a part of a tensor in place, over the points of that part alone.

In: the steps of a round, with nests that write ``where(inside, new, old)`` over ``old``, `inside`
being made of comparisons of positions with the number of the round, as eliminations have it. Out:
these nests over the points that are inside. Their extents then depend on the round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir import build, ops
from tilewright.ir.analysis.affine import linear
from tilewright.ir.analysis.tensor_ranges import holds
from tilewright.ir.dtypes import BOOL, INDEX
from tilewright.ir.expr import Apply, Const, Expr, Load, Size, Var, post_order
from tilewright.ir.lower.simplify_indices import index_simplifier
from tilewright.ir.program import Nest, Stage, Step
from tilewright.ir.traverse import rewrite, substitute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tilewright.ir.kernel import Buffer

_OPPOSITE = {
    ops.LT: ops.GE,
    ops.GE: ops.LT,
    ops.GT: ops.LE,
    ops.LE: ops.GT,
    ops.EQ: ops.NE,
    ops.NE: ops.EQ,
}
_MIRRORED = {ops.LT: ops.GT, ops.GT: ops.LT, ops.LE: ops.GE, ops.GE: ops.LE, ops.EQ: ops.EQ}


def narrow_updates(steps: Sequence[Step], constants: Mapping[Buffer, np.ndarray]) -> list[Step]:
    """The steps of a round, with updates of parts over the points of these. Inner rounds are left
    as they are."""
    masks = _masks(steps, constants)
    return [_narrowed(s, constants, masks) if isinstance(s, Nest) else s for s in steps]


def _narrowed(
    nest: Nest, constants: Mapping[Buffer, np.ndarray], masks: Mapping[Buffer, Stage]
) -> Nest:
    last = len(nest.stages) - 1
    written = [k for k, s in enumerate(nest.stages) if s.target not in nest.locals]
    for k in written:
        stage, alone = nest.stages[k], written == [last]
        axes = (*nest.outer, *stage.axes) if alone else stage.axes
        if axes and stage.combiner is None:
            nest = _Narrowing(nest, stage, axes, constants, masks).nest_inside()
    return nest


def _masks(steps: Sequence[Step], constants: Mapping[Buffer, np.ndarray]) -> dict[Buffer, Stage]:
    """The truth values that one stage of the round makes of positions and numbers of rounds."""
    found: dict[Buffer, Stage] = {}
    several: set[Buffer] = set()
    for step in steps:
        for stage in step.stages if isinstance(step, Nest) else ():
            if stage.target.dtype is not BOOL:
                continue
            if stage.target in found:
                several.add(stage.target)
            found[stage.target] = stage
    return {
        b: s
        for b, s in found.items()
        if b not in several and not s.combiner and _reads_only(s, constants)
    }


def _reads_only(stage: Stage, constants: Mapping[Buffer, np.ndarray]) -> bool:
    loads = [n for n in post_order((stage.value,)) if isinstance(n, Load)]
    return all(n.source in constants for n in loads)


class _Bounds(Struct):
    """The positions along one axis that are written: ``low <= axis < high``."""

    low: Expr
    high: Expr


class _Narrowing:
    """One nest, the stage of it that writes, and the axes along which it may be cut."""

    def __init__(
        self,
        nest: Nest,
        stage: Stage,
        axes: tuple[Var, ...],
        constants: Mapping[Buffer, np.ndarray],
        masks: Mapping[Buffer, Stage],
    ) -> None:
        self.nest = nest
        self.stage = stage
        self.axes = axes
        self.constants = constants
        self.masks = masks
        self.bounds: dict[Var, _Bounds] = {}
        self.simplify: Callable[[Expr], Expr] = index_simplifier()

    def nest_inside(self) -> Nest:
        """The nest over the points at which something new is written."""
        conditions, value = self._peeled()
        left = [c for c in conditions if not self._bound(c)]
        if not self.bounds:
            return self.nest
        old = Load(self.stage.target, self.stage.indices)
        for condition in left:
            value = build.select(condition, value, old)
        return self._moved(value)

    def _peeled(self) -> tuple[list[Expr], Expr]:
        """What must hold for a point to be written, and the value that it then gets."""
        conditions: list[Expr] = []
        value = self.stage.value
        while isinstance(value, Apply) and value.op is ops.SELECT:
            condition, yes, no = value.operands
            if self._is_old(no):
                conditions += self._conjuncts(condition)
                value = yes
            elif self._is_old(yes) and (opposite := self._opposite(condition)) is not None:
                conditions.append(opposite)
                value = no
            else:
                break
        return conditions, value

    def _is_old(self, value: Expr) -> bool:
        return (
            isinstance(value, Load)
            and value.source is self.stage.target
            and all(i is j for i, j in zip(value.indices, self.stage.indices, strict=True))
        )

    # Conditions.

    def _bound(self, condition: Expr) -> bool:
        """Whether the condition has become bounds of an axis."""
        condition = self._meaning(condition)
        if not isinstance(condition, Apply) or condition.op not in _MIRRORED:
            return False
        sides = [self._position(o) for o in condition.operands]
        if any(s is None for s in sides):
            return False
        form = linear(self.simplify(build.sub(sides[0], sides[1])))  # type: ignore[arg-type]
        axes = [a for a in self.axes if form.coefficient(a)]
        if len(axes) != 1 or abs(form.coefficient(axes[0])) != 1:
            return False
        axis, op = axes[0], condition.op
        rest = form.without(axis).expression()
        if not self._is_known(rest):
            return False
        if form.coefficient(axis) == 1:
            rest = build.mul(rest, build.index(-1))
            self._cut(axis, op, linear(rest).expression())
        else:
            self._cut(axis, _MIRRORED[op], rest)
        return True

    def _is_known(self, rest: Expr) -> bool:
        """Whether it is made of numbers of rounds and open dimensions, known before the launch."""
        moving = {
            *self.nest.outer,
            *(a for s in self.nest.stages for a in (*s.axes, *s.reduce_axes)),
        }
        return not any(isinstance(n, Load) or n in moving for n in post_order((rest,)))

    def _conjuncts(self, condition: Expr) -> list[Expr]:
        meant = self._meaning(condition)
        if isinstance(meant, Apply) and meant.op is ops.AND:
            return [c for o in meant.operands for c in self._conjuncts(o)]
        return [condition]

    def _opposite(self, condition: Expr) -> Expr | None:
        """The comparison of integers that holds where `condition` does not."""
        meant = self._meaning(condition)
        if not isinstance(meant, Apply) or meant.op not in _OPPOSITE:
            return None
        exact = all(_is_integer(o) for o in meant.operands)
        return Apply(_OPPOSITE[meant.op], meant.operands) if exact else None

    def _meaning(self, condition: Expr) -> Expr:
        """What a mask was computed from, where that is positions alone."""
        if not isinstance(condition, Load) or condition.source not in self.masks:
            return condition
        stage = self.masks[condition.source]  # type: ignore[index]
        places = zip(stage.indices, condition.indices, strict=True)
        return substitute(stage.value, {a: i for a, i in places if isinstance(a, Var)})

    def _cut(self, axis: Var, op: ops.Op, place: Expr) -> None:
        """Keep the points with ``axis op place``."""
        assert axis.extent is not None
        bounds = self.bounds.setdefault(axis, _Bounds(build.index(0), build.index(axis.extent)))
        beyond = build.add(place, build.index(1))
        if op in (ops.GE, ops.GT, ops.EQ):
            low = beyond if op is ops.GT else place
            bounds.low = self.simplify(build.maximum(bounds.low, low))
        if op in (ops.LT, ops.LE, ops.EQ):
            high = place if op is ops.LT else beyond
            bounds.high = self.simplify(build.minimum(bounds.high, high))

    def _position(self, value: Expr) -> Expr | None:
        """An integer as an index: casts of indices, and arrays that count, are seen through."""
        if value.dtype is INDEX:
            return self.simplify(rewrite(value, _without_detour))
        if isinstance(value, Const) and value.dtype.is_integer:
            return build.index(int(value.value))
        if isinstance(value, Apply) and value.op is ops.CAST:
            inner = value.operands[0]
            place = self._position(inner) if _is_integer(inner) else None
            return place if place is not None and holds(value.dtype, place) else None
        if isinstance(value, Load) and value.source in self.constants and len(value.indices) == 1:
            array = self.constants[value.source]  # type: ignore[index]
            if np.array_equal(array, np.arange(array.size)):
                return value.indices[0]
        return None

    # The nest.

    def _moved(self, value: Expr) -> Nest:
        bindings: dict[Var, Expr] = {}
        kept: dict[Var, Var | None] = {}
        for axis, bounds in self.bounds.items():
            size = self._size(bounds)
            if size == 0:
                return self.nest
            if size == 1:
                bindings[axis], kept[axis] = bounds.low, None
            else:
                fresh = kept[axis] = Var(axis.name, size)
                bindings[axis] = build.add(fresh, bounds.low)
        memo: dict[Expr, Expr] = {}

        def ready(e: Expr) -> Expr:
            return substitute(e, bindings, None, memo)

        def axes(old: Sequence[Var]) -> tuple[Var, ...]:
            return tuple(a for o in old if (a := kept.get(o, o)) is not None)

        stages = []
        for stage in self.nest.stages:
            new = value if stage is self.stage else stage.value
            indices = tuple(map(ready, stage.indices))
            if stage is not self.stage:  # a local: its own axes are those of its shape
                stages.append(replace(stage, value=ready(new), indices=indices))
            else:
                stages.append(
                    replace(stage, axes=axes(stage.axes), value=ready(new), indices=indices)
                )
        return replace(self.nest, outer=axes(self.nest.outer), stages=tuple(stages))

    def _size(self, bounds: _Bounds) -> Size:
        size = linear(build.sub(bounds.high, bounds.low)).expression()
        size = self.simplify(build.maximum(self.simplify(size), build.index(0)))
        known = build.known(size)
        return size if known is None else known


def _is_integer(value: Expr) -> bool:
    return value.dtype is INDEX or value.dtype.is_integer


def _without_detour(node: Expr) -> Expr | None:
    """``index(i64(x)) -> x`` for an index `x`: numbers of rounds are integers of the user's."""
    if not isinstance(node, Apply) or node.op is not ops.CAST or node.dtype is not INDEX:
        return None
    inner = node.operands[0]
    if not isinstance(inner, Apply) or inner.op is not ops.CAST:
        return None
    value = inner.operands[0]
    return value if value.dtype is INDEX and holds(inner.dtype, value) else None
