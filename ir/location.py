"""Where in the user's source a value came from."""

from __future__ import annotations

import linecache
from typing import Final

from msgspec import Struct

_MOST_COLUMNS: Final = 160


class Location(Struct, frozen=True):
    """A span of the user's source: 1-based line, 0-based columns (``-1`` where unknown)."""

    file: str
    line: int
    column: int = -1
    end_line: int = -1
    end_column: int = -1
    function: str = ""

    def __str__(self) -> str:
        column = f":{self.column + 1}" if self.column >= 0 else ""
        return f"{self.file}:{self.line}{column}"

    def excerpt(self) -> list[str]:
        """The source line and a caret line under it; empty when the source is not at hand."""
        text = linecache.getline(self.file, self.line).rstrip("\n")
        if not text:
            return []
        stripped = text.lstrip()
        shown = ["    " + stripped]
        if self.column < 0:
            return shown
        indent = len(text) - len(stripped)
        start = _characters(text, self.column) - indent
        same_line = self.end_line in (-1, self.line) and self.end_column > self.column
        end = _characters(text, self.end_column) - indent if same_line else len(stripped)
        if start < 0:
            return shown
        stripped, start, end = _around(stripped, start, end)
        return ["    " + stripped, "    " + " " * start + "^" * max(1, end - start)]


def _around(line: str, start: int, end: int) -> tuple[str, int, int]:
    """The part of a long line around a span, and where the span lies in it."""
    if len(line) <= _MOST_COLUMNS:
        return line, start, end
    first = max(0, min(start - _MOST_COLUMNS // 4, len(line) - _MOST_COLUMNS))
    last = min(len(line), first + _MOST_COLUMNS)
    before, after = "…" if first else "", "…" if last < len(line) else ""
    moved = len(before) - first
    return before + line[first:last] + after, start + moved, min(end, last) + moved


def _characters(text: str, utf8_offset: int) -> int:
    """CPython counts columns in UTF-8 bytes; a terminal shows characters."""
    return len(text.encode()[:utf8_offset].decode(errors="ignore"))
