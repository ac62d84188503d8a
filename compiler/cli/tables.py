"""The console that tables are printed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_FILES = 120


def console(stderr: bool = False) -> Console:
    """Standard output, or standard error. Rich takes files for 80 columns wide, which would cut our
    tables."""
    from rich.console import Console

    found = Console(highlight=False, stderr=stderr)
    if found.is_terminal:
        return found
    return Console(highlight=False, stderr=stderr, width=_WIDTH_OF_FILES)


def printable(text: str) -> str:
    """Text from a file as a terminal may be given it: no character of it is a command."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
