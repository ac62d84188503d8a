"""When each temporary of a program holds a value that is still needed.

In: a program. Out: for each temporary that is used, the first and the last position at which its
storage must be its own. Positions number the steps in the order in which they are written; a
repeat covers the positions of all its steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from tilewright.ir.analysis.effects import effects
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Program, Repeat, RepeatWhile, Step


class Lifetime(Struct):
    """Positions ``first … last``, both included."""

    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


class Use(Struct, frozen=True):
    """One use of a buffer: where, in which repeats (outermost first), and of what kind."""

    position: int
    repeats: tuple[int, ...]
    writes: bool


class _Timeline(Struct):
    position: int = 0
    uses: dict[Buffer, list[Use]] = field(default_factory=dict)
    spans: list[Lifetime] = field(default_factory=list)
    """The positions that each repeat covers."""

    def steps(self, steps: Sequence[Step], repeats: tuple[int, ...]) -> None:
        for step in steps:
            match step:
                case Repeat():
                    inside = self.open(repeats)
                    self.steps(step.steps, inside)
                    self.close(inside)
                case RepeatWhile():
                    inside = self.open(repeats)
                    self.steps(step.test, inside)
                    self.use(step.condition.root, False, inside)
                    self.position += 1
                    self.steps(step.body, inside)
                    self.close(inside)
                case _:
                    for buffer, writes in effects(step):
                        self.use(buffer, writes, repeats)
                    self.position += 1

    def open(self, repeats: tuple[int, ...]) -> tuple[int, ...]:
        self.spans.append(Lifetime(self.position, self.position))
        return (*repeats, len(self.spans) - 1)

    def close(self, repeats: tuple[int, ...]) -> None:
        self.spans[repeats[-1]].last = max(self.position - 1, self.spans[repeats[-1]].first)

    def use(self, buffer: Buffer, writes: bool, repeats: tuple[int, ...]) -> None:
        self.uses.setdefault(buffer, []).append(Use(self.position, repeats, writes))


def lifetimes(program: Program) -> dict[Buffer, Lifetime]:
    """The lifetimes of the temporaries, in the order of `Program.temporaries`."""
    timeline = _Timeline()
    timeline.steps(program.init, ())
    timeline.steps(program.steps, ())
    kept = set(program.packed)
    return {
        buffer: _lifetime(timeline.uses[buffer], timeline.spans)
        for buffer in program.temporaries
        if buffer in timeline.uses and buffer not in kept
    }


def _lifetime(uses: Sequence[Use], spans: Sequence[Lifetime]) -> Lifetime:
    """From the first use to the last, widened to every repeat that the value must outlive.

    A value stays inside one round of a repeat if all uses are in the repeat and the first one in
    it is a write. Otherwise it goes round, or in or out, and is needed through the whole repeat.
    """
    life = Lifetime(uses[0].position, uses[-1].position)
    for repeat in dict.fromkeys(r for use in uses for r in use.repeats):
        inside = [use for use in uses if repeat in use.repeats]
        if len(inside) == len(uses) and inside[0].writes:
            continue
        life.first = min(life.first, spans[repeat].first)
        life.last = max(life.last, spans[repeat].last)
    return life
