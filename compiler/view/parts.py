"""What the panes of the page have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tilewright.compiler.view.model import View

COLOURS: Final = 10


def part_attributes(
    view: View, key: str, classes: str, role: str | None = "button"
) -> dict[str, object]:
    """Of something that can be selected: its key, and the keys of all that it is shown with. The
    script gives one part of each pane a place in the order of tabs."""
    return {
        "class": f"part {classes}",
        "data-key": key,
        "data-in": view.shown_with(key),
        "role": role,
        "tabindex": "-1",
    }


def colour_class(steps: Sequence[int]) -> str:
    """The colour of a fused step; several have none of their own."""
    if not steps:
        return "given"
    return f"c{steps[0] % COLOURS}" if len(steps) == 1 else "several"


def shortened(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
