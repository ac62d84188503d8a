"""The command line. In: arguments. Out: text, files, and one of the `ExitCode`s.

Only this package reads environment variables; everything else receives options.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from tilewright import __version__
from tilewright.compiler.cli import autotune, bench, cache, diff, show, targets, tuning
from tilewright.compiler.cli.failures import ExitCode, report
from tilewright.compiler.cli.options import examples
from tilewright.compiler.device_choice import RUNNERS, DeviceChoice, choose_device


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "tilewright targets",
        "tilewright bench kernels.py:softmax --arg x=f32[64,1000]",
        "tilewright show kernels.py:softmax --arg x=f32[64,1000] --stage llvm",
        after="""Exit codes: 0 ok, 1 the work failed, 2 usage, 3 bad input file, 4 unsupported,
        5 no such device, 70 a bug of ours, 130 interrupted.""",
    ),
)
@click.version_option(__version__, prog_name="tilewright")
@click.option(
    "--cache-dir",
    envvar="TILEWRIGHT_CACHE_DIR",
    show_envvar=True,
    metavar="DIR",
    help="Where compiled kernels are kept.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    envvar="TILEWRIGHT_NUM_THREADS",
    show_envvar=True,
    metavar="N",
    help="Threads of the CPU target.  [default: the cores that this process may use]",
)
@click.option(
    "--adapter",
    envvar="TILEWRIGHT_ADAPTER",
    show_envvar=True,
    default="",
    metavar="TEXT",
    help="A part of the WebGPU adapter's name.  [default: the fastest]",
)
@click.option(
    "--egl-device",
    type=click.IntRange(0),
    envvar="TILEWRIGHT_EGL_DEVICE",
    show_envvar=True,
    default=0,
    metavar="N",
    help="The number of the EGL device.  [default: 0]",
)
@click.option(
    "--software/--no-software",
    envvar="TILEWRIGHT_SOFTWARE",
    show_envvar=True,
    default=True,
    help="Whether a processor may play the GPU.",
)
@click.option(
    "--runner",
    type=click.Choice(RUNNERS),
    envvar="TILEWRIGHT_RUNNER",
    show_envvar=True,
    default=RUNNERS[0],
    help="What runs wgsl and glsl: this process, a headless browser, or the first that works.",
)
@click.option(
    "--browser",
    envvar="TILEWRIGHT_BROWSER",
    show_envvar=True,
    default="",
    metavar="PATH",
    help="A Chromium, Chrome or Edge.  [default: the first that is found]",
)
@click.option(
    "--half-float/--no-half-float",
    envvar="TILEWRIGHT_HALF_FLOAT",
    show_envvar=True,
    default=False,
    help="Whether glsl keeps floats in 16 bits, for devices without float render targets.",
)
def tilewright_command(cache_dir: str | None, threads: int | None, **device: Any) -> None:
    """NumPy kernels, compiled for the CPU, WebGPU, WebGL and WebAssembly."""
    from tilewright.compiler.runtime import runtime

    if cache_dir == "":
        raise click.BadParameter("it is empty", param_hint="'--cache-dir'")
    if cache_dir is not None:
        from pathlib import Path

        from tilewright.compiler.cache import ArtifactCache

        runtime().cache = ArtifactCache.default(Path(cache_dir))
    if threads is not None:
        runtime().pool.set_num_threads(threads)
    if DeviceChoice(**device) != DeviceChoice():
        choose_device(**device)


for _command in (
    *(targets.targets, bench.bench, autotune.autotune, tuning.tuning),
    *(show.show, diff.diff, cache.cache),
):
    tilewright_command.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; whatever goes wrong is told on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code: Any = tilewright_command.main(given, prog_name="tilewright", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        return report(error, given)
    return int(code) if isinstance(code, int) else ExitCode.OK
