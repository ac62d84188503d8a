"""Results -> a table, a JSON document, a picture."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from tilewright.compiler.bench.run import NUMPY, OURS, Result

if TYPE_CHECKING:
    from rich.table import Table


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else math.nan


def plain_table(first: str, titles: Sequence[str]) -> Table:
    """A table without lines: a column of names, and columns of numbers."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column(first)
    for title in titles:
        made.add_column(title, justify="right", no_wrap=True)
    return made


def table(results: Sequence[Result]) -> Table:
    """One row per kernel."""
    from rich.markup import escape

    rivals = _rivals(results)
    made = plain_table("kernel", ("time", "rate", *rivals, "error"))
    family = ""
    for result in results:
        if result.family != family:
            family = result.family
            made.add_row(f"[dim]{escape(family)}[/]")
        made.add_row(escape(result.name), *_cells(result, rivals))
    return made


def _cells(result: Result, rivals: Sequence[str]) -> Iterator[str]:
    if not result.seconds:
        yield "[red]–[/]"
        return
    seconds = result.seconds[OURS]
    yield time_text(seconds)
    yield result.work.rate(seconds) if result.work else ""
    for rival in rivals:
        ratio = result.ratios.get(rival)
        yield "" if ratio is None else ratio_text(ratio)
    error = "" if result.error is None else f"{result.error:.0e}" if result.error else "exact"
    yield error if result.is_right else f"[red]{error} wrong[/]"


def time_text(seconds: float) -> str:
    """A duration in the unit that fits."""
    unit, scale = ("s", 1.0) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    value = seconds * scale
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def ratio_text(ratio: float) -> str:
    """A ratio with rich's markup: green where we are not slower."""
    colour = "green" if ratio >= 1 else "red"
    return f"[{colour}]{_digits(ratio)}×[/]"


def _digits(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """The geometric mean of the ratios to each rival, by family and in all, and the worst."""
    document: dict[str, Any] = {"kernels": len(results), "wrong": []}
    document["wrong"] = [r.name for r in results if not r.is_right]
    for rival in _rivals(results):
        measured = [r for r in results if rival in r.ratios]
        worst = min(measured, key=lambda r: r.ratios[rival])
        document[rival] = {
            "geometric_mean": geometric_mean(r.ratios[rival] for r in measured),
            "families": _by_family(measured, rival),
            "kernels": len(measured),
            "slower": [r.name for r in measured if r.ratios[rival] < 1],
            "worst": {"kernel": worst.name, "ratio": worst.ratios[rival]},
        }
    return document


def _by_family(results: Sequence[Result], rival: str) -> dict[str, float]:
    families = dict.fromkeys(r.family for r in results)
    return {
        family: geometric_mean(r.ratios[rival] for r in results if r.family == family)
        for family in families
    }


def summary_text(results: Sequence[Result]) -> Iterator[str]:
    """The summary as lines with rich's markup; what went wrong comes last."""
    from rich.markup import escape

    facts = summary(results)
    for rival in _rivals(results):
        fact = facts[rival]
        worst = fact["worst"]
        mean = _digits(fact["geometric_mean"])
        yield (
            f"against {rival}: [bold]{mean}×[/] as fast (geometric mean of {fact['kernels']}),"
            f" slowest {escape(worst['kernel'])} {_digits(worst['ratio'])}×"
        )
        if len(fact["families"]) > 1:
            parts = (f"{escape(name)} {_digits(mean)}×" for name, mean in fact["families"].items())
            yield f"  {', '.join(parts)}"
    for result in results:
        if result.problem:
            yield f"[red]{escape(result.name)}[/]: {escape(result.problem)}"
        elif not result.is_right:
            yield f"[red]{escape(result.name)}[/]: {result.excess:.3g} times the error allowed"


def document(results: Sequence[Result], environment: Mapping[str, str]) -> dict[str, Any]:
    """Everything, as JSON can hold it (which has no infinity)."""
    return {
        "environment": dict(environment),
        "summary": _finite(summary(results)),
        "results": [_finite(_as_json(r)) for r in results],
    }


def _as_json(result: Result) -> dict[str, Any]:
    from tilewright.compiler.bench.device_report import device_document

    found: dict[str, Any] = to_builtins(result) | {"is_right": result.is_right}
    if result.on_device is not None:
        found["on_device"]["totals"] = device_document(result.on_device)
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def plot(results: Sequence[Result], image_format: str) -> bytes:
    """A picture of the ratios to NumPy, as a file of this format (``"png"``, ``"svg"`` …)."""
    from matplotlib.figure import Figure

    shown = [r for r in results if NUMPY in r.ratios]
    ratios = [r.ratios[NUMPY] for r in shown]
    figure = Figure(figsize=(8, 1.2 + 0.22 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    colours = ["#3b7a57" if ratio >= 1 else "#b5523b" for ratio in ratios]
    axes.barh(range(len(shown)), [r - 1 for r in ratios], left=1, height=0.7, color=colours)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [r.name for r in shown], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xticks(_ticks(ratios), [f"{t:g}×" for t in _ticks(ratios)])
    axes.tick_params(axis="x", which="minor", labelbottom=False)
    axes.set_xlabel("times as fast as NumPy")
    if shown:
        plural = "" if shown[0].threads == 1 else "s"
        axes.set_title(f"{shown[0].target}, {shown[0].threads} thread{plural}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format=image_format, dpi=150)
    return file.getvalue()


def _ticks(ratios: Sequence[float]) -> list[float]:
    low, high = min([1.0, *ratios]), max([1.0, *ratios])
    ticks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    return [t for t in ticks if low / 2 <= t <= high * 2]


def _rivals(results: Sequence[Result]) -> list[str]:
    """Whoever was measured, NumPy first."""
    return list(dict.fromkeys(name for r in results for name in r.ratios))
