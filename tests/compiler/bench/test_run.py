"""Whole measurements: errors are found, rivals that are wrong are left out, threads are equal."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tilewright.compiler.bench.measure import Effort
from tilewright.compiler.bench.report import document, geometric_mean, summary, time_text
from tilewright.compiler.bench.rivals import by_numba
from tilewright.compiler.bench.run import Result, _work, run_subject
from tilewright.compiler.bench.subject import Subject, in_float64, largest_error
from tilewright.compiler.bench.threads import thread_count
from tilewright.compiler.runtime import runtime
from tilewright.ir.schedule import Schedule

QUICK = Effort(rounds=1, seconds=0)


def double(x):
    return x + x


def subject(**changes) -> Subject:
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    plain = Subject(
        name="double",
        kernel=tw.kernel(double),
        arguments=lambda: (x,),
        baseline=double,
        reference=in_float64(double),
        excess=lambda arguments, result: largest_error(result, 2 * arguments[0]) / 1e-6,
    )
    return replace(plain, **changes)


def test_a_right_kernel() -> None:
    result = run_subject(subject(), "cpu", 1, QUICK)
    assert result.is_right
    assert result.error == 0
    assert result.ratios.keys() == {"numpy"}
    assert result.first_call_seconds > 0


def test_a_wrong_kernel_is_found() -> None:
    wrong = tw.kernel(lambda x: x + x + 0.001)
    result = run_subject(subject(kernel=wrong), "cpu", 1, QUICK)
    assert not result.is_right
    assert result.error == pytest.approx(0.0005, rel=0.01)
    assert summary([result])["wrong"] == ["double"]


def test_work_is_counted_whatever_the_target_that_schedules_are_for() -> None:
    """Only devices with subgroups fit this one; what is computed does not depend on it."""
    rows = tw.kernel(schedule={"t0": Schedule(vector="inner", workgroup=(128,), subgroups=True)})(
        lambda x: x.sum(axis=1)
    )
    x = np.ones((3, 50), np.float32)
    assert _work(rows, (x,)) == _work(tw.kernel(lambda x: x.sum(axis=1)), (x,))


def test_rivals_take_part_if_they_compute_the_same() -> None:
    rivals = {
        "right": lambda: double,
        "wrong": lambda: lambda x: x * 3,
        "absent": lambda: None,
    }
    names = ("right", "wrong", "absent", "unknown")
    result = run_subject(subject(rivals=rivals), "cpu", 1, QUICK, names)
    assert result.ratios.keys() == {"numpy", "right"}


def test_numba_compiles_or_declines() -> None:
    pytest.importorskip("numba")
    x = np.ones(3, np.float32)
    compiled = by_numba(double, (x,))
    assert compiled is not None
    np.testing.assert_array_equal(compiled(x), x + x)
    assert by_numba(lambda x: tw.erf(x), (x,)) is None


@pytest.mark.parametrize("count", [1, 2])
def test_everybody_has_as_many_threads(count: int) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = runtime().pool.num_threads
    with thread_count(count):
        assert runtime().pool.num_threads == count
        pools = threadpoolctl.threadpool_info()
        assert all(p["num_threads"] == count for p in pools if p["user_api"] == "blas")
    assert runtime().pool.num_threads == before


@pytest.mark.parametrize(
    ("got", "want", "error"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0]), 0),
        (np.array([1.0, 2.5]), np.array([1.0, 2.0]), 0.25),
        (np.array([np.nan]), np.array([np.nan]), 0),
        (np.array([np.nan]), np.array([1.0]), np.inf),
        (np.array([1.0]), np.array([np.inf]), np.inf),
        (np.array([0.1]), np.array([0.0]), np.inf),
        (np.array([]), np.array([]), 0),
        (np.ones(2), np.ones(3), np.inf),
    ],
)
def test_largest_error(got: np.ndarray, want: np.ndarray, error: float) -> None:
    assert largest_error(got, want) == error
    assert largest_error({"a": (want, got)}, {"a": (want, want)}) == error


def test_summary_and_json() -> None:
    results = [
        Result("a", "f", "cpu", 1, {"tilewright": 1.0}, {"numpy": 4.0}, error=math.inf),
        Result("b", "g", "cpu", 1, {"tilewright": 1.0}, {"numpy": 0.25}),
        Result("c", "g", "cpu", 1, problem="ShapeError: no"),
    ]
    facts = json.loads(json.dumps(document(results, {}), allow_nan=False))
    found = facts["summary"]["numpy"]
    assert found["geometric_mean"] == pytest.approx(1)
    assert found["families"] == pytest.approx({"f": 4, "g": 0.25})
    assert found["worst"] == {"kernel": "b", "ratio": 0.25}
    assert found["slower"] == ["b"]
    assert facts["summary"]["wrong"] == ["c"]
    assert facts["results"][0]["error"] is None


def test_geometric_mean() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert math.isnan(geometric_mean([]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.5e-7, "0.15 µs"),
        (2.5e-5, "25.0 µs"),
        (9.996e-4, "1000 µs"),
        (0.123, "123 ms"),
        (2, "2.00 s"),
    ],
)
def test_time_text(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
