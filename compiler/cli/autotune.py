"""``tilewright autotune``: finds the schedules with which kernels are fastest on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from tilewright.compiler.cli.argument_values import Argument, kernel_arguments, parse_argument
from tilewright.compiler.cli.failures import BadFileError, ExitCode
from tilewright.compiler.cli.kernel_file import STDIN, KernelPath, load_kernels
from tilewright.compiler.cli.options import database_option, examples, kernel_path, target_option
from tilewright.compiler.cli.tables import console

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.tune.database import TuningDatabase, TuningRecord
    from tilewright.compiler.tune.session import Budget, Tuned


@click.command(
    short_help="Search for the fastest schedules.",
    epilog=examples(
        "tilewright autotune kernels.py:softmax --arg x=f32[1024,1000]",
        "tilewright autotune kernels.py:matmul --arg a=f32[512,512] --arg b=f32[512,512]"
        " --target wgsl --trials 200",
        "tilewright autotune kernels.py",
        after="""Without a kernel's name all kernels of the file are tuned whose arguments are
        declared or given. Ctrl-C ends the search and keeps what it has found. Later calls of these
        kernels use the records by themselves.""",
    ),
)
@kernel_path()
@click.option(
    "--arg",
    "texts",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the kernel, as in `tilewright bench`.",
)
@target_option
@click.option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="Schedules to try for each kernel, at most.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    help="How long to search for each kernel, at most.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides what is drawn.")
@database_option
def autotune(
    path: KernelPath,
    texts: Sequence[str],
    target: str | None,
    trials: int,
    seconds: float,
    seed: int,
    database: TuningDatabase,
) -> int:
    """Try schedules of a kernel on this machine, and keep the fastest as a tuning record."""
    from tilewright.compiler.tune.session import Budget

    if path.file == STDIN:
        raise BadFileError("a kernel from standard input cannot be tuned", help="name a file")
    arguments = [parse_argument(text) for text in texts]
    kernels = load_kernels(path)
    chosen = {n: k for n, k in kernels.items() if len(kernels) == 1 or _is_complete(k, arguments)}
    if not chosen:
        raise click.UsageError("no kernel of the file has all its arguments: give --arg, or a name")
    for name, kernel in chosen.items():
        one = KernelPath(path.file, name)
        record = _tune(one, kernel, texts, target, Budget(trials, seconds), seed, database)
        if record is not None:
            database.add([record])
    return ExitCode.OK


def _is_complete(kernel: Kernel, arguments: Sequence[Argument]) -> bool:
    with suppress(click.UsageError):
        kernel_arguments(kernel, arguments)
        return True
    return False


def _tune(
    path: KernelPath,
    kernel: Kernel,
    texts: Sequence[str],
    target: str | None,
    budget: Budget,
    seed: int,
    database: TuningDatabase,
) -> TuningRecord | None:
    from tilewright.compiler.cache.artifacts import versions
    from tilewright.compiler.runtime import runtime
    from tilewright.compiler.tune.database import TuningRecord
    from tilewright.compiler.tune.device import device_of
    from tilewright.compiler.tune.nests import tunable_nests
    from tilewright.compiler.tune.session import tune
    from tilewright.compiler.tune.start import starting_points
    from tilewright.compiler.tune.subject import family_digest, graph_digest, traced_call
    from tilewright.compiler.tune.worker import Job
    from tilewright.compiler.tune.worker_process import WorkerProcess

    chosen = kernel.on(target or kernel.target)
    options = replace(chosen.options, schedules=None)
    given = kernel_arguments(kernel, [parse_argument(text) for text in texts])
    traced, _ = traced_call(chosen, given)
    nests = tunable_nests(traced, chosen.target, options)
    family = family_digest(traced.graph, chosen.target, options)
    shown = tuple(f"{n}: {s}" for n, s in traced.specs.items())
    start = starting_points(database, family, device_of(chosen.target).name, shown, nests)
    threads = runtime().pool.num_threads
    devices = runtime().device_choice
    job = Job(path.file, str(path.kernel), tuple(texts), chosen.target, threads, devices)
    with WorkerProcess(job, patience=60.0) as worker, _Bar(str(path.kernel), budget.trials) as bar:
        found = tune(nests, worker, budget, seed, start, bar)
    _report(str(path.kernel), found)
    device = device_of(chosen.target)
    return TuningRecord(
        kernel=str(path.kernel),
        graph=graph_digest(traced.graph, chosen.target, options),
        family=family,
        arguments=shown,
        target=chosen.target,
        device=device.name,
        software=device.software,
        compiler=versions(),
        schedules=dict(found.schedules),
        seconds=found.seconds,
        default_seconds=found.default_seconds,
        trials=sum(len(a) - 1 for a in found.attempts.values()),
        seed=seed,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _report(name: str, found: Tuned) -> None:
    from tilewright.compiler.tune.as_code import decorator_code

    tried = sum(len(a) - 1 for a in found.attempts.values())
    failed = f", {len(found.failures)} failed" if found.failures else ""
    gain = found.default_seconds / found.seconds
    click.echo(f"{name}: {tried} schedules tried{failed}")
    if not found.schedules:
        click.echo("the default is the fastest")
        return
    click.echo(f"{gain:.2f} times as fast as the default ({found.seconds * 1e6:.4g} us)")
    click.echo(decorator_code(found.schedules))


class _Bar:
    """A progress bar with the best so far, on a terminal."""

    def __init__(self, name: str, trials: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("best {task.fields[best]:.2f}x"),
        )
        out = console(stderr=True)
        self._progress = Progress(
            *columns, console=out, transient=True, disable=not out.is_terminal
        )
        self._task = self._progress.add_task(name, total=trials, best=1.0)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def __call__(self, nest: str, trials: int, best: float) -> None:
        self._progress.update(self._task, completed=trials, best=1 / best)
