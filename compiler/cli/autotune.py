"""``tilewright autotune``: finds the schedules with which kernels are fastest on this machine."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from tilewright.compiler.cli.argument_values import Argument, kernel_arguments, parse_argument
from tilewright.compiler.cli.failures import BadFileError, ExitCode, code_of
from tilewright.compiler.cli.kernel_file import STDIN, KernelPath, load_kernels
from tilewright.compiler.cli.options import database_option, examples, kernel_path, target_option
from tilewright.compiler.cli.tables import console, printable
from tilewright.ir.errors import TilewrightError

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.targets import BuildOptions
    from tilewright.compiler.trace.run import Traced
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
    if len(chosen) < len(kernels):
        left = ", ".join(n for n in kernels if n not in chosen)
        click.echo(f"not tuned, as their arguments are not given: {left}", err=True)
    code = ExitCode.OK
    for name, kernel in chosen.items():
        tuning = _Tuning(KernelPath(path.file, name), tuple(texts), database)
        try:
            found = tuning.run(kernel.on(target or kernel.target), Budget(trials, seconds), seed)
        except TilewrightError as error:
            if len(chosen) == 1:
                raise
            code = code_of(error)
            click.echo(f"error: {name}: {error}", err=True)
            continue
        if not found.is_whole:
            raise KeyboardInterrupt
    return code


def _is_complete(kernel: Kernel, arguments: Sequence[Argument]) -> bool:
    with suppress(click.UsageError):
        kernel_arguments(kernel, arguments)
        return True
    return False


class _Tuning(Struct, frozen=True):
    """What is tuned, with arguments as on the command line, and where records are."""

    path: KernelPath
    texts: tuple[str, ...]
    database: TuningDatabase

    def run(self, kernel: Kernel, budget: Budget, seed: int) -> Tuned:
        """Search, keep what was found, and print it."""
        from tilewright.compiler.runtime import runtime
        from tilewright.compiler.tune.nests import tunable_nests
        from tilewright.compiler.tune.session import tune
        from tilewright.compiler.tune.start import starting_points
        from tilewright.compiler.tune.subject import open_sizes, traced_call
        from tilewright.compiler.tune.worker import Job
        from tilewright.compiler.tune.worker_process import WorkerProcess

        name = str(self.path.kernel)
        options = replace(kernel.options, schedules=None)
        given = kernel_arguments(kernel, [parse_argument(text) for text in self.texts])
        traced, values = traced_call(kernel, given)
        nests = tunable_nests(traced, kernel.target, options)
        blank = replace(
            self._record(kernel, options, traced, seed), sizes=open_sizes(traced, values)
        )
        start = starting_points(self.database, blank, nests)
        known = self.database.failures(blank.key)
        threads, devices = runtime().pool.num_threads, runtime().device_choice
        job = Job(self.path.file, name, self.texts, kernel.target, threads, devices)
        with WorkerProcess(job, patience=60.0) as worker, _Bar(name, budget.trials) as bar:
            found = tune(nests, worker, budget, seed, start, bar, known)
        _report(name, found)
        record = replace(
            blank,
            schedules=dict(found.schedules),
            seconds=found.seconds,
            default_seconds=found.default_seconds,
            trials=found.trials,
            failures=found.failures,
        )
        if self.database.add([record]):
            click.echo(self._where(name))
        return found

    def _where(self, name: str) -> str:
        """Where the record is, and how to be rid of it."""
        from tilewright.compiler.runtime import runtime

        path, forget = str(self.database.path), f"tilewright tuning remove {name}"
        if path == runtime().tuning_file:
            return f"later calls use the record in {path!r}; `{forget}` forgets it"
        forget += f" --database {shlex.quote(path)}"
        return f"recorded in {path!r}, which later calls do not read; `{forget}` forgets it"

    def _record(
        self, kernel: Kernel, options: BuildOptions, traced: Traced, seed: int
    ) -> TuningRecord:
        """A record of the kernel, without what is yet to be found."""
        from tilewright.compiler.cache.artifacts import versions
        from tilewright.compiler.tune.database import TuningRecord
        from tilewright.compiler.tune.device import device_of
        from tilewright.compiler.tune.subject import family_digest, graph_digest

        device = device_of(kernel.target)
        return TuningRecord(
            kernel=str(self.path.kernel),
            graph=graph_digest(traced.graph, kernel.target, options),
            family=family_digest(traced.graph, kernel.target, options),
            arguments=tuple(f"{n}: {s}" for n, s in traced.specs.items()),
            target=kernel.target,
            device=device.name,
            software=device.software,
            compiler=versions(),
            schedules={},
            seconds=0.0,
            default_seconds=0.0,
            trials=0,
            seed=seed,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _report(name: str, found: Tuned) -> None:
    from tilewright.compiler.tune.as_code import decorator_code

    click.echo(f"{name}: {found.trials} schedules tried")
    for why, count in Counter(failure.error for failure in found.failures).items():
        click.echo(f"{count} failed: {printable(why)}")
    if not found.schedules:
        click.echo("nothing faster than the default was found")
        return
    gain = found.default_seconds / found.seconds
    click.echo(f"{gain:.2f} times as fast as the default ({found.seconds * 1e6:.4g} us)")
    click.echo(decorator_code(found.schedules))


class _Bar:
    """A progress bar with the best so far, on a terminal."""

    def __init__(self, name: str, trials: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
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
