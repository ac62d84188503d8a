"""How long calls take, compared fairly.

In: functions without arguments that do the same work. Out: seconds per call of each, round by
round. A round runs every function once, one after the other, so that whatever slows the machine
slows all of them; what is compared are the ratios of one round, and their median is reported.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

Call = Callable[[], object]
Clock = Callable[[], float]

# A timed stretch is at least this long: the clock, and what it costs to read it, do not show.
_STRETCH_SECONDS = 500e-6
_MOST_ROUNDS = 1000

# OpenBLAS's threads go on polling for up to 0.2 s after a matrix product, on the core that the next
# contender needs: measured in turns without a pause, our two threads had the speed of one.
_THREADS_POLL_SECONDS = 0.3
_STRETCH_OF_THREADS_SECONDS = 10e-3


class Effort(Struct, frozen=True):
    """At least `rounds` rounds and `seconds` in all; but slow functions get no more than
    `most_seconds` once there are `few_rounds`.

    A function runs for `settle_seconds` before its time is taken, over `stretch_seconds`.
    """

    rounds: int = 11
    seconds: float = 0.5
    few_rounds: int = 3
    most_seconds: float = 5.0
    settle_seconds: float = 0.0
    stretch_seconds: float = _STRETCH_SECONDS

    def with_threads(self, threads: int) -> Effort:
        """The same for functions that use `threads` threads: each has them to itself."""
        if threads == 1:
            return self
        return replace(
            self,
            rounds=min(self.rounds, 5),
            settle_seconds=_THREADS_POLL_SECONDS,
            stretch_seconds=_STRETCH_OF_THREADS_SECONDS,
        )


class Timings(Struct, frozen=True):
    """Seconds per call of each function, in the same rounds."""

    rounds: Mapping[str, tuple[float, ...]]

    def seconds(self, name: str) -> float:
        """The median time of one call."""
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, other: str) -> float:
        """How many times as fast `name` is as `other`: the median over the rounds."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return statistics.median(b / a for a, b in pairs)


def measure(
    calls: Mapping[str, Call], effort: Effort | None = None, clock: Clock = time.perf_counter
) -> Timings:
    """Time `calls` against each other. Each has been called before: nothing is compiled here."""
    effort = effort or Effort()
    with _no_garbage_collection():
        repeats = {name: _repeats(call, effort, clock) for name, call in calls.items()}
        rounds: dict[str, list[float]] = {name: [] for name in calls}
        start = clock()
        for number in range(_MOST_ROUNDS):
            if _is_enough(number, clock() - start, effort):
                break
            for name in _rotated(list(calls), number):
                _settle(calls[name], effort, clock)
                rounds[name].append(_time(calls[name], repeats[name], clock))
    return Timings({name: tuple(times) for name, times in rounds.items()})


def _is_enough(rounds: int, seconds: float, effort: Effort) -> bool:
    if rounds >= effort.rounds:
        return seconds >= effort.seconds
    return rounds >= effort.few_rounds and seconds >= effort.most_seconds


def _rotated(names: Sequence[str], number: int) -> Iterator[str]:
    """No function always runs behind the same one, whose data it would find in the caches."""
    first = number % len(names)
    yield from (*names[first:], *names[:first])


def _repeats(call: Call, effort: Effort, clock: Clock) -> int:
    """How many calls fill a stretch. The slow one that still set something up must not count."""
    repeats = 1
    while True:
        seconds = min(_time(call, repeats, clock) for _ in range(2))
        if seconds * repeats >= effort.stretch_seconds:
            return repeats
        repeats = max(2 * repeats, int(effort.stretch_seconds / max(seconds, 1e-9)))


def _settle(call: Call, effort: Effort, clock: Clock) -> None:
    start = clock()
    while clock() - start < effort.settle_seconds:
        call()


def _time(call: Call, repeats: int, clock: Clock) -> float:
    """Seconds per call."""
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
