"""One launch in detail: its schedule and loops, the kernel's text and the generated code."""

from __future__ import annotations

from typing import Final

from tilewright.compiler.view.loops import kernel_text, loop_boxes
from tilewright.compiler.view.markup import Element, append, element
from tilewright.compiler.view.model import LaunchPart, View
from tilewright.compiler.view.parts import colour_class

_MOST_LINES: Final = 1500
_LANGUAGES: Final = {"cpu": "LLVM", "wasm": "LLVM", "wgsl": "WGSL", "glsl": "GLSL"}


def launch_details(view: View) -> Element:
    """One section for each launch; the script shows the selected one."""
    pane = element("div", {"class": "details"})
    for number, launch in enumerate(view.launches):
        append(pane, _detail(view, launch, hidden=number > 0))
    return pane


def _detail(view: View, launch: LaunchPart, hidden: bool) -> Element:
    step = () if launch.step is None else (launch.step,)
    section = element(
        "section",
        {
            "class": f"detail {colour_class(step)}",
            "data-launch": launch.key,
            "aria-label": f"launch {launch.name}",
            "hidden": hidden,
        },
        element("h3", {}, element("i", {"class": "band"}), launch.name),
    )
    if launch.schedule:
        append(section, element("code", {"class": "schedule"}, launch.schedule))
    if launch.kernel is not None:
        loops = loop_boxes(launch.kernel, launch.key)
        append(section, element("div", {"class": "part-of-launch"}, loops))
    code = element("div", {"class": "part-of-launch code"}, *_tabs(view, launch))
    append(section, code)
    return section


def _tabs(view: View, launch: LaunchPart) -> list[Element]:
    """The kernel's text and the generated code, one of them shown."""
    tabs = element("div", {"class": "tabs", "role": "tablist"})
    panels: list[Element] = []
    contents = {
        "Kernel": kernel_text(launch.text, launch.key) if launch.kernel else None,
        _LANGUAGES[view.target]: _text(launch.code),
    }
    for number, (title, content) in enumerate(contents.items()):
        if content is None:
            continue
        name = f"{launch.key}-{number}"
        chosen = not panels
        attributes: dict[str, object] = {
            "type": "button",
            "role": "tab",
            "id": f"tab-{name}",
            "aria-controls": name,
            "aria-selected": "true" if chosen else "false",
            "tabindex": "0" if chosen else "-1",
            "data-tab": str(number),
        }
        append(tabs, element("button", attributes, title))
        panel: dict[str, object] = {
            "role": "tabpanel",
            "id": name,
            "aria-labelledby": f"tab-{name}",
            "data-tab": str(number),
            "hidden": not chosen,
            "tabindex": "0",
            "class": "panel",
        }
        panels.append(element("div", panel, content))
    return [tabs, *panels]


def _text(text: str) -> Element | None:
    lines = text.rstrip("\n").split("\n")
    if not text.strip():
        return None
    shown = "\n".join(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        shown += f"\n… {len(lines) - _MOST_LINES} more lines: tilewright show --stage"
    return element("pre", {}, shown)
