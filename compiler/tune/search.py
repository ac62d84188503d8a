"""A space of schedules, and a way to race two of them -> the fastest found.

Coordinate descent from the default, which is seldom far from the best: one knob at a time, as far
as it helps. Then points drawn at random, spread over the values of every knob, and descent from the
fastest of these. A few hundred samples followed by descent find what evolution takes ten thousand
for (arXiv:2406.20037).

Nothing here times or compiles anything, and only the seed decides what is drawn: the same answers
of `Race` give the same choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from msgspec import Struct

from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Point, ScheduleSpace

Race = Callable[[Schedule, Schedule], "float | None"]
"""A schedule and the best so far -> how many times as long the first takes; None if it failed."""

LEAST_GAIN: Final = 0.99
"""A schedule becomes the best so far if it takes less than this part of the best's time."""
_LEAST_SAMPLES: Final = 4
_PART_SAMPLED: Final = 0.25
_DRAWS: Final = 200
"""So many points in a row without a schedule that is new mean that there is none left."""
_PROMISING: Final = 1.25
_HOPELESS: Final = 2.0


class Attempt(Struct, frozen=True):
    """A schedule that was tried. `score` is its time, where that of the default schedule is 1."""

    schedule: Schedule
    score: float | None


class Found(Struct, frozen=True):
    """The outcome: `best` may be the default; `attempts` are in order, the default's first."""

    best: Attempt
    attempts: tuple[Attempt, ...]


class _SpentError(Exception):
    """The budget is used up."""


def search(
    space: ScheduleSpace,
    race: Race,
    trials: int,
    seed: int,
    start: Sequence[Point] = (),
    is_over: Callable[[], bool] = lambda: False,
) -> Found:
    """The fastest schedule of at most `trials` races, or of those before `is_over`.

    `start` are points to try first, such as what was best for a similar shape.
    """
    state = _Search(space, race, trials, seed, is_over)
    with suppress(_SpentError):
        state.run(start)
    return Found(state.best, tuple(state.attempts))


