"""Workers that hang, die or cannot start: the tuner goes on, or says why not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tilewright.compiler.device_choice import DeviceChoice
from tilewright.compiler.tune.worker import Job, RaceRequest, TuningError
from tilewright.compiler.tune.worker_process import WorkerProcess
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


def test_one_whose_device_is_lost_is_replaced() -> None:
    """What it holds on the device is of no more use to later candidates."""
    lost = """print('{"error":"DeviceLostError: gone","is_spent":true}')"""
    with WorkerProcess(JOB, 30.0, command(lost)) as worker:
        first = worker._process
        assert worker.race(REQUEST).error == "DeviceLostError: gone"
        assert worker._process is None
        assert worker.race(REQUEST).error == "DeviceLostError: gone"
        assert first is not None
        assert first.poll() is not None


def test_an_interrupt_at_the_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = WorkerProcess(JOB, 30.0, command("print('{}')"))
    started: list[Any] = []

    def interrupted(*_: object) -> None:
        started.append(worker._process)
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.__enter__()
    assert started[0].poll() is not None


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
    said = "no WebGPU adapter whose name contains 'none such'"
    with pytest.raises(TuningError, match=said), WorkerProcess(job, 60.0):
        pass


HANGING = """
import time
import tilewright as tw

@tw.kernel
def hangs(x):
    time.sleep(1000)
"""
PARENT = """
import sys
from tilewright.compiler.tune.worker import Job
from tilewright.compiler.tune.worker_process import WorkerProcess

worker = WorkerProcess(Job(sys.argv[1], "hangs", ("x=f32[8]",), "cpu"), 1000.0)
worker._ask = lambda *_: print(worker._process.pid, flush=True) or sys.stdin.read()
worker.__enter__()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process has no parent there")
def test_a_worker_that_hangs_does_not_outlive_a_tuner_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "hanging.py"
    path.write_text(HANGING)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(path)], **pipes)  # type: ignore[call-overload]
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(600):
        if not is_running(worker):
            return
        time.sleep(0.05)
    pytest.fail("the worker still runs")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_worker_whose_tuner_has_gone_says_nothing(file: str) -> None:
    """Its complaint about a broken pipe would be all that a user sees of an interrupt."""
    command = [sys.executable, "-m", "tilewright.compiler.tune.worker"]
    pipe = subprocess.PIPE
    worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert worker.stdout is not None
    worker.stdout.close()
    job = Job(file, "total", ("x=f32[8,10]",), "cpu")
    _, said = worker.communicate(msgspec.json.encode(job) + b"\n")
    assert said.decode().strip() == "what a file prints is no answer"


def test_interrupts_are_for_the_parent(file: str) -> None:
    job = Job(file, "total", ("x=f32[8,10]",), "cpu")
    with WorkerProcess(job, 60.0) as worker:
        process = worker._process
        assert process is not None
        process.send_signal(2)
        time.sleep(0.05)
        assert worker.race(RaceRequest({}, {}, 0.01)).error is None
