"""Measures one subject: checks its result, then times it against everybody else."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from tilewright.compiler.api import Kernel
from tilewright.compiler.bench.device import OnDevice, on_device
from tilewright.compiler.bench.measure import Call, Effort, Timings, measure
from tilewright.compiler.bench.subject import Function, Subject, largest_error
from tilewright.compiler.bench.threads import thread_count
from tilewright.compiler.bench.work import Work, work_of
from tilewright.compiler.targets import GPU_TARGETS

OURS = "tilewright"
NUMPY = "numpy"


class Result(Struct, frozen=True):
    """What was measured of one kernel.

    `seconds` per call and `ratios` (how many times as fast as it we are) are by library.
    `error` is against float64, relative to the result's largest element; `excess` is the error in
    units of what is allowed. `on_device` is for GPU targets. `problem` says why
    there are no numbers.
    """

    name: str
    family: str
    target: str
    threads: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    work: Work | None = None
    error: float | None = None
    excess: float | None = None
    first_call_seconds: float = 0.0
    on_device: OnDevice | None = None
    problem: str = ""

    @property
    def is_right(self) -> bool:
        """Whether there is a result, and its error is allowed (as far as that is decided)."""
        return not self.problem and (self.excess is None or self.excess <= 1)


def run_subject(
    subject: Subject,
    target: str,
    threads: int,
    effort: Effort | None = None,
    against: Collection[str] = (),
) -> Result:
    """Check and time `subject` on `target`; `against` names the rivals that take part."""
    kernel = subject.kernel.on(target)
    arguments = subject.arguments()
    with thread_count(threads):
        start = time.perf_counter()
        result = kernel(*arguments)
        first_call = time.perf_counter() - start
        error, excess = _errors(subject, arguments, result)
        subject.baseline(*arguments)
        calls: dict[str, Call] = {
            OURS: lambda: kernel(*arguments),
            NUMPY: lambda: subject.baseline(*arguments),
        }
        for name in against:
            rival = _rival(subject, name, arguments, excess)
            if rival is not None:
                calls[name] = lambda rival=rival: rival(*arguments)  # type: ignore[misc]
    effort = effort or Effort()
    with thread_count(threads):  # again: rivals that have just been imported take part
        timings = measure(calls, effort.with_threads(threads))
    return Result(
        name=subject.name,
        family=subject.family,
        target=target,
        threads=threads,
        seconds={name: timings.seconds(name) for name in calls},
        ratios=_ratios(timings),
        work=_work(kernel, arguments),
        error=error,
        excess=excess,
        first_call_seconds=first_call,
        on_device=on_device(kernel, arguments, effort.seconds) if target in GPU_TARGETS else None,
    )


def _errors(
    subject: Subject, arguments: tuple[Any, ...], result: Any
) -> tuple[float | None, float | None]:
    if subject.reference is None:
        return None, None
    exact = subject.reference(*arguments)
    excess = None if subject.excess is None else subject.excess(arguments, result)
    return largest_error(result, exact), excess


def _rival(
    subject: Subject, name: str, arguments: tuple[Any, ...], excess: float | None
) -> Function | None:
    """The rival if it is there and computes the same; a wrong one's speed says nothing."""
    make = subject.rivals.get(name)
    rival = make() if make else None
    if rival is None:
        return None
    found = rival(*arguments)
    if subject.excess is not None and subject.excess(arguments, found) > max(1.0, excess or 0.0):
        return None
    return rival


def _ratios(timings: Timings) -> dict[str, float]:
    return {name: timings.ratio(OURS, name) for name in timings.rounds if name != OURS}


def _work(kernel: Kernel, arguments: tuple[Any, ...]) -> Work:
    """Of the kernel compiled for the very shapes of `arguments`, so that no dimension is open."""
    # Its schedules are those of a target that this one need not be like.
    options = replace(kernel.options, schedules=None)
    plain = Kernel(kernel.python, options=options, bound=kernel.bound)
    return work_of(plain.compile(*arguments, target="cpu").specialization.traced.graph, {})
