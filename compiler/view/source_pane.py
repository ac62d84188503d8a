"""The user's lines, those of operations marked with the colours of their steps."""

from __future__ import annotations

from typing import Final

from tilewright.compiler.view.markup import Element, append, element
from tilewright.compiler.view.model import View
from tilewright.compiler.view.parts import COLOURS, part_attributes
from tilewright.compiler.view.sources import SourceLines

_MOST_BANDS: Final = 4


def source_pane(view: View) -> Element:
    """Each file's lines below its name."""
    pane = element("div", {"class": "sources"})
    for text in view.sources:
        append(pane, element("h3", {"title": text.file}, text.title), _lines(view, text))
    if not view.sources:
        append(pane, element("p", {"class": "none"}, "The source of the function is not at hand."))
    return pane


def _lines(view: View, source: SourceLines) -> Element:
    listing = element("div", {"class": "lines"})
    common = _indent(source)
    before: int | None = None
    for number, text in source.lines.items():
        if before is not None and number > before + 1:
            append(listing, element("div", {"class": "gap"}, "⋮"))
        before = number
        key = source.key_of(number)
        is_linked = key in view.links
        attributes: dict[str, object] = {"class": "line"}
        if is_linked:
            attributes = part_attributes(view, key, "line")
        bands = element("span", {"class": "bands"})
        steps = _steps_of(view, key)
        for step in steps[:_MOST_BANDS]:
            append(bands, element("i", {"class": f"c{step % COLOURS}"}))
        if len(steps) > _MOST_BANDS:
            append(bands, "+")
        append(
            listing,
            element(
                "div",
                attributes,
                element("span", {"class": "number"}, str(number)),
                bands,
                element("code", {}, text[common:] or " "),
            ),
        )
    return listing


def _steps_of(view: View, key: str) -> list[int]:
    return sorted({k for part in view.graphs for n in part.nodes if n.line == key for k in n.steps})


def _indent(source: SourceLines) -> int:
    """What all lines are indented by."""
    texts = [t for t in source.lines.values() if t.strip()]
    return min((len(t) - len(t.lstrip()) for t in texts), default=0)
