"""The program: a table of launches, and what is in memory while they run."""

from __future__ import annotations

from typing import Final

from tilewright.compiler.bench.device_report import bytes_text, count_text, short_text
from tilewright.compiler.bench.report import time_text
from tilewright.compiler.view.markup import Element, append, element
from tilewright.compiler.view.memory import Row, memory_rows
from tilewright.compiler.view.model import LaunchPart, View
from tilewright.compiler.view.parts import colour_class, part_attributes, shortened
from tilewright.ir.analysis.kernel_figures import KernelFigures

_ROW: Final = 20.0
_LABEL: Final = 250.0
_CELL: Final = 26.0
_WIDEST: Final = 900.0


def launch_list(view: View) -> Element:
    """A row for each launch."""
    titles = ["operations", "read", "written", "op/byte", *_own_titles(view)]
    if any(launch.seconds is not None for launch in view.launches):
        titles.append("time")
    head = element(
        "tr",
        {},
        element("th", {"scope": "col"}, "launch"),
        element("th", {"scope": "col", "class": "what"}, "computes"),
        *(element("th", {"scope": "col"}, title) for title in titles),
    )
    body = element("tbody", {})
    slowest = max((launch.seconds or 0.0 for launch in view.launches), default=0.0)
    for launch in view.launches:
        append(body, _row(view, launch, slowest))
    return element("table", {"class": "launches"}, element("thead", {}, head), body)


def _own_titles(view: View) -> list[str]:
    return {"wgsl": ["grid", "barriers"], "glsl": ["texels", "fetches"]}.get(view.target, [])


def _row(view: View, launch: LaunchPart, slowest: float) -> Element:
    step = () if launch.step is None else (launch.step,)
    row = element("tr", part_attributes(view, launch.key, f"launch {colour_class(step)}", None))
    times = f" ×{launch.times}" if launch.times > 1 else ""
    what = what_of(view, launch)
    name = element("th", {"scope": "row"}, element("i", {"class": "band"}), launch.name, times)
    append(row, name, element("td", {"class": "what", "title": what}, what))
    figures = launch.figures
    if figures is None:
        empty = 4 + len(_own_titles(view))
        append(row, *(element("td", {}, "–") for _ in range(empty)))
    else:
        texts = [
            count_text(figures.operations),
            bytes_text(figures.bytes_read),
            bytes_text(figures.bytes_written),
            short_text(figures.operations_per_byte),
        ]
        if view.target == "wgsl":
            texts += [grid_text(figures.each), str(figures.barriers)]
        if view.target == "glsl":
            texts += [grid_text(figures.each), count_text(figures.all_fetches)]
        append(row, *(element("td", {}, text) for text in texts))
    if slowest:
        append(row, _time_cell(launch, slowest))
    return row


def what_of(view: View, launch: LaunchPart) -> str:
    """What the user wrote that the launch computes."""
    if launch.step is None:
        return ""
    nodes = [n for part in view.graphs for n in part.nodes if launch.step in n.steps]
    return ", ".join(dict.fromkeys(n.tensor.label for n in nodes if n.tensor.label))


def _time_cell(launch: LaunchPart, slowest: float) -> Element:
    if launch.seconds is None:
        return element("td", {}, "–")
    share = 100 * launch.seconds / slowest
    bar = element("span", {"class": "bar", "style": f"width:{share:.0f}%"})
    return element("td", {"class": "time"}, bar, element("span", {}, time_text(launch.seconds)))


def grid_text(each: KernelFigures) -> str:
    """``64 × 256``: workgroups and their invocations, or invocations alone."""
    if each.groups > 1 or each.barriers:
        return f"{each.groups} × {each.invocations // max(1, each.groups)}"
    return str(each.invocations)


def memory_chart(view: View) -> Element | None:
    """A bar for each buffer, from the first launch that uses it to the last."""
    rows, count = memory_rows(view)
    if not rows or not count:
        return None
    cell = min(_CELL, _WIDEST / count)
    width, height = _LABEL + cell * count + 8, _ROW * (len(rows) + 1)
    svg = element(
        "svg",
        {
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "class": "memory",
            "aria-label": "buffers and the launches from which to which they are needed",
        },
    )
    for number in range(count):
        if number % max(1, count // 40 + 1) == 0:
            x = _LABEL + cell * (number + 0.5)
            append(svg, element("text", {"class": "tick", "x": x, "y": 13}, str(number)))
    for number, row in enumerate(rows):
        append(svg, *_bar(row, number, cell))
    return svg


def _bar(row: Row, number: int, cell: float) -> list[Element]:
    y = _ROW * (number + 1)
    x, length = _LABEL + cell * row.first, cell * (row.last - row.first + 1) - 2
    facts = ", ".join(filter(None, (row.role, row.type, row.size, row.place)))
    bar = element(
        "rect",
        {"class": row.role, "x": x, "y": y + 3, "width": length, "height": _ROW - 6, "rx": 3},
        element("title", {}, f"{row.name}: {facts}"),
    )
    label = element("text", {"x": 0, "y": y + 14}, shortened(f"{row.name} {row.type}", 28))
    size = element("text", {"class": "size", "x": _LABEL - 8, "y": y + 14}, row.size)
    return [label, size, bar]
