"""One kernel for one set of arguments, compiled with any schedules, checked, and timed.

The results of every candidate are checked against float64 with the error that the operations of the
kernel may make together, before it is timed: a fast wrong one never gets that far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from tilewright.compiler.driver import compile_traced
from tilewright.compiler.runtime import runtime
from tilewright.compiler.testing import compare
from tilewright.compiler.tune.timing import Outcome, Timer, calls_timer, queue_timer, race
from tilewright.ir.analysis.error_bounds import bound_graph
from tilewright.ir.analysis.error_rules import target_class
from tilewright.ir.errors import KernelError
from tilewright.ir.schedule import Schedule
from tilewright.ir.sizes import bind_symbols

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization
    from tilewright.compiler.targets import BuildOptions
    from tilewright.compiler.trace.run import Traced

Schedules = Mapping[str, Schedule]
_JUNK = 0xA5


class WrongResultError(KernelError):
    """A candidate computes something else."""


class Candidates:
    """Candidates for a traced function and its run-time arguments."""

    def __init__(
        self, traced: Traced, target: str, options: BuildOptions, inputs: Sequence[np.ndarray]
    ) -> None:
        self.traced = traced
        self.target = target
        self.options = options
        self.inputs = list(inputs)
        self._allowed = self._bounds()
        self._known: dict[str, Timer] = {}

    def race(self, new: Schedules, old: Schedules, seconds: float) -> Outcome:
        """Compile, check and time `new` against `old`; an error of ours if it cannot be."""
        return race(self._timer(new), self._timer(old), seconds)

    def _bounds(self) -> list[Any]:
        graph = self.traced.graph
        shapes = [t.shape for t in graph.inputs]
        symbols = bind_symbols(shapes, [i.shape for i in self.inputs], self.traced.input_names)
        promised = target_class(self.target, self.options.numerics)
        return bound_graph(graph, self.inputs, promised, symbols)

    def _timer(self, schedules: Schedules) -> Timer:
        key = repr(sorted(schedules.items()))
        if key not in self._known:
            if len(self._known) > 1:  # the loser of the last race; the best is asked for again
                self._known.pop(next(iter(self._known)))
            made = compile_traced(
                self.traced,
                self.target,
                replace(self.options, schedules=dict(schedules)),
                runtime(),
            )
            self._check(made)
            self._known[key] = self._timer_of(made)
        else:
            self._known[key] = self._known.pop(key)
        return self._known[key]

    def _check(self, made: Specialization) -> None:
        """What an output held before must not look like a result."""
        outputs = [np.empty_like(np.asarray(array)) for array in made.run(self.inputs)]
        for output in outputs:
            output.reshape(-1).view(np.uint8)[...] = _JUNK
        found = made.run(self.inputs, outputs)
        for number, (array, allowed) in enumerate(zip(found, self._allowed, strict=True)):
            wrong = compare(self.target, number, array, allowed)
            if wrong is not None:
                raise WrongResultError(str(wrong))

    def _timer_of(self, made: Specialization) -> Timer:
        if self.target not in ("wgsl", "glsl"):
            return calls_timer(lambda: made.run(self.inputs))
        arrays = [made.target.upload(i) for i in self.inputs]
        return queue_timer(lambda: made.run_on_device(arrays), _waiting(self.target))


def _waiting(target: str) -> Any:
    """What waits for all that was queued on the device of a target."""
    if target == "wgsl":
        return runtime().webgpu.synchronize
    device = runtime().webgl
    return lambda: device.run(lambda context: context.gl.finish())
