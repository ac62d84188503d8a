"""Naive shaders against our schedules, untuned and tuned, in turns on one adapter.

    python -m benchmarks.gpu_schedules --target wgsl [--case NAME …] [--trials N] [--seconds S]
        [--seed N] [--forms] [--json FILE]

"naive" is written by hand (`benchmarks/naive`), "default" what runs without tuning, "tuned" the
best of `--trials` schedules; ``--forms`` adds every form that the space of schedules has, in its
usual sizes. All results are checked against float64 first. A round times each once; what is printed
are medians of the ratios of rounds.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tilewright as tw
from benchmarks.naive import TARGETS, Shape, naive_programs
from tilewright.compiler.driver import compile_traced
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import BuildOptions, open_target
from tilewright.compiler.tune.candidates import Candidates
from tilewright.compiler.tune.device import device_of
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.session import Budget, TunableNest, Tuned, tune
from tilewright.compiler.tune.subject import traced_call
from tilewright.compiler.tune.timing import Timer
from tilewright.compiler.tune.worker import RaceRequest, Reply
from tilewright.ir.errors import KernelError
from tilewright.ir.schedule import Schedule

NAIVE, DEFAULT, TUNED = "naive", "default", "tuned"
SHOWN: Final = (NAIVE, DEFAULT, TUNED)
STRETCH_SECONDS: Final = 0.03
ROUNDS: Final = 9
LEAST_ROUNDS: Final = 3
CASE_SECONDS: Final = 20.0
"""After this time there are no more rounds than the least."""
FORM: Final = "form"

Schedules = Mapping[str, Schedule]


def product(a: Any, b: Any) -> Any:
    return a @ b


def convolution(x: Any, w: Any) -> Any:
    """Channels last, without padding."""
    (height, width, channels), (kh, kw, _, filters) = x.shape, w.shape
    return tw.compute(
        (height - kh + 1, width - kw + 1, filters),
        lambda i, j, f: tw.sum(
            lambda p, q, c: x[i + p, j + q, c] * w[p, q, c, f], (kh, kw, channels)
        ),
    )


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Case(Struct, frozen=True):
    """An operation on arrays of these shapes; `operation` is the name of its naive program."""

    operation: str
    kernel: Callable[..., Any]
    shapes: Mapping[str, Shape]


def _square(n: int) -> Case:
    return Case("product", product, {"a": (n, n), "b": (n, n)})


CASES: Final = {
    "product 512": _square(512),
    "product 1024": _square(1024),
    "convolution 3x3": Case("convolution", convolution, {"x": (58, 58, 64), "w": (3, 3, 64, 64)}),
    "softmax 1024x1000": Case("softmax", softmax, {"x": (1024, 1000)}),
}


class Subject:
    """A case on a target: what to time, by name."""

    def __init__(self, case: Case, target: str) -> None:
        rng = np.random.default_rng(0)
        arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in case.shapes.items()}
        self.case = case
        self.target = open_target(target, runtime())
        self.options = BuildOptions()
        self.traced, values = traced_call(tw.kernel(target=target)(case.kernel), arrays)
        self.inputs = [values[n] for n in self.traced.input_names]
        self.candidates = Candidates(self.traced, target, self.options, self.inputs)
        self.nests = tunable_nests(self.traced, target, self.options)
        self.arrays = [self.target.upload(i) for i in self.inputs]

    def naive(self) -> Timer:
        """The handwritten program, once it has given the results of ours."""
        run = naive_programs(self.target.name)[self.case.operation](*self.case.shapes.values())
        (found,), (expected,) = run(self.inputs), self._compiled({}).run(self.inputs)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        return self._timer(lambda: run(self.arrays, None, on_device=True))

    def ours(self, schedules: Schedules) -> Timer:
        """Our program under these schedules."""
        made = self._compiled(schedules)
        return self._timer(lambda: made.run_on_device(self.arrays))

    def _compiled(self, schedules: Schedules) -> Any:
        options = replace(self.options, schedules=dict(schedules))
        return compile_traced(self.traced, self.target.name, options, runtime())

    def _timer(self, call: Callable[[], object]) -> Timer:
        call()
        finish = _waiting(self.target.name)

        def timer(runs: int) -> float:
            finish()
            start = time.perf_counter()
            for _ in range(runs):
                call()
            finish()
            return (time.perf_counter() - start) / runs

        return timer

    def forms(self) -> dict[str, Schedules]:
        """The forms that the largest nest may take, in their usual sizes."""
        nest = max(self.nests, key=lambda n: n.work)
        return {name: {nest.name: schedule} for name, schedule in _forms(nest).items()}

    def tuned(self, budget: Budget, seed: int) -> Tuned:
        """The best schedules of a search."""
        return tune(self.nests, InProcess(self.candidates), budget, seed, {}, lambda *_: None)


def _waiting(target: str) -> Any:
    """What waits for all that was queued on the device of a target."""
    return (runtime().webgpu if target == "wgsl" else runtime().webgl).synchronize


def _forms(nest: TunableNest) -> dict[str, Schedule]:
    space = nest.space
    usual = {k.name: k.values[n] for k, n in zip(space.knobs, space.default, strict=True)}
    names = next((k.values for k in space.knobs if k.name == FORM), ())
    made = {name: space.make({**usual, FORM: name}) for name in names}
    return {name: schedule for name, schedule in made.items() if schedule is not None}


class InProcess:
    """Races candidates here: those of a benchmark need not be killed."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates

    def race(self, request: RaceRequest) -> Reply:
        try:
            found = self.candidates.race(request.new, request.old, request.seconds)
        except KernelError as error:
            return Reply(error=str(error))
        return Reply(found.ratio, found.seconds, found.wins)


