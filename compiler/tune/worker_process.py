"""A `worker` and what is asked of it. One that hangs or dies is replaced by a new one."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from tilewright.compiler.tune.worker import Job, RaceRequest, Reply, TuningError

_PREPARING_SECONDS: Final = 600.0
_DIED: Final = "the process died"
_COMMAND: Final = (sys.executable, "-m", "tilewright.compiler.tune.worker")


class WorkerProcess:
    """Runs candidates of `job`. Use it as a context: at its end the process is killed.

    An answer may take `patience` seconds, besides the time that a race is to take.
    """

    def __init__(self, job: Job, patience: float, command: Sequence[str] = _COMMAND) -> None:
        self.job = job
        self.patience = patience
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WorkerProcess:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    def race(self, request: RaceRequest) -> Reply:
        """The worker's answer, or what became of it."""
        if self._process is None:
            self._start()
        reply = self._ask(request, self.patience + 4 * request.seconds)
        if isinstance(reply, str):
            reply = Reply(error=reply, is_spent=True)
        if reply.is_spent:
            self._kill()
        return reply

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            reply = self._ask(self.job, _PREPARING_SECONDS)
        except BaseException:  # an interrupt: whoever enters the context has not entered it yet
            self._kill()
            raise
        why = reply if isinstance(reply, str) else reply.error
        if why is not None:
            self._kill()
            raise TuningError(f"{self.job.kernel!r} does not run without tuning: {why}")

    def _ask(self, question: Job | RaceRequest, seconds: float) -> Reply | str:
        """The answer, or why there is none."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(question) + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return _DIED
        if not select.select([process.stdout], [], [], seconds)[0]:
            return f"no answer after {seconds:.0f} s"
        line = process.stdout.readline()
        return msgspec.json.decode(line, type=Reply) if line else _DIED

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
