"""State that a loop carries, written over the old one where nothing needs that any more.

In: the steps of one round, and for each value of the state the buffers before and after. Out: the
steps with as many of the states as possible in one buffer. A round may read old elements that other
points write (the row of the pivot, in an elimination): if they are few they are copied first.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tilewright.ir import build
from tilewright.ir.analysis.effects import touched
from tilewright.ir.expr import Const, Expr, Load, Source, Var, post_order
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.accesses import points
from tilewright.ir.lower.simplify_indices import index_simplifier
from tilewright.ir.program import (
    Copy,
    Nest,
    Ordered,
    RepeatWhile,
    SortRows,
    Stage,
    Step,
    extents,
    leaves,
    map_steps,
)
from tilewright.ir.traverse import replace_sources, substitute, variables

_LEAST_SAVED = 2
"""As many times fewer elements than the state has may be copied first."""
_LEAST_STATE = 64
"""Elements from which that is less work than to have two buffers, which costs nothing else."""

State = tuple[Buffer, Buffer]


def update_in_place(
    steps: Sequence[Step], states: Sequence[State]
) -> tuple[list[Step], list[Buffer], list[Buffer]]:
    """The round, the states (by the buffer before it) that stay where they are, and temporaries."""
    result, kept, copies = list(steps), [], []
    for before, after in states:
        made = _Round(result, before, after).in_place()
        if made is not None:
            result, copied = made
            kept.append(before)
            copies += copied
    return result, kept, copies


class _Round:
    """One round, and one value of the state."""

    def __init__(self, steps: Sequence[Step], before: Buffer, after: Buffer) -> None:
        self.steps = steps
        self.before = before
        self.after = after
        self.copies: list[Buffer] = []

    def in_place(self) -> tuple[list[Step], list[Buffer]] | None:
        """The steps with `before` in the place of `after`, and the temporaries that it takes."""
        writers = [k for k, s in enumerate(self.steps) if self.after in _touched(s, True)]
        readers = [k for k, s in enumerate(self.steps) if self.before in _touched(s, False)]
        if not writers or max(readers, default=-1) > writers[0] or self._is_viewed():
            return None
        first, *more = writers
        written = self._written(self.steps[first], bool(more))
        if written is None:
            return None
        later = map_steps(self.steps[first + 1 :], lambda s: (self._renamed(s),))
        return [*self.steps[:first], *written, *later], self.copies

    def _written(self, step: Step, more: bool) -> list[Step] | None:
        """The step that writes the state; `more` of them follow where it copies the old one."""
        match step:
            case Copy():
                return [] if step.source is self.before and step.target is self.after else None
            case Nest() if not more:
                return self._updated(step)
            case _:
                return None

    def _is_viewed(self) -> bool:
        """Whether something reads the new state under another shape."""
        return any(
            source.root is self.after and source is not self.after
            for step in self.steps
            for source in _sources(step)
        )

    # Nests.

    def _updated(self, nest: Nest) -> list[Step] | None:
        """The nest over one buffer, behind the copies of what its points take from each other."""
        writing = [k for k, s in enumerate(nest.stages) if s.target.root is self.after]
        if len(writing) != 1 or nest.stages[writing[0]].target is not self.after:
            return None
        last = nest.stages[writing[0]]
        if last.combiner is not None or any(self._loads(s) for s in nest.stages[writing[0] + 1 :]):
            return None
        if _is_same_element(last) and last.value.source is self.before:  # type: ignore[attr-defined]
            rest = tuple(s for s in nest.stages if s is not last)
            return [replace(nest, stages=rest)] if rest else []
        moved: dict[Load, Load] = {}
        first: list[Step] = []
        for stage in nest.stages[: writing[0] + 1]:
            for load in self._loads(stage):
                if self._stays(load, stage, last, nest):
                    continue
                copied = self._copied(load, stage, nest)
                if copied is None:
                    return None
                moved[load], step = copied
                first.append(step)
        stages = tuple(self._stage(s, moved) for s in nest.stages)
        return [*first, replace(nest, stages=stages)]

    def _loads(self, stage: Stage) -> list[Load]:
        return [
            n
            for n in post_order((stage.value, *stage.indices))
            if isinstance(n, Load) and _root(n.source) is self.before
        ]

    def _stays(self, load: Load, stage: Stage, last: Stage, nest: Nest) -> bool:
        """Whether the element has its old value when it is read, in whatever order points come."""
        if load.source is not self.before:
            return False
        if stage is last:
            return _same_indices(load.indices, last.indices)
        pairs = list(zip(load.indices, last.indices, strict=True))
        return all(any(i is axis and j is axis for i, j in pairs) for axis in nest.outer)

    def _copied(self, load: Load, stage: Stage, nest: Nest) -> tuple[Load, Step] | None:
        """The load from a copy of the elements that it takes, and the step that makes it."""
        around = (*nest.outer, *stage.axes, *stage.reduce_axes)
        axes = variables(load.indices)
        inside = [n.source for n in post_order(load.indices) if isinstance(n, Load)]
        if any(s in nest.locals for s in inside) or any(_root(s) is self.before for s in inside):
            return None
        moving = tuple(a for a in axes if a in around)
        whole = points(tuple(Var("", n) for n in self.before.shape))
        few = points(moving) * _LEAST_SAVED <= whole and whole >= _LEAST_STATE
        if len(moving) == len(around) or not few:
            return None
        if any(variables((build.index(n),)) for n in extents(moving)):
            return None
        fresh = {a: Var(a.name, a.extent) for a in moving}
        copy = Buffer(f"{self.before.name}c{len(self.copies)}", extents(moving), load.dtype)
        self.copies.append(copy)
        assert isinstance(load.source, Buffer)
        value = Load(load.source, _inside(load, fresh))
        indices = tuple(fresh.values())
        step = Nest(f"{nest.name}_old", indices, (Stage((), (), None, value, copy, indices),), ())
        return Load(copy, moving), step

    def _stage(self, stage: Stage, moved: dict[Load, Load]) -> Stage:
        def from_copy(load: Load) -> Expr | None:
            return moved.get(load)

        value = substitute(stage.value, {}, from_copy)
        indices = tuple(substitute(i, {}, from_copy) for i in stage.indices)
        target = self.before if stage.target is self.after else stage.target
        return replace(stage, value=value, indices=indices, target=target)

    # Steps behind the one that writes.

    def _renamed(self, step: Step) -> Step:
        """A leaf that uses the new state, on the buffer in which that now is."""
        mapping: dict[Source, Source] = {self.after: self.before}

        def to(buffer: Buffer) -> Buffer:
            return self.before if buffer is self.after else buffer

        match step:
            case Nest():
                stages = tuple(
                    replace(
                        s,
                        target=to(s.target),
                        value=replace_sources(s.value, mapping),
                        indices=tuple(replace_sources(i, mapping) for i in s.indices),
                    )
                    for s in step.stages
                )
                return replace(step, stages=stages)
            case Ordered():
                return replace(
                    step,
                    target=to(step.target),
                    value=replace_sources(step.value, mapping),
                    indices=tuple(replace_sources(i, mapping) for i in step.indices),
                )
            case Copy() | SortRows():
                return replace(step, source=to(step.source), target=to(step.target))
            case _:
                return step


def _inside(load: Load, fresh: dict[Var, Var]) -> tuple[Expr, ...]:
    """The indices over other axes, where they are not certain to be used kept inside."""
    simplify = index_simplifier()
    found = []
    for index, size in zip(load.indices, load.source.shape, strict=True):
        last = build.index(build.size_sub(size, 1))
        moved = substitute(index, dict(fresh))
        clamped = build.maximum(build.minimum(moved, last), build.index(0))
        found.append(simplify(clamped))
    return tuple(found)


def _root(source: Source) -> Source:
    return source.root if isinstance(source, Buffer) else source


def _is_same_element(stage: Stage) -> bool:
    """Whether the stage copies, each element to its own place."""
    return isinstance(stage.value, Load) and _same_indices(stage.value.indices, stage.indices)


def _same_indices(a: Sequence[Expr], b: Sequence[Expr]) -> bool:
    return len(a) == len(b) and all(
        i is j or (isinstance(i, Const) and isinstance(j, Const) and i.value == j.value)
        for i, j in zip(a, b, strict=True)
    )


def _touched(step: Step, writes: bool) -> set[Buffer]:
    """What a step writes, or what it reads."""
    found = touched((step,), writes=writes)
    if isinstance(step, RepeatWhile) and not writes:
        found.add(step.condition.root)
    return found


def _sources(step: Step) -> set[Buffer]:
    """The buffers, views as such, that a step names."""
    found: set[Buffer] = set()
    for leaf in leaves((step,)):
        match leaf:
            case Nest():
                found |= {s.target for s in leaf.stages}
                roots = [e for s in leaf.stages for e in (s.value, *s.indices)]
            case Ordered():
                found.add(leaf.target)
                roots = [leaf.value, *leaf.indices]
            case Copy() | SortRows():
                found |= {leaf.source, leaf.target}
                roots = []
            case _:
                roots = []
        found |= {
            n.source
            for n in post_order(roots)
            if isinstance(n, Load)
            if isinstance(n.source, Buffer)
        }
    return found
