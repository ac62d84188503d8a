"""The benchmark of GPU schedules: its naive programs are right, and it measures what it says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks import gpu_schedules
from benchmarks.gpu_schedules import CASES, DEFAULT, NAIVE, TUNED, Case, in_turns, measure
from benchmarks.naive import TARGETS, Shape
from tilewright.compiler.tune.session import Budget

SMALL: Mapping[str, Mapping[str, Shape]] = {
    "product": {"a": (24, 16), "b": (16, 40)},
    "convolution": {"x": (9, 10, 4), "w": (3, 3, 4, 8)},
    "softmax": {"x": (20, 33)},
}


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=getattr(pytest.mark, t)) for t in TARGETS]
)
@pytest.mark.parametrize("operation", SMALL)
def test_naive_programs_are_right_and_all_is_timed(
    monkeypatch: pytest.MonkeyPatch, target: str, operation: str
) -> None:
    monkeypatch.setattr(gpu_schedules, "STRETCH_SECONDS", 0.0)
    (kernel,) = {c.kernel for c in CASES.values() if c.operation == operation}
    found = measure(Case(operation, kernel, SMALL[operation]), target, Budget(1, 5.0), 0, True)
    assert {NAIVE, DEFAULT, TUNED} <= set(found.seconds)
    assert found.ratio(NAIVE, TUNED) > 0


def test_subjects_take_turns() -> None:
    order: list[str] = []

    def timer(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    times = in_turns({"a": lambda _: timer("a", 2.0), "b": lambda _: timer("b", 1.0)})
    assert order[2:6] == ["a", "b", "b", "a"]
    assert np.unique(times["a"]).tolist() == [2.0]
