"""How near default schedules are to tuned ones, on any target.

    python -m benchmarks.default_schedules [--target cpu] [--case NAME …] [--trials N] [--seconds S]
        [--seed N]

Each case is tuned, then both are timed in turns. "speed" is that of the default as a part of the
tuned one's: 1 where tuning finds nothing better. Cases are those of `gpu_schedules`, and one kernel
of each family of the gallery, or any that is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

import tilewright as tw
from benchmarks.gallery import entries
from benchmarks.gpu_schedules import CASES, InProcess
from tilewright.compiler.targets import NAMES, BuildOptions
from tilewright.compiler.tune.as_code import schedule_code
from tilewright.compiler.tune.candidates import Candidates
from tilewright.compiler.tune.device import device_of
from tilewright.compiler.tune.nests import tunable_nests
from tilewright.compiler.tune.session import Budget, tune
from tilewright.compiler.tune.subject import traced_call
from tilewright.compiler.tune.worker import RaceRequest
from tilewright.ir.errors import UnsupportedError

FINAL_SECONDS = 2.0


class Compared(Struct, frozen=True):
    """Seconds of a call under tuned schedules, and how fast the default is beside them."""

    tuned: float
    speed: float
    schedules: str


def cases() -> dict[str, tuple[Callable[..., Any], dict[str, np.ndarray]]]:
    """Functions and arguments by the names of cases; those of the gallery follow the others."""
    rng = np.random.default_rng(0)
    found: dict[str, tuple[Callable[..., Any], dict[str, np.ndarray]]] = {}
    for name, case in CASES.items():
        arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in case.shapes.items()}
        found[name] = case.kernel, arrays
    for entry in entries():
        names = entry.kernel.__code__.co_varnames
        found[entry.name] = entry.kernel, dict(zip(names, entry.inputs(), strict=False))
    return found


def compared(
    function: Callable[..., Any],
    arrays: dict[str, np.ndarray],
    target: str,
    budget: Budget,
    seed: int,
) -> Compared:
    """Tune, then time the default against what was found."""
    options = BuildOptions()
    traced, values = traced_call(tw.kernel(target=target)(function), arrays)
    inputs = [np.ascontiguousarray(values[n]) for n in traced.input_names]
    racer = InProcess(Candidates(traced, target, options, inputs))
    nests = tunable_nests(traced, target, options)
    found = tune(nests, racer, budget, seed, {}, lambda *_: None)
    last = racer.race(RaceRequest(dict(found.schedules), {}, FINAL_SECONDS))
    shown = ", ".join(f"{n}: {schedule_code(s)}" for n, s in found.schedules.items())
    return Compared(last.seconds, last.ratio, shown)


@click.command()
@click.option("--target", type=click.Choice(NAMES), default="cpu", show_default=True)
@click.option("--case", "names", multiple=True)
@click.option("--trials", type=int, default=60, show_default=True)
@click.option("--seconds", type=float, default=30.0, show_default=True, help="For each search.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(target: str, names: Sequence[str], trials: int, seconds: float, seed: int) -> None:
    """Compare the cases that are named, or the usual ones."""
    known = cases()
    families = {entry.family: entry.name for entry in entries()}
    console = Console()
    table = Table(title=f"{target} on {device_of(target).name}")
    for title in ("case", "tuned", "speed of the default", "tuned schedules"):
        table.add_column(title)
    for name in names or (*CASES, *families.values()):
        try:
            found = compared(*known[name], target, Budget(trials, seconds), seed)
        except UnsupportedError:
            continue
        row = (name, f"{1e3 * found.tuned:.3f} ms", f"{found.speed:.2f}", found.schedules)
        console.print(*row)
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
