"""A `View` -> one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tilewright.compiler.bench.device_report import bytes_text, count_text, short_text
from tilewright.compiler.bench.report import time_text
from tilewright.compiler.view.graph_pane import graph_pane
from tilewright.compiler.view.launch_pane import launch_details
from tilewright.compiler.view.markup import Element, append, document, element
from tilewright.compiler.view.model import View
from tilewright.compiler.view.program_pane import launch_list, memory_chart
from tilewright.compiler.view.source_pane import source_pane

_FOLDER: Final = Path(__file__).parent
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(view: View) -> bytes:
    """The file's contents."""
    title = f"{view.name} on {view.target}"
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        # Should anything slip through after all, it can load nothing.
        element("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        element("title", {}, title),
        element("style", {}, _read("page.css")),
    )
    body = element("body", {}, _header(view), _main(view), element("script", {}, _read("page.js")))
    return document(element("html", {"lang": "en"}, head, body))


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _header(view: View) -> Element:
    header = element(
        "header",
        {},
        element("h1", {}, view.name),
        element("span", {"class": "target"}, view.target),
    )
    for name, spec in view.arguments:
        append(header, element("code", {"class": "argument"}, f"{name}: {spec}"))
    facts = element("dl", {"class": "facts"})
    for title, text in _facts(view):
        append(facts, element("div", {}, element("dt", {}, title), element("dd", {}, text)))
    append(header, facts)
    return header


def _facts(view: View) -> Iterator[tuple[str, str]]:
    nodes = sum(len(part.nodes) for part in view.graphs)
    yield "tensors", str(nodes)
    figures = view.figures
    if figures is None:
        yield "launches", str(len(view.launches))
        yield "sizes", "open"
        return
    yield "launches", str(figures.launch_count)
    if figures.shaders:
        yield "shaders", str(figures.shaders)
    yield "operations", count_text(figures.operations)
    yield "read", bytes_text(figures.bytes_read)
    yield "written", bytes_text(figures.bytes_written)
    yield "op/byte", short_text(figures.operations_per_byte)
    if view.target == "wgsl":
        yield "barriers", str(figures.barriers)
        yield "shared", bytes_text(figures.workgroup_bytes)
    if view.target == "glsl" and figures.fetches_per_multiply is not None:
        yield "fetch/mul", short_text(figures.fetches_per_multiply)
    yield from _times(view)


def _times(view: View) -> Iterator[tuple[str, str]]:
    if view.times is not None:
        yield "upload", time_text(view.times.upload)
        yield "device", time_text(view.times.device)
        yield "read back", time_text(view.times.read_back)
    if view.call_seconds is not None:
        yield "call", time_text(view.call_seconds)


def _main(view: View) -> Element:
    about = element(
        "div",
        {"class": "about"},
        element("h2", {}, "Selected"),
        element("pre", {"id": "about", "aria-live": "polite", "tabindex": "0"}, _HINT),
    )
    zoom = element(
        "span",
        {"class": "zoom"},
        _button("fit", "fit"),
        _button("whole", "100 %"),
    )
    source = _pane("source", "Source", source_pane(view))
    append(source, about)
    program = _pane("program", "Program", launch_list(view))
    chart = memory_chart(view)
    if chart is not None:
        note = "Buffers, from the first launch that needs them to the last"
        append(program[1], element("h3", {}, note), chart)
    return element(
        "main",
        {},
        source,
        _pane("graph-pane", "Graph", graph_pane(view), zoom),
        program,
        _pane("launch", "Launch", launch_details(view)),
    )


_HINT: Final = (
    "Click a line, a tensor or a launch to see what became of it, and where it came from. "
    "Tab moves between the panes, arrows inside of one, Escape lets go."
)


def _pane(name: str, title: str, content: Element, extra: Element | None = None) -> Element:
    head = element("h2", {}, title, extra)
    body = element("div", {"class": "scroll"}, content)
    return element("section", {"id": name, "class": "pane", "aria-label": title}, head, body)


def _button(name: str, text: str) -> Element:
    return element("button", {"type": "button", "data-zoom": name}, text)
