"""The stopwatch, with a clock and functions whose times are known."""

from __future__ import annotations

import gc
import math

import pytest

from tilewright.compiler.bench.measure import Effort, Timings, measure


class Machine:
    """A clock that only moves when a function runs; `slowness` of what runs may change."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def call(self, name: str, seconds: float, slowness=lambda now: 1.0):
        def run() -> None:
            self.calls.append(name)
            self.now += seconds * slowness(self.now)

        return run


def test_seconds_and_ratio_of_fast_and_slow_functions() -> None:
    machine = Machine()
    calls = {"fast": machine.call("fast", 2e-6), "slow": machine.call("slow", 6e-3)}
    timings = measure(calls, Effort(rounds=5, seconds=0), machine.clock)
    assert timings.seconds("fast") == pytest.approx(2e-6)
    assert timings.seconds("slow") == pytest.approx(6e-3)
    assert timings.ratio("fast", "slow") == pytest.approx(3000)
    assert timings.ratio("slow", "fast") == pytest.approx(1 / 3000)


def test_a_call_that_still_sets_something_up_is_not_what_is_measured() -> None:
    machine = Machine()
    calls = {"a": machine.call("a", 1e-6, lambda now: 1e5 if now == 0 else 1.0)}
    measure(calls, Effort(rounds=3, seconds=0), machine.clock)
    assert len(machine.calls) > 1000


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    machine = Machine()

    def throttled(now: float) -> float:
        return 1.0 + now

    calls = {
        "a": machine.call("a", 1e-3, throttled),
        "b": machine.call("b", 2e-3, throttled),
    }
    timings = measure(calls, Effort(rounds=21, seconds=1), machine.clock)
    assert timings.seconds("a") > 1.2e-3
    assert timings.ratio("a", "b") == pytest.approx(2, rel=0.02)


def test_one_round_that_was_disturbed_changes_nothing() -> None:
    rounds = {"a": (1.0, 1.0, 90.0), "b": (3.0, 3.0, 3.0)}
    assert Timings(rounds).seconds("a") == 1
    assert Timings(rounds).ratio("a", "b") == 3


def test_functions_take_turns_at_being_first() -> None:
    machine = Machine()
    calls = {name: machine.call(name, 1.0) for name in "abc"}
    measure(calls, Effort(rounds=3, seconds=0, most_seconds=math.inf), machine.clock)
    assert "".join(machine.calls[6:]) == "abcbcacab"


def test_several_threads_are_given_time_to_settle() -> None:
    machine = Machine()
    calls = {name: machine.call(name, 0.08) for name in "ab"}
    measure(calls, Effort(rounds=2, seconds=0).with_threads(2), machine.clock)
    assert "".join(machine.calls[4:]) == "aaaaabbbbbbbbbbaaaaa"


def test_one_thread_settles_nothing() -> None:
    assert Effort(rounds=2).with_threads(1) == Effort(rounds=2)


@pytest.mark.parametrize(
    ("seconds", "effort", "rounds"),
    [
        (1e-3, Effort(rounds=4, seconds=0), 4),
        (1e-3, Effort(rounds=4, seconds=0.0995), 100),
        (1.0, Effort(rounds=50, seconds=0, few_rounds=3, most_seconds=5), 5),
        (10.0, Effort(rounds=50, seconds=0, few_rounds=3, most_seconds=5), 3),
    ],
)
def test_effort(seconds: float, effort: Effort, rounds: int) -> None:
    machine = Machine()
    timings = measure({"a": machine.call("a", seconds)}, effort, machine.clock)
    assert len(timings.rounds["a"]) == rounds


def test_no_garbage_is_collected_meanwhile() -> None:
    states = []
    measure({"a": lambda: states.append(gc.isenabled())}, Effort(rounds=1, seconds=0))
    assert states
    assert not any(states)
    assert gc.isenabled()


def test_collection_goes_on_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        measure({"a": lambda: 1 / 0})
    assert gc.isenabled()
