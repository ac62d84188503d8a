"""The process in which candidates are compiled and run, so that it can be killed.

    python -m tilewright.compiler.tune.worker

In, a line of JSON each: first a `Job`, then `RaceRequest`s. Out, a line each: a `Reply`. What the
user's file prints goes to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import numpy as np
from msgspec import Struct

from tilewright.compiler.device_choice import DeviceChoice
from tilewright.ir.schedule import Schedule

if TYPE_CHECKING:
    from tilewright.compiler.tune.candidates import Candidates


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
    part of the rounds they were the faster; or an error."""

    ratio: float = 0.0
    seconds: float = 0.0
    wins: float = 0.0
    error: str | None = None


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us decides what an interrupt means
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lines = sys.stdin.buffer
    job = msgspec.json.decode(lines.readline(), type=Job)
    try:
        candidates = _prepared(job)
    except Exception as error:
        _tell(answers, _failed(error))
        return
    _tell(answers, Reply())
    for line in lines:
        _tell(answers, _raced(candidates, msgspec.json.decode(line, type=RaceRequest)))


def _raced(candidates: Candidates, request: RaceRequest) -> Reply:
    try:
        found = candidates.race(request.new, request.old, request.seconds)
    except Exception as error:
        return _failed(error)
    return Reply(found.ratio, found.seconds, found.wins)


def _failed(error: Exception) -> Reply:
    return Reply(error=f"{type(error).__name__}: {error}")


def _tell(answers: BinaryIO, reply: Reply) -> None:
    answers.write(msgspec.json.encode(reply) + b"\n")
    answers.flush()


def _prepared(job: Job) -> Candidates:
    from tilewright.compiler.arguments import contiguous
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
    inputs = [contiguous(values[n], traced.specs[n], n) for n in traced.input_names]
    return Candidates(traced, job.target, kernel.options, [np.asarray(i) for i in inputs])


if __name__ == "__main__":
    main()