class Measured(Struct, frozen=True):
    """Seconds of each subject in each round, and the tuned schedules as text."""

    seconds: Mapping[str, Sequence[float]]
    schedules: Mapping[str, str]

    def ratio(self, slow: str, fast: str) -> float:
        """How many times as long `slow` takes as `fast`."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return statistics.median(a / b for a, b in pairs)


def measure(case: Case, target: str, budget: Budget, seed: int, forms: bool) -> Measured:
    """Tune, then time all in turns."""
    subject = Subject(case, target)
    found = subject.tuned(budget, seed)
    timers = {NAIVE: subject.naive(), DEFAULT: subject.ours({})}
    if forms:
        timers |= {name: subject.ours(s) for name, s in subject.forms().items()}
    timers[TUNED] = subject.ours(found.schedules)
    return Measured(in_turns(timers), {n: str(s) for n, s in found.schedules.items()})


def in_turns(timers: Mapping[str, Timer]) -> dict[str, list[float]]:
    """Seconds per run, in rounds that begin with another subject each."""
    runs = {name: max(1, int(STRETCH_SECONDS / timer(1))) for name, timer in timers.items()}
    names = list(timers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    end = time.monotonic() + CASE_SECONDS
    for turn in range(ROUNDS):
        if turn >= LEAST_ROUNDS and time.monotonic() > end:
            break
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(timers[name](runs[name]))
    return seconds


def _row(name: str, found: Measured) -> list[str]:
    milliseconds = {n: 1e3 * statistics.median(s) for n, s in found.seconds.items()}
    others = [f"{n} {t:.2f}" for n, t in milliseconds.items() if n not in SHOWN]
    return [
        name,
        *(f"{milliseconds[n]:.2f}" for n in SHOWN),
        f"{found.ratio(NAIVE, DEFAULT):.2f}",
        f"{found.ratio(NAIVE, TUNED):.2f}",
        f"{found.ratio(TUNED, DEFAULT):.2f}",
        "\n".join(others),
    ]


@click.command()
@click.option("--target", type=click.Choice(TARGETS), required=True)
@click.option("--case", "names", type=click.Choice(list(CASES)), multiple=True)
@click.option("--trials", type=int, default=60, show_default=True)
@click.option("--seconds", type=float, default=60.0, show_default=True, help="For each search.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--forms", is_flag=True, help="Time every form of schedule as well.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path))
def main(
    target: str,
    names: Sequence[str],
    trials: int,
    seconds: float,
    seed: int,
    forms: bool,
    file: Path | None,
) -> None:
    """Measure the cases that are named, or all."""
    console = Console()
    table = Table(title=f"{target} on {device_of(target).name}: milliseconds, and how many times")
    ratios = ("naive/\ndefault", "naive/\ntuned", "tuned/\ndefault")
    for title in ("case", *SHOWN, *ratios, "forms"):
        table.add_column(title)
    found: dict[str, Any] = {}
    for name in track(names or list(CASES), console=console):
        measured = measure(CASES[name], target, Budget(trials, seconds), seed, forms)
        table.add_row(*_row(name, measured))
        found[name] = {"seconds": measured.seconds, "schedules": measured.schedules}
    console.print(table)
    if file is not None:
        made = {"device": device_of(target).name, "date": time.strftime("%F"), "cases": found}
        file.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
