"""The process in which candidates are compiled and run, so that it can be killed.

    python -m tilewright.compiler.tune.worker

In, a line of JSON each: first a `Job`, then `RaceRequest`s. Out, a line each: a `Reply`. What the
user's file prints goes to stderr. It ends when nobody reads its answers any more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec import Struct

from tilewright.compiler.device_choice import DeviceChoice
from tilewright.ir.errors import DeviceLostError, TilewrightError
from tilewright.ir.schedule import Schedule

if TYPE_CHECKING:
    from tilewright.compiler.tune.candidates import Candidates


_LOOK_SECONDS: Final = 1.0


class TuningError(TilewrightError):
    """A kernel cannot be tuned, because it does not run as it is."""


class Job(Struct, frozen=True):
    """What is tuned: a kernel of a file, its arguments as on the command line, and the target; on
    so many threads (None: as many as there are) and on which device."""

    file: str
    kernel: str
    arguments: tuple[str, ...]
    target: str
    threads: int | None = None
    devices: DeviceChoice = DeviceChoice()


class RaceRequest(Struct, frozen=True):
    """Time `new` against `old` for about `seconds`; both are schedules by the names of nests."""

    new: dict[str, Schedule]
    old: dict[str, Schedule]
    seconds: float


class Reply(Struct, frozen=True):
    """The time of the new schedules as a multiple of the old ones', and in seconds, and in which
    part of the rounds they were the faster; or an error. `is_spent`: this process is of no more
    use, as what it had on a device is lost."""

    ratio: float = 0.0
    seconds: float = 0.0
    wins: float = 0.0
    error: str | None = None
    is_spent: bool = False


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us decides what an interrupt means
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with suppress(OSError):  # if memory runs out, this is what the system should end
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lines = sys.stdin.buffer
    job = msgspec.json.decode(lines.readline(), type=Job)
    try:
        candidates = _prepared(job)
    except Exception as error:
        with suppress(BrokenPipeError):
            _tell(answers, _failed(error))
        return
    with suppress(BrokenPipeError):
        _tell(answers, Reply())
        for line in lines:
            _tell(answers, _raced(candidates, msgspec.json.decode(line, type=RaceRequest)))


def _end_with(parent: int) -> None:
    """End when `parent` has been killed, even in the middle of a candidate that hangs."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _raced(candidates: Candidates, request: RaceRequest) -> Reply:
    try:
        found = candidates.race(request.new, request.old, request.seconds)
    except Exception as error:
        return _failed(error)
    return Reply(found.ratio, found.seconds, found.wins)


def _failed(error: Exception) -> Reply:
    text = f"{type(error).__name__}: {error}"
    return Reply(error=text, is_spent=isinstance(error, DeviceLostError))


def _tell(answers: RawIOBase, reply: Reply) -> None:
    answers.write(msgspec.json.encode(reply) + b"\n")


def _prepared(job: Job) -> Candidates:
    from tilewright.compiler.arguments import contiguous_inputs
    from tilewright.compiler.cache import ArtifactCache
    from tilewright.compiler.cli.argument_values import kernel_arguments, parse_argument
    from tilewright.compiler.cli.kernel_file import KernelPath, load_kernel
    from tilewright.compiler.runtime import runtime
    from tilewright.compiler.tune.candidates import Candidates
    from tilewright.compiler.tune.subject import traced_call

    runtime().device_choice = job.devices
    if job.threads is not None:
        runtime().pool.set_num_threads(job.threads)
    runtime().cache = ArtifactCache(None)  # hundreds of candidates would push out what is used
    kernel = load_kernel(KernelPath(job.file, job.kernel)).on(job.target)
    given = kernel_arguments(kernel, [parse_argument(text) for text in job.arguments])
    traced, values = traced_call(kernel, given)
    inputs = contiguous_inputs(traced, values)
    return Candidates(traced, job.target, kernel.options, [np.asarray(i) for i in inputs])


if __name__ == "__main__":
    main()
