"""The largest error of each float32 function on the CPU target, over all 2**32 inputs.

    python scripts/measure_ulp.py [--step N] [FUNCTION ...]

The reference is float64 from the same inputs: NumPy's, or for erf our own float64 kernel (whose
error, 1.2 ulp of float64, does not show). Errors are in units in the last place of the true value
rounded to float32; results below 2**-126 count in units of the smallest subnormal. `--step N`
looks at every N-th bit pattern. All patterns take about a minute per function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track

import tilewright as tw

CHUNK = 1 << 16  # so that its arrays stay in the cache
CONSOLE = Console(stderr=True)  # so that the table alone goes to a file
FUNCTIONS: dict[str, Any] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "erf": tw.erf,
    "cbrt": np.cbrt,
}


def kernel_of(function: Any) -> tw.Kernel:
    """The function alone, as a kernel."""

    def one(x):
        return function(x)

    return tw.kernel(one)


def reference_of(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function in float64."""
    return kernel_of(tw.erf) if name == "erf" else FUNCTIONS[name]


def chunks(step: int) -> Iterator[np.ndarray]:
    """All float32 values, as bit patterns from 0 up, every `step`-th."""
    span = CHUNK * step
    for start in range(0, 1 << 32, span):
        stop = min(start + span, 1 << 32)
        yield np.arange(start, stop, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


EXPONENT = np.uint64(0x7FF0000000000000)
SMALLEST = np.float64(2.0**-149)


def ulps(result: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The error of each result; where one is NaN or infinite, 0 if both are alike, else inf."""
    power = (exact.view(np.uint64) & EXPONENT).view(np.float64)
    unit = np.maximum(power * 2.0**-23, SMALLEST)
    error: np.ndarray = np.abs(result - exact) / unit
    if np.isfinite(error).all():
        return error
    rounded = exact.astype(np.float32)
    special = ~np.isfinite(rounded) | ~np.isfinite(result)
    alike = (result == rounded) | (np.isnan(result) & np.isnan(rounded))
    return np.where(special, np.where(alike, 0.0, np.inf), error)


def measure(name: str, step: int) -> tuple[float, float]:
    """The largest error, and where it is."""
    kernel, reference = kernel_of(FUNCTIONS[name]), reference_of(name)
    worst, place = 0.0, 0.0
    total = -(-(1 << 32) // (CHUNK * step))
    with np.errstate(all="ignore"):
        for x in track(chunks(step), name, total, transient=True, console=CONSOLE):
            error = ulps(kernel(x), reference(x.astype(np.float64)))
            at = int(np.argmax(error))
            if error[at] > worst:
                worst, place = float(error[at]), float(x[at])
    return worst, place


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(FUNCTIONS)))
@click.option("--step", default=1, show_default=True, help="Look at every N-th bit pattern.")
def main(names: tuple[str, ...], step: int) -> None:
    """Print a Markdown table of the largest errors."""
    click.echo(f"| function | largest error, ulp | at | inputs |\n| {'--- | ' * 4}".rstrip())
    for name in names or tuple(FUNCTIONS):
        start = time.perf_counter()
        worst, place = measure(name, step)
        count = -(-(1 << 32) // step)
        click.echo(f"| {name} | {worst:.3f} | {place!r} | {count:,} |")
        click.echo(f"{name}: {time.perf_counter() - start:.0f} s", err=True)


if __name__ == "__main__":
    main()
