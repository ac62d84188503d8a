"""``tilewright bench``: kernels against NumPy and others."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from tilewright.compiler.cli.argument_values import Argument, kernel_arguments
from tilewright.compiler.cli.environment import environment
from tilewright.compiler.cli.failures import ExitCode, code_of
from tilewright.compiler.cli.kernel_file import KernelPath, load_kernels
from tilewright.compiler.cli.options import argument_option, examples, kernel_path, target_option
from tilewright.compiler.cli.tables import console
from tilewright.compiler.output_file import check_writable, write_atomically
from tilewright.ir.errors import TilewrightError, UnsupportedError

if TYPE_CHECKING:
    from rich.console import Console

    from tilewright.compiler.api import Kernel
    from tilewright.compiler.bench.measure import Effort
    from tilewright.compiler.bench.run import Result
    from tilewright.compiler.bench.subject import Subject

_CHECKOUT = Path(__file__).resolve().parents[2]
_FORMATS = ("png", "svg", "pdf")


def image_path(text: str) -> str:
    """A file name with the ending of an image format; a usage error for any other."""
    if _image_format(text) not in _FORMATS:
        raise click.BadParameter(f"{text!r} does not end in .{', .'.join(_FORMATS)}")
    return text


def _image_format(path: str) -> str:
    return os.path.splitext(path)[1].lstrip(".").lower()


@click.command(
    short_help="Kernels against NumPy, numba and others.",
    epilog=examples(
        "tilewright bench",
        "tilewright bench --family stencils --seconds 0.2 --against numpy",
        "tilewright bench kernels.py:softmax --arg x=f32[64,1000] --threads 1",
        "tilewright bench kernels.py:softmax --arg x=@data.npy --json softmax.json",
        after="""Without FILE.py the gallery of the source checkout is measured. Both sides allocate
        their results, and use the same number of threads; the error is against float64. On GPU
        targets the time holds the transfers; further tables tell them from what the device does,
        with the traffic and the operations of the launches.""",
    ),
)
@kernel_path(required=False)
@argument_option
@target_option
@click.option("--family", metavar="NAME", help="Only this family of the gallery.")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="Threads of each.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    help="How long to measure each kernel, at least.",
)
@click.option(
    "--against",
    metavar="NAMES",
    help="Who takes part besides NumPy: numba,numexpr.  [default: those installed]",
)
@click.option("--json", "json_path", metavar="FILE", help="Write all numbers there.")
@click.option("--plot", "plot_path", type=image_path, metavar="FILE", help="Draw the ratios.")
def bench(
    path: KernelPath | None,
    arguments: Sequence[Argument],
    target: str | None,
    family: str | None,
    threads: int | None,
    seconds: float,
    against: str | None,
    json_path: str | None,
    plot_path: str | None,
) -> int:
    """Measure kernels against NumPy, and against numba and numexpr where those are installed."""
    from tilewright.compiler.bench.measure import Effort
    from tilewright.compiler.bench.report import document, plot
    from tilewright.compiler.bench.threads import load_warning
    from tilewright.compiler.runtime import runtime

    if path is None and arguments:
        raise click.UsageError("--arg is for kernels of your own: name FILE.py:KERNEL")
    if path is not None and family:
        raise click.UsageError("--family is for the gallery: leave FILE.py out")
    for output in (json_path, plot_path):
        if output is not None:
            check_writable(output)  # not after minutes of measuring
    subjects = _gallery(family) if path is None else _from_file(path, arguments)
    rivals = _rivals(against)
    count = threads or runtime().pool.num_threads
    warning = load_warning()
    results, codes = _run(subjects, target, count, Effort(seconds=seconds), rivals)
    _print(results, warning)
    if json_path is not None:
        text = json.dumps(document(results, environment()), indent=2)
        write_atomically(json_path, f"{text}\n".encode())
    if plot_path is not None:
        write_atomically(plot_path, plot(results, _image_format(plot_path)))
    return max(codes)


def _gallery(family: str | None) -> list[Subject]:
    if not (_CHECKOUT / "benchmarks" / "gallery").is_dir():
        raise click.UsageError(
            "the gallery is in the source checkout only: name FILE.py:KERNEL, or install the"
            " checkout with pip install -e ."
        )
    sys.path.insert(0, str(_CHECKOUT))
    subjects: list[Subject] = importlib.import_module("benchmarks.subjects").subjects()
    if family is None:
        return subjects
    families = dict.fromkeys(s.family for s in subjects)
    if family not in families:
        raise click.BadParameter(
            f"there is no family {family!r}; they are {', '.join(families)}",
            param_hint="'--family'",
        )
    return [s for s in subjects if s.family == family]


def _from_file(path: KernelPath, arguments: Sequence[Argument]) -> list[Subject]:
    return [_subject(k, name, arguments) for name, k in load_kernels(path).items()]


def _subject(kernel: Kernel, name: str, given: Sequence[Argument]) -> Subject:
    from inspect import signature

    from tilewright.compiler.bench.rivals import by_numba
    from tilewright.compiler.bench.subject import Subject, in_float64

    values = signature(kernel.python).bind(**kernel_arguments(kernel, given), **kernel.bound)
    values.apply_defaults()
    if values.kwargs:
        raise UnsupportedError(
            f"{name!r} has keyword-only arguments, which bench cannot pass",
            help="measure a function that takes its arguments by position",
        )
    function = kernel.python
    return Subject(
        name=name,
        kernel=kernel,
        arguments=lambda: values.args,
        baseline=function,
        reference=in_float64(function),
        rivals={"numba": lambda: by_numba(function, values.args)},
    )


def _rivals(against: str | None) -> list[str]:
    from tilewright.compiler.bench.rivals import RIVALS, is_installed

    if against is None:
        return [name for name, module in RIVALS.items() if is_installed(module)]
    names = [name.strip() for name in against.split(",")]
    for name in names:
        if name not in (*RIVALS, "numpy"):
            known = ", ".join(("numpy", *RIVALS))
            raise click.BadParameter(f"{name!r} is none of {known}", param_hint="'--against'")
        if name != "numpy" and not is_installed(RIVALS[name]):
            raise click.BadParameter(f"{name} is not installed", param_hint="'--against'")
    return [name for name in names if name != "numpy"]


def _run(
    subjects: Sequence[Subject],
    target: str | None,
    threads: int,
    effort: Effort,
    rivals: Sequence[str],
) -> tuple[list[Result], list[ExitCode]]:
    """The results, and how each ended. One kernel on its own raises; of many, one that fails must
    not keep the others from being measured."""
    from rich.console import Console
    from rich.progress import track

    from tilewright.compiler.bench.run import Result, run_subject

    results, codes = [], []
    shown = track(subjects, "measuring", console=Console(stderr=True), transient=True)
    for subject in shown:
        where = target or subject.kernel.target
        try:
            result = run_subject(subject, where, threads, effort, rivals)
            code = ExitCode.OK if result.is_right else ExitCode.FAILED
        except Exception as error:
            if len(subjects) == 1:
                raise
            result = replace(
                Result(subject.name, subject.family, where, threads), problem=_told(error)
            )
            code = code_of(error)
        results.append(result)
        codes.append(code)
    return results, codes


def _print_device(out: Console, results: Sequence[Result]) -> None:
    from tilewright.compiler.bench.device_report import device_tables, launch_table

    measured = [r.on_device for r in results if r.on_device]
    if not measured:
        return
    for made in device_tables(results, out.width):
        out.print(made)
        out.print()
    if len(results) == 1 and len(measured[0].figures.launches) > 1:
        out.print(launch_table(measured[0]))
        out.print()
    clock = "its own clock" if measured[0].times.clock == "device" else "the host's clock"
    out.print(
        f"[dim]device: without transfers, by {clock}; read and written: what launches ask of"
        " memory, before caches[/]"
    )
    out.print()


def _told(error: Exception) -> str:
    message = error.message if isinstance(error, TilewrightError) else str(error)
    prefix = "a bug of ours: " if code_of(error) is ExitCode.BUG else ""
    return f"{prefix}{type(error).__name__}: {(message.splitlines() or [''])[0]}"


def _print(results: Sequence[Result], warning: str) -> None:
    from rich.markup import escape

    from tilewright.compiler.bench.report import summary_text, table
    from tilewright.compiler.bench.threads import controls_numpy
    from tilewright.compiler.tune.device import device_of

    out = console()
    first = results[0]
    plural = "" if first.threads == 1 else "s"
    on = f"{first.threads} thread{plural}"
    if any(r.on_device for r in results):
        on = f"{escape(device_of(first.target).name)}; NumPy with {on}"
    out.print(f"[bold]{first.target}[/], {on}; × is how many times as fast", soft_wrap=True)
    if not controls_numpy():
        out.print("[yellow]NumPy chose its own number of threads: pip install threadpoolctl[/]")
    if warning:
        out.print(f"[yellow]{warning}[/]")
    out.print(table(results))
    out.print()
    _print_device(out, results)
    for line in summary_text(results):
        out.print(line, soft_wrap=True)
