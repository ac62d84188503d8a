"""Searches on recorded times of whole spaces (`benchmarks/tuning.py`): no clock decides here."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tilewright.compiler.tune.search import search
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

FILES = sorted((Path(__file__).parent / "recorded").glob("*.json"))
SEEDS = range(20)


class Recorded:
    """A space whose schedules stand for those that were timed; `times` are by schedule."""

    def __init__(self, file: Path) -> None:
        held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        knobs = tuple(Knob(name, tuple(range(n)), ordered) for name, n, ordered in held["knobs"])
        points = product(*(range(len(knob.values)) for knob in knobs))
        numbers = dict(zip(points, held["schedules"], strict=True))

        def make(chosen: Any) -> Schedule | None:
            number = numbers[tuple(chosen.values())]
            return None if number < 0 else Schedule(chunks=number + 1)

        self.space = ScheduleSpace(knobs, make, lambda _: {}, tuple(held["default"]))
        self.times = {
            Schedule(chunks=number + 1): time
            for number, time in enumerate(held["times"])
            if time is not None
        }

    def race(self, schedule: Schedule, best: Schedule) -> float | None:
        time = self.times.get(schedule)
        return None if time is None else time / self.times[best]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(request.param)


def test_there_are_five_spaces() -> None:
    assert len(FILES) == 5


def test_the_choice_is_nearly_the_best(recorded: Recorded) -> None:
    trials = len(recorded.times) * 15 // 100
    best = min(recorded.times.values())
    found = [search(recorded.space, recorded.race, trials, seed) for seed in SEEDS]
    ratios = [recorded.times[f.best.schedule] / best for f in found]
    assert max(len(f.attempts) - 1 for f in found) <= trials
    assert max(ratios) < 1.05


def test_the_same_times_give_the_same_choice(recorded: Recorded) -> None:
    first, again = (search(recorded.space, recorded.race, 30, 3) for _ in range(2))
    assert first == again
