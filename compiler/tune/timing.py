"""Which of two programs is faster: both timed in turns, so that what slows the machine slows both.

What is compared are the two times of one round. Their ratio's median is the answer, so that single
rounds that something disturbed do not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

Timer = Callable[[int], float]
"""A number of runs -> seconds per run."""

_STRETCH_SECONDS: Final = 2e-3
_LEAST_ROUNDS: Final = 3
_MOST_ROUNDS: Final = 25
_HOPELESS: Final = 1.3
"""One that takes this many times as long in the first rounds is not timed further."""


class Outcome(Struct, frozen=True):
    """The new one's time as a multiple of the old one's, and in seconds; in which part of the
    rounds it was the faster."""

    ratio: float
    seconds: float
    wins: float


def race(
    new: Timer, old: Timer, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Outcome:
    """Time two programs for about `seconds`. Each has run before."""
    timers = (new, old)
    runs = tuple(_runs(timer) for timer in timers)
    ratios: list[float] = []
    times: list[float] = []
    end = clock() + seconds
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and (clock() >= end or statistics.median(ratios) > _HOPELESS):
            break
        order = (0, 1) if number % 2 else (1, 0)  # neither always finds the other's data in caches
        found = {k: timers[k](runs[k]) for k in order}
        ratios.append(found[0] / found[1])
        times.append(found[0])
    wins = sum(ratio < 1 for ratio in ratios) / len(ratios)
    return Outcome(statistics.median(ratios), statistics.median(times), wins)


def _runs(timer: Timer) -> int:
    """How many runs fill a stretch: the clock, and what it costs to read it, then do not show."""
    once = max(min(timer(1) for _ in range(2)), 1e-9)
    return max(1, int(_STRETCH_SECONDS / once))


def calls_timer(call: Callable[[], object]) -> Timer:
    """Of a function that returns when its work is done."""

    def timer(runs: int) -> float:
        start = time.perf_counter()
        for _ in range(runs):
            call()
        return (time.perf_counter() - start) / runs

    return timer


def queue_timer(call: Callable[[], object], finish: Callable[[], object]) -> Timer:
    """Of a function that only queues work, for which `finish` waits."""

    def timer(runs: int) -> float:
        finish()
        start = time.perf_counter()
        for _ in range(runs):
            call()
        finish()
        return (time.perf_counter() - start) / runs

    return timer
