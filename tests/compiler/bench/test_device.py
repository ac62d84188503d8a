"""Kernels on GPUs: what is counted and timed, and the tables of it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import tilewright as tw
from tests.compiler.bench.test_run import QUICK, subject
from tilewright.compiler.bench.device import OnDevice, median_times, on_device
from tilewright.compiler.bench.device_report import (
    bytes_text,
    count_text,
    device_tables,
    launch_table,
)
from tilewright.compiler.bench.report import document
from tilewright.compiler.bench.run import Result, run_subject
from tilewright.ir.analysis.kernel_figures import KernelFigures
from tilewright.ir.analysis.program_figures import LaunchFigures, ProgramFigures
from tilewright.ir.run_times import RunTimes


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Function:
    """Takes 1 ms, then 2 ms, …"""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def times(self, inputs: Sequence[Any], runs: int = 1) -> RunTimes:
        self.calls.append(runs)
        seconds = 1e-3 * len(self.calls)
        return RunTimes(seconds, seconds, 2 * seconds, (seconds, seconds / 2), "device")


def test_medians_over_rounds() -> None:
    function: Any = Function()
    found = median_times(function, [], 1000)
    assert len(function.calls) == 26
    assert set(function.calls[1:]) == {2}  # the stretch holds two runs
    assert found == RunTimes(14e-3, 14e-3, 28e-3, (14e-3, 7e-3), "device")


def test_a_slow_function_is_timed_once() -> None:
    function: Any = Function()
    assert median_times(function, [], 0).device == 1e-3
    assert function.calls == [1]


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=getattr(pytest.mark, t)) for t in ("wgsl", "glsl")]
)
def test_a_kernel_on_a_gpu(target: str) -> None:
    result = run_subject(subject(), target, 1, QUICK)
    found = result.on_device
    assert found is not None
    assert found.figures.launch_count == len(found.times.launches) == 1
    assert found.figures.operations == 1000
    assert min(found.times.upload, found.times.device, found.times.read_back) > 0
    written = json.loads(json.dumps(document([result], {})))["results"][0]["on_device"]
    assert written["totals"]["bytes_written"] == found.figures.bytes_written
    assert written["totals"]["launch_count"] == 1
    assert written["times"]["clock"] == found.times.clock


@pytest.mark.glsl
def test_python_floats_are_counted_as_a_call_takes_them() -> None:
    kernel = tw.kernel(target="glsl")(lambda x, s: x * (1 - s))
    found = on_device(kernel, (np.ones(64, np.float32), 0.25), 0)
    assert found.figures.operations == 64


def test_other_targets_have_no_device() -> None:
    assert run_subject(subject(), "cpu", 1, QUICK).on_device is None


def sample(name: str, target: str) -> Result:
    each = KernelFigures(4096, 64, 2_500_000, 1_000_000, 1_500_000, 500_000, 12, 8192)
    fetches = 250_000 if target == "glsl" else 0
    figures = ProgramFigures((LaunchFigures("t1", 2, each, fetches), LaunchFigures("t2", 1, each)))
    times = RunTimes(1.25e-4, 3.5e-3, 2e-5, (3e-3, 1e-3), "device")
    return Result(name, "", target, 1, on_device=OnDevice(figures, times))


def shown(tables: Any, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    for table in tables:
        console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_tables_in_a_wide_terminal() -> None:
    lines = shown(device_tables([sample("a_kernel_of_a_long_name", "wgsl")], 120), 120)
    assert [" ".join(line.split()) for line in lines] == [
        "kernel upload device read back launches read written op/byte barriers shared",
        "a_kernel_of_a_long_name 125 µs 3.50 ms 20.0 µs 3 4.5 MB 1.5 MB 1.25 36 8.19 kB",
    ]


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_tables_fit_a_narrow_terminal(target: str) -> None:
    lines = shown(device_tables([sample("a_kernel_of_a_long_name", target)], 80), 80)
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    columns = {"wgsl": ["barriers", "shared"], "glsl": ["fetches", "fetch/mul"]}[target]
    assert lines[2].split() == ["kernel", "read", "written", "op/byte", *columns]


def test_launches_one_by_one() -> None:
    found = sample("k", "glsl").on_device
    assert found is not None
    lines = shown([launch_table(found)], 80)
    assert lines[1].split() == [
        "t1",
        "2",
        "3.00",
        "ms",
        "75",
        "%",
        "3",
        "MB",
        "1",
        "MB",
        "1.25",
        "1.33",
        "GB/s",
    ]
    assert lines[2].split() == [
        "t2",
        "1",
        "1.00",
        "ms",
        "25",
        "%",
        "1.5",
        "MB",
        "500",
        "kB",
        "1.25",
        "2",
        "GB/s",
    ]


def test_launches_that_nobody_could_time() -> None:
    found = sample("k", "glsl").on_device
    assert found is not None
    untimed = OnDevice(found.figures, RunTimes(1e-3, 1e-3, 1e-3, (), "host"))
    assert shown([launch_table(untimed)], 80)[1].split()[2:4] == ["–", "–"]


def test_results_of_no_gpu_have_no_tables() -> None:
    assert list(device_tables([Result("k", "", "cpu", 1)], 80)) == []


def test_texts() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 1_048_576, 2.5e9)] == [
        "0 B",
        "999 B",
        "1 kB",
        "1.05 MB",
        "2.5 GB",
    ]
    assert [count_text(n) for n in (12, 102_272)] == ["12", "102 k"]
