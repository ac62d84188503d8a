"""Tuning one kernel: nest by nest, the largest first, with the best schedules of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from tilewright.compiler.tune.database import Failure
from tilewright.compiler.tune.search import LEAST_GAIN, Attempt, search
from tilewright.compiler.tune.worker import RaceRequest, Reply, TuningError
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Point, ScheduleSpace

_RACE_SECONDS: Final = 0.05
_CONFIRMING_SECONDS: Final = 0.2
_FINAL_SECONDS: Final = 0.5
_WORTH_KEEPING: Final = 0.98
_MOST_OF_ERROR: Final = 300
_LEAST_WINS: Final = 0.75
"""In the end: what is faster only while others disturb the machine is not faster."""


class TunableNest(Struct, frozen=True):
    """A nest of a program by its name. `work` is how much it computes, in any unit."""

    name: str
    space: ScheduleSpace
    work: float


class Budget(Struct, frozen=True):
    """At most so many candidates, and seconds."""

    trials: int
    seconds: float


class Tuned(Struct, frozen=True):
    """`schedules` are those that differ from the defaults; none of them if nothing was faster.

    `seconds` is a call with them, `default_seconds` one without, timed in turns. `trials` is how
    many schedules were tried; `is_whole`: no interrupt has ended the search.
    """

    schedules: Mapping[str, Schedule]
    seconds: float
    default_seconds: float
    attempts: Mapping[str, Sequence[Attempt]]
    failures: tuple[Failure, ...]
    trials: int
    is_whole: bool = True


class Progress(Protocol):
    """Told after each candidate: how many there were, and the best time relative to the default."""

    def __call__(self, nest: str, trials: int, best: float) -> None: ...


class Racer(Protocol):
    def race(self, request: RaceRequest) -> Reply: ...


def tune(
    nests: Sequence[TunableNest],
    racer: Racer,
    budget: Budget,
    seed: int,
    start: Mapping[str, Sequence[Point]],
    progress: Progress,
    known: Sequence[Failure] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Search; an interrupt ends it early, with what was found until then. What is `known` to fail
    is not tried again."""
    state = _Session(racer, budget, progress, known, clock)
    try:
        for nest, trials in _shares(nests, budget.trials):
            state.search(nest, trials, seed, start.get(nest.name, ()))
    except KeyboardInterrupt:
        return replace(state.finish(), is_whole=False)  # what was found counts
    return state.finish()


def _shares(nests: Sequence[TunableNest], trials: int) -> list[tuple[TunableNest, int]]:
    """How many candidates each nest gets: by its work, and no more than it has."""
    ordered = sorted(nests, key=lambda nest: -nest.work)
    total = sum(nest.work for nest in ordered) or 1.0
    shares = []
    for nest in ordered:
        share = min(round(trials * nest.work / total), nest.space.size - 1)
        if share > 0:
            shares.append((nest, share))
    return shares


class _Session:
    def __init__(
        self,
        racer: Racer,
        budget: Budget,
        progress: Progress,
        known: Sequence[Failure],
        clock: Callable[[], float],
    ) -> None:
        self.racer = racer
        self.known = {(failure.nest, failure.schedule) for failure in known}
        self.progress = progress
        self.clock = clock
        self.end = clock() + budget.seconds
        self.chosen: dict[str, Schedule] = {}
        self.attempts: dict[str, Sequence[Attempt]] = {}
        self.failures: list[Failure] = []
        self.trials = 0
        self.best = 1.0

    def search(self, nest: TunableNest, trials: int, seed: int, start: Sequence[Point]) -> None:
        def race(new: Schedule, old: Schedule) -> float | None:
            if (nest.name, new) in self.known:
                return None
            self.trials += 1
            reply = self.compare(self._with(nest.name, new), self._with(nest.name, old))
            if reply.error is not None:
                self.failures.append(Failure(nest.name, new, reply.error[:_MOST_OF_ERROR]))
            elif reply.ratio < LEAST_GAIN:  # the search's best, too; at once, for an interrupt
                self.chosen[nest.name] = new
                self.best *= reply.ratio
            self.progress(nest.name, self.trials, self.best)
            return None if reply.error is not None else reply.ratio

        found = search(nest.space, race, trials, seed, start, lambda: self.clock() >= self.end)
        self.attempts[nest.name] = found.attempts

    def compare(self, new: dict[str, Schedule], old: dict[str, Schedule]) -> Reply:
        """Of hundreds of short races some are won by luck: who wins one must win a longer one."""
        reply = self.racer.race(RaceRequest(new, old, _RACE_SECONDS))
        if reply.error is None and reply.ratio < LEAST_GAIN:
            return self.racer.race(RaceRequest(new, old, _CONFIRMING_SECONDS))
        return reply

    def _with(self, name: str, schedule: Schedule) -> dict[str, Schedule]:
        return {**self.chosen, name: schedule}

    def finish(self) -> Tuned:
        """Once more against the defaults, and longer: many small gains may have been luck."""
        reply = self.racer.race(RaceRequest(dict(self.chosen), {}, _FINAL_SECONDS))
        is_better = (
            reply.error is None and reply.ratio < _WORTH_KEEPING and reply.wins >= _LEAST_WINS
        )
        if reply.error is not None and self.chosen:  # each was fine beside the others' earlier ones
            reply = self.racer.race(RaceRequest({}, {}, _CONFIRMING_SECONDS))
        if reply.error is not None:
            raise TuningError(f"the default schedules do not run any more: {reply.error}")
        default = reply.seconds / reply.ratio
        return Tuned(
            dict(self.chosen) if is_better else {},
            reply.seconds if is_better else default,
            default,
            self.attempts,
            tuple(self.failures),
            self.trials,
        )
