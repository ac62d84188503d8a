"""The search of the tuner on recorded times: what it finds, how soon, and twice the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tilewright.compiler.tune.search import Found, Race, search
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Knob, Point, ScheduleSpace

SIZES = (1, 2, 4, 8, 16, 32)


def make(chosen: Mapping[str, Any]) -> Schedule | None:
    if chosen["width"] * chosen["rows"] > 256:  # more than there are registers
        return None
    return Schedule(
        tile=(chosen["rows"], chosen["width"]),
        width=chosen["width"],
        unroll=chosen["unroll"],
        order=chosen["order"],
        chunks=chosen["chunks"],
    )


SPACE = ScheduleSpace(
    (
        Knob("rows", SIZES),
        Knob("width", (4, 8, 16)),
        Knob("unroll", (1, 2, 4, 8)),
        Knob("order", ((0, 1), (1, 0)), is_ordered=False),
        Knob("chunks", (1, 2, 8, 64)),
    ),
    make,
    lambda _: {},
    (0, 0, 0, 0, 0),
)


def times(seed: int, noise: float = 0.0) -> dict[Schedule, float]:
    """A time for every schedule of `SPACE`: a valley in each knob, which depend on each other."""
    rng = np.random.default_rng(seed)
    best = [rng.uniform(0, len(k.values) - 1) for k in SPACE.knobs]
    weights = rng.uniform(0.1, 0.5, len(best))
    found: dict[Schedule, float] = {}
    for point in SPACE.points():
        schedule = SPACE.schedule(point)
        if schedule is not None:
            away = np.abs(np.array(point) - best) * weights
            together = 0.2 * away[0] * away[1] + 0.1 * away[2] * away[4]
            found[schedule] = float((1 + away.sum() + together) * np.exp(rng.normal(0, noise)))
    return found


def racing(table: Mapping[Schedule, float]) -> Race:
    return lambda schedule, best: table[schedule] / table[best]


def distance(found: Found, table: Mapping[Schedule, float]) -> float:
    """How many times the least possible time the found schedule takes."""
    return table[found.best.schedule] / min(table.values())


@pytest.mark.parametrize("seed", range(12))
def test_few_trials_find_nearly_the_best(seed: int) -> None:
    table = times(seed, noise=0.01)
    found = search(SPACE, racing(table), len(table) * 15 // 100, seed)
    assert distance(found, table) < 1.05
    assert len(found.attempts) - 1 <= len(table) * 15 // 100


def test_the_same_answers_give_the_same_choice() -> None:
    table = times(3, noise=0.1)
    assert search(SPACE, racing(table), 60, 5) == search(SPACE, racing(table), 60, 5)
    assert (
        search(SPACE, racing(table), 60, 5).attempts != search(SPACE, racing(table), 60, 6).attempts
    )


def test_scores_are_of_the_default() -> None:
    table = times(1)
    default = SPACE.schedule(SPACE.default)
    assert default is not None
    for attempt in search(SPACE, racing(table), 40, 0).attempts:
        assert attempt.score == pytest.approx(table[attempt.schedule] / table[default])


def test_no_schedule_is_raced_twice_and_none_that_is_not_one() -> None:
    table = times(2)
    raced: list[Schedule] = []

    def race(schedule: Schedule, best: Schedule) -> float:
        raced.append(schedule)
        return table[schedule] / table[best]

    search(SPACE, race, 10_000, 0)
    assert len(raced) == len(set(raced)) <= len(table) - 1


def test_what_fails_is_passed_over() -> None:
    table = times(4)
    least = min(table, key=table.__getitem__)

    def race(schedule: Schedule, best: Schedule) -> float | None:
        return None if schedule == least else table[schedule] / table[best]

    found = search(SPACE, race, 400, 0)
    assert found.best.schedule != least
    assert found.best.score == min(a.score for a in found.attempts if a.score is not None)


def test_where_all_fail_the_default_stays() -> None:
    found = search(SPACE, lambda *_: None, 30, 0)
    assert found.best.schedule == SPACE.schedule(SPACE.default)
    assert [a.score for a in found.attempts[1:]] == [None] * 30


def test_differences_in_the_noise_do_not_win() -> None:
    found = search(SPACE, lambda *_: 0.995, 50, 0)
    assert found.best.schedule == SPACE.schedule(SPACE.default)


def test_points_to_start_with_come_first() -> None:
    table = times(6)
    start: list[Point] = [(2, 1, 1, 1, 1), (5, 2, 0, 0, 0), (3, 0, 2, 0, 1)]
    found = search(SPACE, racing(table), 20, 0, start)
    wanted = [s for s in map(SPACE.schedule, start) if s is not None]
    assert len(wanted) == 2  # one has no schedule
    assert [a.schedule for a in found.attempts[1:3]] == wanted


def test_it_ends_when_time_is_over() -> None:
    table, left = times(7), [5]

    def is_over() -> bool:
        left[0] -= 1
        return left[0] < 0

    assert len(search(SPACE, racing(table), 100, 0, is_over=is_over).attempts) == 6


def test_a_small_space_is_searched_whole() -> None:
    space = ScheduleSpace(
        (Knob("unroll", (1, 2, 4)),), lambda c: Schedule(unroll=c["unroll"]), lambda _: {}, (0,)
    )
    table = {Schedule(unroll=1): 3.0, Schedule(unroll=2): 4.0, Schedule(unroll=4): 1.0}
    found = search(space, racing(table), 50, 0)
    assert found.best.schedule == Schedule(unroll=4)
    assert len(found.attempts) == 3
