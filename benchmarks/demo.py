"""``make demo``: a dozen kernels of the gallery, compiled for this CPU, checked and timed.

Prints a table against NumPy, and writes pictures of what the image kernels do into demo_output/.
Ends with status 1 if any result is wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import tilewright as tw
from benchmarks.gallery import Entry, entries
from benchmarks.gallery.entry import Array
from benchmarks.gallery.photograph import photograph
from benchmarks.subjects import subject
from tilewright.compiler.bench.measure import Effort
from tilewright.compiler.bench.report import geometric_mean, ratio_text, time_text
from tilewright.compiler.bench.run import NUMPY, OURS, Result, run_subject
from tilewright.compiler.bench.threads import load_warning
from tilewright.compiler.cli.tables import console
from tilewright.compiler.runtime import runtime

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

OUTPUT = Path(__file__).resolve().parents[1] / "demo_output"
EFFORT = Effort(rounds=7, seconds=0.2, most_seconds=1.5)

# Of every family, those that people know; not those that come out best.
SHOWN = (
    "gelu",
    "softmax",
    "layer_norm",
    "matmul_512",
    "attention",
    "conv3x3",
    "gaussian_blur",
    "median3x3",
    "letterbox",
    "rgb_to_hsv",
    "mel_spectrogram",
    "iou_matrix",
)


@dataclass(frozen=True)
class Picture:
    """An image kernel to be shown: `inputs` makes its arguments of a photograph's bytes, and the
    first of them is the picture before. `white` is what floats mean by it."""

    name: str
    inputs: Callable[[Array], tuple[Array, ...]]
    white: float = 1.0


def _gray(photo: Array) -> Array:
    return np.ascontiguousarray(photo[..., 1])


def _gray_floats(photo: Array) -> Array:
    return _gray(photo).astype(np.float32) / 255


def _with_defects(photo: Array) -> tuple[Array]:
    """Every twentieth pixel is black or white, which is what a median removes."""
    gray, chance = _gray(photo), np.random.default_rng(0).random(photo.shape[:2])
    return (np.where(chance < 0.025, 0, np.where(chance > 0.975, 255, gray)).astype(np.uint8),)


def _rotated_crop(photo: Array) -> tuple[Array, Array]:
    angle, scale = 0.4, 1.8
    across, down = scale * np.cos(angle), scale * np.sin(angle)
    centre = np.array(photo.shape[:2]) / 2 - 112 * np.array([across - down, across + down])
    matrix = np.array([[across, -down, centre[0]], [down, across, centre[1]]])
    return photo, matrix.astype(np.float32)


PICTURES = (
    Picture("sobel_magnitude", lambda photo: (_gray_floats(photo),)),
    Picture("bilateral_filter", lambda photo: (_gray_floats(photo),)),
    Picture("median3x3", _with_defects),
    Picture("letterbox", lambda photo: (photo,)),
    Picture("affine_crop", _rotated_crop, white=255.0),
)


def main() -> int:
    """Run the demonstration; the exit status."""
    start = time.perf_counter()
    out = console()
    by_name = {entry.name: entry for entry in entries()}
    out.print(
        f"[bold]Tilewright {tw.__version__}[/]: NumPy functions, compiled for this CPU"
        f" ({runtime().pool.num_threads} threads)\n"
    )
    warning = load_warning()
    rows = [measure_entry(by_name[name], out) for name in SHOWN]
    out.print(_table(rows))
    if warning:
        out.print(f"[yellow]{warning}[/]")
    print_summary(rows, out)
    excesses = write_pictures(by_name, OUTPUT)
    out.print(f"{len(excesses)} pictures, before and after, are in {OUTPUT.name}/")
    wrong = [r.name for row in rows for r in row if not r.is_right]
    wrong += [name for name, excess in excesses.items() if not excess <= 1]
    for name in dict.fromkeys(wrong):
        out.print(f"[red]{name} is wrong[/]")
    out.print(f"[dim]{time.perf_counter() - start:.0f} s[/]")
    return 1 if wrong else 0


def measure_entry(entry: Entry, out: Console, effort: Effort = EFFORT) -> list[Result]:
    """One kernel on one thread, and on all of them if there are more."""
    threads = sorted({1, runtime().pool.num_threads})
    with out.status(f"{entry.name}: {entry.title}"):
        return [run_subject(subject(entry), "cpu", count, effort) for count in threads]


def _table(rows: Sequence[Sequence[Result]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("kernel")
    for result in rows[0]:
        plural = "" if result.threads == 1 else "s"
        for title in (f"{result.threads} thread{plural}", "NumPy", "faster"):
            table.add_column(title, justify="right")
    table.add_column("error", justify="right")
    for row in rows:
        table.add_row(
            row[0].name, *(cell for result in row for cell in _cells(result)), _error(row)
        )
    return table


def _cells(result: Result) -> tuple[str, str, str]:
    seconds = result.seconds
    ratio = ratio_text(result.ratios[NUMPY])
    return time_text(seconds[OURS]), time_text(seconds[NUMPY]), ratio


def _error(row: Sequence[Result]) -> str:
    worst = max(result.error or 0.0 for result in row)
    text = f"{worst:.0e}" if worst else "exact"
    return text if all(result.is_right for result in row) else f"[red]{text} wrong[/]"


def print_summary(rows: Sequence[Sequence[Result]], out: Console) -> None:
    """The geometric means."""
    means = [
        f"{geometric_mean(r.ratios[NUMPY] for r in column):.2f}× on {column[0].threads}"
        for column in zip(*rows, strict=True)
    ]
    out.print(
        f"\n[bold]{' and '.join(means)} thread(s)[/], geometric mean against NumPy with as many"
        " threads.\nThe error is against float64, in parts of the result's largest element.\n"
    )


def write_pictures(by_name: dict[str, Entry], folder: Path) -> dict[str, float]:
    """Run the image kernels on a photograph and write before and after side by side; the error of
    each in units of what is allowed."""
    photo = photograph(540, 960)
    folder.mkdir(exist_ok=True)
    excesses = {}
    for picture in PICTURES:
        entry = by_name[picture.name]
        inputs = picture.inputs(photo)
        result = tw.kernel(entry.kernel)(*inputs)
        excesses[entry.name] = entry.excess_on(inputs, result)
        before, after = (as_bytes(image, picture.white) for image in (inputs[0], result))
        _save(_side_by_side(before, after), folder / f"{entry.name}.png")
    return excesses


def as_bytes(image: Array, white: float = 1.0) -> Array:
    """An image of any kind of the gallery's as RGB bytes, channels last; floats up to `white`."""
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], 3, axis=2)
    elif image.shape[0] == 3:
        image = image.transpose(1, 2, 0)
    if image.dtype == np.uint8:
        return image
    levels: Array = np.clip(image * (255 / white), 0, 255).round().astype(np.uint8)
    return levels


def _side_by_side(before: Array, after: Array, gap: int = 16) -> Array:
    height = max(before.shape[0], after.shape[0])
    canvas = np.full((height, before.shape[1] + gap + after.shape[1], 3), 255, np.uint8)
    canvas[: before.shape[0], : before.shape[1]] = before
    canvas[: after.shape[0], before.shape[1] + gap :] = after
    return canvas


def _save(image: Array, path: Path) -> None:
    from PIL import Image

    Image.fromarray(image).save(path)


if __name__ == "__main__":
    sys.exit(main())