class _Search:
    def __init__(
        self,
        space: ScheduleSpace,
        race: Race,
        trials: int,
        seed: int,
        is_over: Callable[[], bool],
    ) -> None:
        default = space.schedule(space.default)
        if default is None:
            raise ValueError("the default point of the space has no schedule")
        self.space = space
        self.race = race
        self.trials = trials
        self.random = Random(seed)
        self.is_over = is_over
        self.best = Attempt(default, 1.0)
        self.attempts = [self.best]
        self.scores: dict[Schedule, float | None] = {default: 1.0}
        self.points: dict[Point, float] = {space.default: 1.0}
        """Points that ran, and their scores."""
        self.hopeless: set[tuple[int, int]] = set()
        """Knobs and values of them."""

    def run(self, start: Sequence[Point]) -> None:
        for point in start:
            self.score(point)
        descended = self.descend(min(self.points, key=self.points.__getitem__))
        samples = len(self.attempts) + max(_LEAST_SAMPLES, int(self.trials * _PART_SAMPLED))
        for point in self.draw():
            if len(self.attempts) >= samples:
                break
            self.score(point)
        while begin := self.promising(descended):
            descended |= self.descend(begin)
        for point in self.draw():  # all that is near the best is known: look elsewhere
            score = self.score(point)
            if score is not None and self.is_promising(score):
                self.descend(point)

    def promising(self, descended: set[Point]) -> Point | None:
        """The fastest point from which no descent has begun, if it is not far from the best."""
        left = {p: s for p, s in self.points.items() if p not in descended and self.is_promising(s)}
        return min(left, key=left.__getitem__, default=None)

    def is_promising(self, score: float) -> bool:
        assert self.best.score is not None
        return score <= self.best.score * _PROMISING

    def draw(self) -> Iterator[Point]:
        """Points such that each value of a knob comes equally often, in random combinations."""
        decks: list[list[int]] = [[] for _ in self.space.knobs]
        seen: set[Point] = set()
        fruitless = 0
        while fruitless < _DRAWS:
            for k, deck in enumerate(decks):
                if not deck:
                    numbers = self.numbers(k)
                    deck += self.random.sample(numbers, len(numbers))
            point = tuple(deck.pop() for deck in decks)
            is_new = point not in seen and self.is_untried(point)
            seen.add(point)
            fruitless = 0 if is_new else fruitless + 1
            if is_new:
                yield point

    def numbers(self, k: int) -> list[int]:
        """The values of the knob `k` that are worth trying."""
        return [n for n in range(len(self.space.knobs[k].values)) if (k, n) not in self.hopeless]

    def is_untried(self, point: Point) -> bool:
        schedule = self.space.schedule(point)
        return schedule is not None and schedule not in self.scores

    def descend(self, point: Point) -> set[Point]:
        """Change one knob after the other for as long as that helps; the points on the way.

        A step along each is tried first, and the knob that gains most goes first: what fits
        together is limited, so that the order decides where a descent ends.
        """
        visited = {point}
        improved = True
        while improved:
            improved = False
            order = self.random.sample(range(len(point)), len(point))
            gains = {k: self.points[self.better_of(point, self.beside(point, k))] for k in order}
            self.note_hopeless(point)
            for k in sorted(order, key=gains.__getitem__):
                better = self.along(point, k)
                if better != point:
                    point, improved = better, True
                    visited.add(point)
        return visited

    def note_hopeless(self, point: Point) -> None:
        """Values of knobs without an order, which differ in kind, are not tried any more where they
        alone made a point take much longer."""
        for k, knob in enumerate(self.space.knobs):
            if knob.is_ordered:
                continue
            for other in self.beside(point, k):
                if self.points.get(other, 0.0) > _HOPELESS * self.points[point]:
                    self.hopeless.add((k, other[k]))

    def beside(self, point: Point, k: int) -> list[Point]:
        """The points that are one step away along the knob `k`."""
        knob = self.space.knobs[k]
        numbers = [point[k] + 1, point[k] - 1] if knob.is_ordered else self.numbers(k)
        fitting = [n for n in numbers if 0 <= n < len(knob.values) and n != point[k]]
        return [(*point[:k], n, *point[k + 1 :]) for n in fitting]

    def along(self, point: Point, k: int) -> Point:
        """The best that changing the knob `k` alone gives."""
        if not self.space.knobs[k].is_ordered:
            return self.better_of(point, self.beside(point, k))
        knob = self.space.knobs[k]
        best = point
        for step in (1, -1):
            number = point[k] + step
            while 0 <= number < len(knob.values):
                moved = (*point[:k], number, *point[k + 1 :])
                found = self.better_of(best, [moved])
                if found == best and self.space.schedule(moved) is not None:
                    break
                best = found
                number += step
        return best

    def better_of(self, point: Point, others: Sequence[Point]) -> Point:
        best, least = point, self.points[point]
        for other in others:
            score = self.score(other)
            if score is not None and score < least:
                best, least = other, score
        return best

    def score(self, point: Point) -> float | None:
        """The time of a point's schedule, of the default's 1; None if it has none or fails."""
        schedule = self.space.schedule(point)
        if schedule is None:
            return None
        if schedule not in self.scores:
            self.scores[schedule] = self.tried(schedule)
        score = self.scores[schedule]
        if score is not None:
            self.points[point] = score
        return score

    def tried(self, schedule: Schedule) -> float | None:
        if len(self.attempts) > self.trials or self.is_over():
            raise _SpentError
        ratio = self.race(schedule, self.best.schedule)
        least = self.best.score
        assert least is not None
        attempt = Attempt(schedule, None if ratio is None else ratio * least)
        self.attempts.append(attempt)
        if ratio is not None and ratio < LEAST_GAIN:
            self.best = attempt
        return attempt.score
