"""One call, compiled and timed, for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tilewright.compiler.arguments import contiguous_inputs
from tilewright.compiler.bench.device import median_times
from tilewright.compiler.bench.measure import Effort, measure
from tilewright.compiler.driver import compile_traced
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import GPU_TARGETS
from tilewright.compiler.tune.subject import traced_call

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.specialization import Specialization
    from tilewright.ir.run_times import RunTimes

_SECONDS: Final = 0.5


def timed_call(
    kernel: Kernel, arguments: Mapping[str, Any]
) -> tuple[Specialization, RunTimes | None, float]:
    """The kernel compiled for these arguments, where the time goes on a device, and the seconds of
    a call."""
    traced, values = traced_call(kernel, arguments)
    made = compile_traced(traced, kernel.target, kernel.options, runtime())
    inputs = contiguous_inputs(traced, values)
    made.run(inputs)
    timings = measure({"call": lambda: made.run(inputs)}, Effort(seconds=_SECONDS / 2))
    executable: Any = made.executable
    on_gpu = kernel.target in GPU_TARGETS
    times = median_times(executable, inputs, _SECONDS) if on_gpu else None
    return made, times, timings.seconds("call")
