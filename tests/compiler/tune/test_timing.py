"""Races of two programs, on a clock that only moves when they run."""

from __future__ import annotations

import itertools

import pytest

from tilewright.compiler.tune.timing import Timer, calls_timer, race


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def program(self, *seconds: float) -> Timer:
        """Takes each of `seconds` in turn."""
        times = itertools.cycle(seconds)

        def timer(runs: int) -> float:
            taken = next(times)
            self.now += taken * runs
            return taken

        return timer


def test_the_ratio_is_that_of_the_times() -> None:
    clock = Clock()
    found = race(clock.program(1e-3), clock.program(2e-3), 1.0, clock)
    assert found.ratio == pytest.approx(0.5)
    assert found.seconds == pytest.approx(1e-3)
    assert found.wins == 1


def test_what_slows_both_does_not_count() -> None:
    clock = Clock()
    slowly = [1e-3 * k for k in (1, 1, 1, 9, 2, 5, 1)]
    new = clock.program(*slowly)
    old = clock.program(*[2 * s for s in slowly])
    assert race(new, old, 10.0, clock).ratio == pytest.approx(0.5)


def test_it_is_told_how_often_the_new_one_was_faster() -> None:
    clock = Clock()
    found = race(clock.program(*[1e-3] * 10, 4e-3), clock.program(2e-3), 10.0, clock)
    assert found.ratio == pytest.approx(0.5)
    assert 0.6 < found.wins < 0.9


def test_single_rounds_that_were_disturbed_do_not_count() -> None:
    clock = Clock()
    new = clock.program(*[1e-3] * 10, 50e-3)
    assert race(new, clock.program(2e-3), 10.0, clock).ratio == pytest.approx(0.5)


def test_a_hopeless_one_is_not_timed_further() -> None:
    clock = Clock()
    race(clock.program(2e-3), clock.program(1e-3), 1.0, clock)
    assert clock.now < 0.5


def test_it_ends_when_its_time_is_over() -> None:
    clock = Clock()
    race(clock.program(1e-2), clock.program(1e-2), 0.1, clock)
    assert 0.1 <= clock.now < 0.3


def test_short_programs_run_often_enough_to_be_timed() -> None:
    counts: list[int] = []

    def short(runs: int) -> float:
        counts.append(runs)
        return 1e-6

    race(short, short, 0.0)
    assert max(counts) == pytest.approx(2000, abs=1)


def test_a_timer_runs_as_often_as_it_is_told() -> None:
    calls: list[None] = []
    assert calls_timer(lambda: calls.append(None))(7) >= 0
    assert len(calls) == 7


def test_one_that_is_far_slower_is_timed_in_no_round() -> None:
    clock = Clock()
    found = race(clock.program(1.0), clock.program(1e-3), 10.0, clock)
    assert found.ratio == pytest.approx(1000)
    assert found.wins == 0
    assert clock.now < 2.1


def test_what_shows_on_no_clock_is_not_divided_by() -> None:
    assert race(lambda _: 0.0, lambda _: 0.0, 0.0).ratio == 1.0


def test_a_longer_race_has_longer_stretches() -> None:
    """As many rounds as there may be fill its time."""
    clock = Clock()
    race(clock.program(1e-5), clock.program(1e-5), 2.0, clock)
    assert 1.8 < clock.now < 2.3


def test_runs_are_counted_when_all_is_warm() -> None:
    """A stretch of few runs is mostly what it takes to wake threads."""

    def program(cold: float) -> Timer:
        first = [cold, cold]
        return lambda runs: first.pop() if first else (5e-5 + runs * 1e-5) / runs

    assert race(program(1e-4), program(1e-5), 0.0).ratio == pytest.approx(1)


def test_who_comes_first_does_not_gain_by_it() -> None:
    """As where the system lets threads that have just slept run for longer."""
    last: list[int] = []

    def program(name: int) -> Timer:
        def timer(runs: int) -> float:
            is_first = last[-1:] != [name]
            last.append(name)
            return 1e-3 if is_first else 2e-3

        return timer

    assert race(program(0), program(1), 0.1).ratio == pytest.approx(1, rel=0.01)
