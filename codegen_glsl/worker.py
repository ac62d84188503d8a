"""One thread that runs jobs in order.

An OpenGL context belongs to the thread that it is current on, so all work on a context goes through
one such thread; callers of any thread wait for their own job's result.
"""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, cast

from tilewright.ir.errors import DeviceError, DeviceLostError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Job:
    """A call to make, and its result once `done` can be acquired."""

    __slots__ = ("abandoned", "done", "error", "function", "result")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.result: object = None
        self.error: BaseException | None = None
        self.abandoned = False
        # A bare lock is a third of the cost of an Event, and waiting for it can be interrupted.
        self.done = threading.Lock()
        self.done.acquire()


class Worker:
    """Runs jobs on its own thread until it is stopped."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._process = os.getpid()
        # The thread must not keep this object alive: whoever drops it stops the thread.
        self._thread = threading.Thread(target=_serve, args=(self._jobs,), name=name, daemon=True)
        self._thread.start()

    def run(self, function: Callable[[], T], timeout_s: float | None = None) -> T:
        """Call `function` on the thread and return or raise what it does.

        `TimeoutError` if that takes longer than `timeout_s`; the job then still occupies the
        thread.
        A caller that is interrupted while it waits leaves a job behind that is skipped if it has
        not begun.
        """
        if threading.get_ident() == self._thread.ident:
            return function()
        if os.getpid() != self._process:
            raise DeviceError(
                f"the device was opened in process {self._process} and cannot be used in its "
                f"forked child {os.getpid()}",
                help="open the device in the child, or start processes with the 'spawn' method",
            )
        job = _Job(function)
        with self._lock:
            if self._stopped:
                raise DeviceLostError("the device was closed or lost before this job began")
            self._jobs.put(job)
        try:
            finished = job.done.acquire(timeout=-1 if timeout_s is None else timeout_s)
        except BaseException:
            job.abandoned = True
            raise
        if not finished:
            job.abandoned = True
            raise TimeoutError
        if job.error is not None:
            try:
                raise job.error
            finally:
                del job  # the traceback refers to this frame: do not close the circle
        return cast("T", job.result)

    def stop(self, last: Callable[[], object] | None = None) -> None:
        """Let the thread finish what is queued, call `last` and end; does not wait for it."""
        with self._lock:
            if self._stopped or os.getpid() != self._process:
                return
            self._stopped = True
            if last is not None:
                self._jobs.put(_Job(last))
            self._jobs.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until a stopped thread has ended."""
        if os.getpid() == self._process and threading.get_ident() != self._thread.ident:
            self._thread.join(timeout_s)


def _serve(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        if not job.abandoned:
            try:
                job.result = job.function()
            except BaseException as error:
                job.error = error
        job.done.release()
        del job  # do not keep a result alive while waiting for the next job
