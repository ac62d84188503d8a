"""Workers that hang, die or cannot start: the tuner goes on, or says why not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tilewright.compiler.device_choice import DeviceChoice
from tilewright.compiler.tune.worker import Job, RaceRequest
from tilewright.compiler.tune.worker_process import TuningError, WorkerProcess
from tilewright.ir.schedule import Schedule

REQUEST = RaceRequest({"t1": Schedule(width=4)}, {}, 0.01)
KERNELS = """
import numpy as np
import tilewright as tw

print("what a file prints is no answer")

@tw.kernel
def total(x):
    return (x * x).sum(axis=1)

@tw.kernel
def broken(x):
    return x.reshape(7, 7)
"""


def command(body: str) -> list[str]:
    """A worker that is ready, and does `body` at each request."""
    return [
        sys.executable,
        "-uc",
        "import os, sys, time\n"
        "sys.stdin.readline(); print('{}')\n"
        f"for line in sys.stdin:\n    {body}",
    ]


ASKS = """
import tilewright as tw
from tilewright.compiler.runtime import runtime

threads = runtime().pool.num_threads

@tw.kernel
def asks(x):
    raise ValueError(f"it has {threads} threads")
"""
JOB = Job("file.py", "kernel", (), "cpu")


def test_one_that_hangs_is_replaced() -> None:
    with WorkerProcess(JOB, 0.3, command("time.sleep(1000)")) as worker:
        first = worker._process
        assert "no answer" in (worker.race(REQUEST).error or "")
        assert "no answer" in (worker.race(REQUEST).error or "")
        assert worker._process is not first


def test_one_that_dies_is_replaced() -> None:
    with WorkerProcess(JOB, 30.0, command("os.abort()")) as worker:
        for _ in range(3):
            assert worker.race(REQUEST).error == "the process died"


def test_the_process_ends_with_the_context() -> None:
    with WorkerProcess(JOB, 30.0, command("print('{}')")) as worker:
        process = worker._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    return str(path)


def test_a_race(file: str) -> None:
    job = Job(file, "total", ("x=f32[64,100]",), "cpu")
    with WorkerProcess(job, 60.0) as worker:
        same = worker.race(RaceRequest({}, {}, 0.01))
        assert same.error is None
        assert 0.2 < same.ratio < 5
        assert 0 < same.seconds < 1
        wrong = worker.race(RaceRequest({"t1": Schedule(tile=(0,))}, {}, 0.01))
        assert "ShapeError" in (wrong.error or "")
        unknown = worker.race(RaceRequest({"nothing": Schedule()}, {}, 0.01))
        assert "no such nest" in (unknown.error or "")
        assert worker.race(RaceRequest({}, {}, 0.01)).error is None


@pytest.mark.parametrize(
    ("kernel", "arguments", "said"),
    [
        ("broken", ("x=f32[8]",), "cannot reshape"),
        ("missing", (), "has no kernel 'missing'"),
        ("total", (), "needs 'x'"),
        ("total", ("x=f99[3]",), "no dtype"),
    ],
)
def test_what_does_not_run_cannot_be_tuned(
    file: str, kernel: str, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TuningError, match="does not run without tuning") as caught:
        WorkerProcess(Job(file, kernel, arguments, "cpu"), 30.0).__enter__()
    assert said in str(caught.value)


def test_it_runs_on_as_many_threads_as_the_job_says(tmp_path: Path) -> None:
    path = tmp_path / "asks.py"
    path.write_text(ASKS)
    with pytest.raises(TuningError, match="it has 1 threads"):
        WorkerProcess(Job(str(path), "asks", ("x=f32[8]",), "cpu", threads=1), 30.0).__enter__()


@pytest.mark.wgsl
def test_it_runs_on_the_device_that_the_job_says(file: str) -> None:
    job = Job(file, "total", ("x=f32[8,10]",), "wgsl", devices=DeviceChoice(adapter="none such"))
    with WorkerProcess(job, 60.0) as worker:
        said = worker.race(RaceRequest({}, {}, 0.01)).error or ""
    assert "no WebGPU adapter whose name contains 'none such'" in said


def test_interrupts_are_for_the_parent(file: str) -> None:
    job = Job(file, "total", ("x=f32[8,10]",), "cpu")
    with WorkerProcess(job, 60.0) as worker:
        process = worker._process
        assert process is not None
        process.send_signal(2)
        time.sleep(0.05)
        assert worker.race(RaceRequest({}, {}, 0.01)).error is None
