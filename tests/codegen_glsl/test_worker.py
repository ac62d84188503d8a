"""A thread that runs jobs in order, for callers of any thread."""

from __future__ import annotations

import functools
import gc
import os
import threading
import weakref

import pytest

from tilewright.codegen_glsl.worker import Worker
from tilewright.ir.errors import DeviceError, DeviceLostError


def test_jobs_run_in_order_on_one_thread() -> None:
    worker, seen = Worker("jobs"), []

    def job(k: int) -> int:
        seen.append((k, threading.get_ident()))
        return k * 2

    for k in range(5):
        assert worker.run(functools.partial(job, k)) == k * 2
    assert [k for k, _ in seen] == [0, 1, 2, 3, 4]
    assert {ident for _, ident in seen} == {worker._thread.ident} != {threading.get_ident()}
    assert worker._thread.name == "jobs"
    worker.stop()


def test_a_job_may_ask_for_another_one() -> None:
    worker = Worker("nested")
    assert worker.run(lambda: worker.run(threading.get_ident)) == worker._thread.ident
    worker.stop()


def test_what_a_job_raises_its_caller_gets() -> None:
    worker = Worker("errors")

    def fail() -> None:
        raise KeyError("lost")

    for _ in range(2):
        with pytest.raises(KeyError, match="lost"):
            worker.run(fail)
    assert worker.run(lambda: 7) == 7
    worker.stop()


def test_a_job_that_takes_too_long_is_given_up() -> None:
    """The one that runs goes on; one that has not begun is skipped."""
    worker, go, seen = Worker("slow"), threading.Event(), []
    with pytest.raises(TimeoutError):
        worker.run(go.wait, timeout_s=0.01)
    with pytest.raises(TimeoutError):
        worker.run(lambda: seen.append("skipped"), timeout_s=0.01)
    go.set()
    assert worker.run(lambda: seen.append("run"), timeout_s=60) is None
    assert seen == ["run"]
    worker.stop()


def test_stopping_finishes_what_was_queued_and_calls_the_last_job_once() -> None:
    worker, last = Worker("stopped"), []
    worker.stop(lambda: last.append("once"))
    worker.stop(lambda: last.append("twice"))
    worker._thread.join(60)
    assert not worker._thread.is_alive()
    assert last == ["once"]
    with pytest.raises(DeviceLostError, match="was closed or lost before this job began"):
        worker.run(lambda: None)


def test_results_are_not_kept_alive() -> None:
    class Result:
        pass

    worker = Worker("results")
    held = weakref.ref(worker.run(Result))
    gc.collect()
    assert held() is None
    worker.stop()


def test_a_forked_child_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, parent = Worker("parent"), os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(DeviceError) as caught:
            worker.run(lambda: None)
        worker.stop()  # the parent's thread is not the child's to stop
    assert str(caught.value) == (
        f"the device was opened in process {parent} and cannot be used in its forked child "
        f"{parent + 1}\nhelp: open the device in the child, or start processes with the 'spawn' "
        "method"
    )
    assert worker.run(lambda: 3) == 3
    worker.stop()
