"""What a call does on a GPU: counted from its program, and timed by the device's clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from tilewright.compiler.arguments import contiguous_inputs
from tilewright.ir.analysis.program_figures import ProgramFigures
from tilewright.ir.run_times import RunTimes

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.gpu_results import GpuFunction

_STRETCH_SECONDS: Final = 2e-3
_MOST_RUNS: Final = 100
_LEAST_ROUNDS: Final = 3
_MOST_ROUNDS: Final = 25


class OnDevice(Struct, frozen=True):
    """One call on a GPU."""

    figures: ProgramFigures
    times: RunTimes


def on_device(kernel: Kernel, arguments: Sequence[Any], seconds: float) -> OnDevice:
    """Count and time a call of `kernel` with these arguments, for about `seconds`."""
    values, specs = kernel._describe(tuple(arguments), {})
    made = kernel._specialization(values, specs)
    figures = made.figures()
    assert figures is not None  # the sizes are those of the arguments
    inputs = contiguous_inputs(made.interface, values)
    function: Any = made.executable
    return OnDevice(figures, median_times(function, inputs, seconds))


def median_times(function: GpuFunction, inputs: Sequence[Any], seconds: float) -> RunTimes:
    """Where the time of a call goes: medians over some rounds."""
    start = time.perf_counter()
    once = function.times(inputs)
    if time.perf_counter() - start > seconds:  # what is made at first does not show
        return once
    runs = min(_MOST_RUNS, max(1, int(_STRETCH_SECONDS / max(once.device, 1e-9))))
    found: list[RunTimes] = []
    while len(found) < _LEAST_ROUNDS or (
        len(found) < _MOST_ROUNDS and time.perf_counter() - start < seconds
    ):
        found.append(function.times(inputs, runs))
    return RunTimes(
        statistics.median(each.upload for each in found),
        statistics.median(each.device for each in found),
        statistics.median(each.read_back for each in found),
        tuple(statistics.median(each) for each in zip(*(f.launches for f in found), strict=True)),
        once.clock,
    )
