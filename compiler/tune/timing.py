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
_MOST_ROUNDS: Final = 13
_ORDER: Final = (0, 1, 1, 0)
"""Of a round, or the opposite, as the Thue-Morse sequence says, which keeps step with nothing: a
system that gives processes their time in periods could favour one of two that alternate."""
_HOPELESS: Final = 1.3
"""One that takes this many times as long in the first rounds is not timed further."""
_FAR: Final = 4.0
"""One that takes this many times as long is timed in no round: it may be the slowest of all."""
_LONG_SECONDS: Final = 10e-3
"""A run that takes so long is hardly longer with cold caches."""
_TICK: Final = 1e-9
"""Shorter than what any clock shows: nothing takes no time."""


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
    once = [min(_per_run(timer, 1), _per_run(timer, 1)) for timer in timers]
    if once[0] > max(_FAR * once[1], _LONG_SECONDS):
        return Outcome(once[0] / once[1], once[0], 0.0)
    # Now caches are warm and threads awake. Both run equally often, so that the beginning of a
    # stretch counts equally.
    stretch = max(_STRETCH_SECONDS, seconds / (len(_ORDER) * _MOST_ROUNDS))
    warm = [_per_run(t, max(1, int(stretch / s))) for t, s in zip(timers, once, strict=True)]
    if warm[0] > _FAR * warm[1]:
        return Outcome(warm[0] / warm[1], warm[0], 0.0)
    runs = max(1, int(stretch / min(warm)))
    ratios: list[float] = []
    times: list[float] = []
    end = clock() + seconds
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and (clock() >= end or statistics.median(ratios) > _HOPELESS):
            break
        found = [0.0, 0.0]
        for k in _ORDER:
            turn = k ^ (number.bit_count() & 1)
            found[turn] += _per_run(timers[turn], runs) / 2
        ratios.append(found[0] / found[1])
        times.append(found[0])
    wins = sum(ratio < 1 for ratio in ratios) / len(ratios)
    return Outcome(statistics.median(ratios), statistics.median(times), wins)


def _per_run(timer: Timer, runs: int) -> float:
    return max(timer(runs), _TICK)


def calls_timer(call: Callable[[], object]) -> Timer:
    """Of a function that returns when its work is done."""

    def timer(runs: int) -> float:
        start = time.perf_counter()
        for _ in range(runs):
            call()
        return (time.perf_counter() - start) / runs

    return timer
