"""One kernel for one set of arguments, compiled with any schedules, checked, and timed.

The results of every candidate are checked against float64 with the error that the operations of the
kernel may make together, before it is timed: a fast wrong one never gets that far. That reference
holds every product of a contraction at once; where there are too many, the results of the default
schedule stand for it, as they do where they are not within these errors themselves. What schedules
do not change, the program and the reference, is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec.structs import replace

from tilewright.compiler.driver import prepare
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import GPU_TARGETS
from tilewright.compiler.testing import compare
from tilewright.compiler.tune.timing import Outcome, Timer, calls_timer, race
from tilewright.ir.analysis.error_bounds import bound_graph
from tilewright.ir.analysis.error_rules import Bounded, target_class
from tilewright.ir.errors import KernelError
from tilewright.ir.lower.accesses import work
from tilewright.ir.program import Nest, Program
from tilewright.ir.schedule import Schedule
from tilewright.ir.sizes import bind_symbols

if TYPE_CHECKING:
    from tilewright.compiler.specialization import Specialization
    from tilewright.compiler.targets import BuildOptions
    from tilewright.compiler.trace.run import Traced

Schedules = Mapping[str, Schedule]
_JUNK = 0xA5
_MOST_WORK: Final = 1 << 26
"""Operations of a kernel whose reference takes no more than some gigabytes and seconds."""
_ROUNDINGS: Final = 300
"""Errors of regrouped sums, in parts of the largest result, in units of its precision."""


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
        self._prepared = prepare(traced, target, runtime())
        self._known: dict[str, Timer] = {}
        self._allowed = self._reference()

    def race(self, new: Schedules, old: Schedules, seconds: float) -> Outcome:
        """Compile, check and time `new` against `old`; an error of ours if it cannot be."""
        return race(self._timer(new), self._timer(old), seconds)

    def _reference(self) -> list[Bounded]:
        default = self.compiled({}).run(self.inputs)
        if _work(self._prepared.program) <= _MOST_WORK:
            bounds = self._bounds()
            pairs = enumerate(zip(default, bounds, strict=True))
            if not any(compare(self.target, k, array, allowed) for k, (array, allowed) in pairs):
                return bounds
        return [_near(array) for array in default]

    def _bounds(self) -> list[Bounded]:
        graph = self.traced.graph
        shapes = [t.shape for t in graph.inputs]
        symbols = bind_symbols(shapes, [i.shape for i in self.inputs], self.traced.input_names)
        promised = target_class(self.target, self.options.numerics)
        return bound_graph(graph, self.inputs, promised, symbols)

    def compiled(self, schedules: Schedules) -> Specialization:
        """The function under these schedules, and its defaults for other nests."""
        return self._prepared.compile(replace(self.options, schedules=dict(schedules)))

    def _timer(self, schedules: Schedules) -> Timer:
        key = repr(sorted(schedules.items()))
        if key not in self._known:
            if len(self._known) > 1:  # the loser of the last race; the best is asked for again
                self._known.pop(next(iter(self._known)))
            made = self.compiled(schedules)
            self._known[key] = self._timer_of(made, self.check(made))
        else:
            self._known[key] = self._known.pop(key)
        return self._known[key]

    def check(self, made: Specialization) -> list[np.ndarray]:
        """Its results, if they are right. What an output held before must not look like one."""
        outputs = [np.empty_like(np.asarray(array)) for array in made.run(self.inputs)]
        for output in outputs:
            output.reshape(-1).view(np.uint8)[...] = _JUNK
        found = made.run(self.inputs, outputs)
        for number, (array, allowed) in enumerate(zip(found, self._allowed, strict=True)):
            wrong = compare(self.target, number, array, allowed)
            if wrong is not None:
                raise WrongResultError(str(wrong))
        return found

    def _timer_of(self, made: Specialization, outputs: list[np.ndarray]) -> Timer:
        """Of calls into the same outputs, or on a GPU of what the device does: allocations and
        transfers are the same for all."""
        if self.target not in GPU_TARGETS:
            return calls_timer(lambda: made.run(self.inputs, outputs))
        arrays = [made.target.upload(i) for i in self.inputs]
        loaded: Any = made.executable
        return lambda runs: float(loaded.device_seconds(arrays, runs))


def _work(program: Program) -> int:
    return sum(work(step) for step in program.steps if isinstance(step, Nest))


def _near(array: np.ndarray) -> Bounded:
    """What lies as near to the results of the default schedule as another order of sums may."""
    if array.dtype.kind != "f":
        return Bounded(array, np.zeros(array.shape))
    finite = np.abs(array[np.isfinite(array)].astype(np.float64))
    roundings = _ROUNDINGS if array.itemsize > 2 else 4  # float16 is rounded at the end only
    bound = roundings * float(np.finfo(array.dtype).eps) * float(finite.max(initial=0.0))
    return Bounded(array.astype(np.float64), np.full(array.shape, bound), unsigned=np.True_)
