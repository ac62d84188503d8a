"""A tuning session with a worker that answers from a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tilewright.compiler.tune.database import Failure
from tilewright.compiler.tune.session import Budget, Progress, TunableNest, Tuned, tune
from tilewright.compiler.tune.worker import RaceRequest, Reply, TuningError
from tilewright.ir.schedule import Schedule
from tilewright.ir.schedule_space import Knob, ScheduleSpace

WIDTHS = (1, 2, 4, 8, 16)


def nest(name: str, work: float) -> TunableNest:
    space = ScheduleSpace(
        (Knob("width", WIDTHS),),
        lambda c: Schedule(width=c["width"]),
        lambda s: {"width": s.width},
        (0,),
    )
    return TunableNest(name, space, work)


class Table:
    """A kernel's time is the sum over its nests of `cost(name, width)`."""

    def __init__(self, names: list[str], cost: Callable[[str, int], float]) -> None:
        self.names = names
        self.cost = cost
        self.asked: list[RaceRequest] = []

    def time(self, schedules: dict[str, Schedule]) -> float:
        return sum(self.cost(n, schedules.get(n, Schedule()).width) for n in self.names)

    def race(self, request: RaceRequest) -> Reply:
        self.asked.append(request)
        new, old = self.time(request.new), self.time(request.old)
        return Reply(new / old, new, float(new < old))


def run(table: Table, work: dict[str, float], trials: int = 40, seconds: float = 1e9) -> Tuned:
    nests = [nest(n, work[n]) for n in table.names]
    return tune(nests, table, Budget(trials, seconds), 0, {}, lambda *_: None)


def test_each_nest_gets_its_best() -> None:
    table = Table(["a", "b"], lambda n, w: abs(w - (8 if n == "a" else 2)) + 1.0)
    found = run(table, {"a": 3.0, "b": 2.0})
    assert found.schedules == {"a": Schedule(width=8), "b": Schedule(width=2)}
    assert found.seconds == pytest.approx(2)
    assert found.default_seconds == pytest.approx(10)


def test_many_small_gains_are_one_that_counts() -> None:
    """Each step gains less than what is worth keeping in the end."""
    costs = dict(zip(WIDTHS, (1.0, 0.985, 0.97, 0.955, 0.94), strict=True))
    found = run(Table(["a"], lambda _, w: costs[w]), {"a": 1.0})
    assert found.schedules == {"a": Schedule(width=16)}


def test_the_largest_comes_first() -> None:
    table = Table(["small", "large"], lambda n, w: 1.0 + w)
    run(table, {"small": 1.0, "large": 9.0})
    first = table.asked[0]
    assert "large" in first.new
    assert "small" not in first.new


def test_where_the_default_is_best_nothing_is_chosen() -> None:
    found = run(Table(["a"], lambda _, w: float(w)), {"a": 1.0})
    assert found.schedules == {}
    assert found.seconds == found.default_seconds == 1.0


@pytest.mark.parametrize("last", [Reply(1.1, 1.0, 0.2), Reply(0.9, 1.0, 0.6)])
def test_gains_that_vanish_together_are_not_kept(last: Reply) -> None:
    """What wins against the best so far must also win against the default in the end."""

    class Unsteady(Table):
        def race(self, request: RaceRequest) -> Reply:
            return last if not request.old else Reply(0.9, 1.0, 1.0)

    assert run(Unsteady(["a"], lambda *_: 1.0), {"a": 1.0}).schedules == {}


def test_failures_are_told_and_passed_over() -> None:
    class Failing(Table):
        def race(self, request: RaceRequest) -> Reply:
            if request.new.get("a", Schedule()).width == 16:
                return Reply(error="no answer after 60 s")
            return super().race(request)

    found = run(Failing(["a"], lambda _, w: 1.0 / w), {"a": 1.0})
    assert found.schedules == {"a": Schedule(width=8)}
    assert found.failures == (Failure("a", Schedule(width=16), "no answer after 60 s"),)
    again = Failing(["a"], lambda _, w: 1.0 / w)
    known = found.failures
    repeated = tune([nest("a", 1.0)], again, Budget(40, 1e9), 0, {}, lambda *_: None, known)
    assert repeated.schedules == {"a": Schedule(width=8)}
    assert repeated.failures == ()
    assert not any(r.new.get("a") == Schedule(width=16) for r in again.asked)


def test_a_short_race_that_is_won_by_luck_is_run_again() -> None:
    class Lucky(Table):
        def race(self, request: RaceRequest) -> Reply:
            self.asked.append(request)
            is_short = request.seconds < 0.1
            return Reply(0.9 if is_short else 1.01, 1.0, 0.5)

    table, told = Lucky(["a"], lambda *_: 1.0), list[float]()
    progress: Progress = lambda _, __, best: told.append(best)
    found = tune([nest("a", 1.0)], table, Budget(40, 1e9), 0, {}, progress)
    assert found.schedules == {}
    assert set(told) == {1.0}


def test_where_the_best_fail_together_the_default_stays() -> None:
    class Together(Table):
        def race(self, request: RaceRequest) -> Reply:
            if request.new and not request.old:
                return Reply(error="they do not fit")
            return super().race(request)

    found = run(Together(["a", "b"], lambda _, w: 1.0 / w), {"a": 1.0, "b": 1.0})
    assert found.schedules == {}
    assert found.seconds == found.default_seconds == 2.0


def test_where_nothing_runs_any_more_it_is_an_error() -> None:
    class Gone(Table):
        def race(self, request: RaceRequest) -> Reply:
            return Reply(error="the device is lost")

    with pytest.raises(TuningError, match="do not run any more: the device is lost"):
        run(Gone(["a"], lambda *_: 1.0), {"a": 1.0})


def test_an_interrupt_keeps_what_was_found() -> None:
    class Interrupted(Table):
        def race(self, request: RaceRequest) -> Reply:
            if len(self.asked) == 4:
                self.asked.append(request)
                raise KeyboardInterrupt
            return super().race(request)

    table = Interrupted(["a"], lambda _, w: 1.0 / w)
    found = run(table, {"a": 1.0})
    best = max(r.new["a"].width for r in table.asked[:4])
    assert found.schedules == {"a": Schedule(width=best)}
    assert not found.is_whole
    assert found.trials == 3


def test_no_more_candidates_than_the_budget() -> None:
    table = Table(["a", "b"], lambda _, w: 1.0 / w)
    run(table, {"a": 1.0, "b": 1.0}, trials=5)
    tried = {str(request.new) for request in table.asked}
    assert len(tried) <= 5 + 2  # rounding of the shares, and the last race


def test_time_that_is_over_ends_the_search() -> None:
    table = Table(["a"], lambda _, w: 1.0 / w)
    run(table, {"a": 1.0}, seconds=-1.0)
    assert len(table.asked) == 1


def test_progress_is_told_after_each() -> None:
    table, told = Table(["a"], lambda _, w: 1.0 / w), []
    tune([nest("a", 1.0)], table, Budget(40, 1e9), 0, {}, lambda *event: told.append(event))
    assert [trials for _, trials, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][2] == pytest.approx(1 / 16)
