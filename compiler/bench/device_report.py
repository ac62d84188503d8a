"""What kernels do on a GPU -> tables and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from tilewright.compiler.bench.report import plain_table, time_text

if TYPE_CHECKING:
    from rich.table import Table

    from tilewright.compiler.bench.device import OnDevice
    from tilewright.compiler.bench.run import Result
    from tilewright.ir.analysis.program_figures import ProgramFigures

Column = tuple[str, Callable[["OnDevice"], str]]

_TIMES: Final[tuple[Column, ...]] = (
    ("upload", lambda d: time_text(d.times.upload)),
    ("device", lambda d: time_text(d.times.device)),
    ("read back", lambda d: time_text(d.times.read_back)),
    ("launches", lambda d: str(d.figures.launch_count)),
)
_WORK: Final[tuple[Column, ...]] = (
    ("read", lambda d: bytes_text(d.figures.bytes_read)),
    ("written", lambda d: bytes_text(d.figures.bytes_written)),
    ("op/byte", lambda d: short_text(d.figures.operations_per_byte)),
)
_OF_TARGET: Final[dict[str, tuple[Column, ...]]] = {
    "wgsl": (
        ("barriers", lambda d: str(d.figures.barriers)),
        ("shared", lambda d: bytes_text(d.figures.workgroup_bytes)),
    ),
    "glsl": (
        ("fetches", lambda d: count_text(d.figures.fetches)),
        ("fetch/mul", lambda d: _optional(d.figures.fetches_per_multiply)),
    ),
}
_WIDE: Final = 112
"""Columns of a terminal that holds all of it side by side."""


def device_tables(results: Sequence[Result], width: int) -> Iterator[Table]:
    """A row per kernel that ran on a GPU: times, and what was counted; side by side in a wide
    terminal."""
    from rich.markup import escape

    shown = [(r.name, r.on_device) for r in results if r.on_device is not None]
    if not shown:
        return
    work = (*_WORK, *_OF_TARGET[next(r.target for r in results if r.on_device)])
    parts = (_TIMES + work,) if width >= _WIDE else (_TIMES, work)
    for columns in parts:
        made = plain_table("kernel", [title for title, _ in columns])
        for name, found in shown:
            made.add_row(escape(name), *(text(found) for _, text in columns))
        yield made


def launch_table(found: OnDevice) -> Table:
    """A row per launch of one kernel."""
    from rich.markup import escape

    titles = ("runs", "device", "share", "read", "written", "op/byte", "rate")
    made = plain_table("launch", titles)
    times = found.times.launches or (None,) * len(found.figures.launches)
    total = sum(found.times.launches)
    for launch, seconds in zip(found.figures.launches, times, strict=True):
        moved = launch.bytes_read + launch.bytes_written
        made.add_row(
            escape(launch.name),
            str(launch.times),
            "–" if seconds is None else time_text(seconds),
            "–" if seconds is None or not total else f"{100 * seconds / total:.0f} %",
            bytes_text(launch.bytes_read),
            bytes_text(launch.bytes_written),
            short_text(launch.operations_per_byte),
            f"{bytes_text(moved / seconds)}/s" if seconds else "–",
        )
    return made


def device_document(found: OnDevice) -> dict[str, Any]:
    """What is derived from the figures, for JSON."""
    figures: ProgramFigures = found.figures
    names = (
        "launch_count",
        "operations",
        "bytes_read",
        "bytes_written",
        "operations_per_byte",
        "barriers",
        "workgroup_bytes",
        "fetches",
        "fetches_per_multiply",
    )
    return {name: getattr(figures, name) for name in names}


def bytes_text(count: float) -> str:
    """A number of bytes in the unit that fits: ``1.05 MB``."""
    return f"{_scaled(count)}B"


def count_text(count: float) -> str:
    """A number of things: ``1.05 M``."""
    return _scaled(count).strip()


def short_text(number: float) -> str:
    """Three digits."""
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def _scaled(count: float) -> str:
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{short_text(count / scale)} {prefix}"
    return f"{short_text(count)} "


def _optional(number: float | None) -> str:
    return "–" if number is None else short_text(number)
