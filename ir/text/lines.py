"""Indented lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilewright.ir.location import Location
    from tilewright.ir.text.style import Style


class Lines:
    """Text that grows line by line."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = ""

    def line(self, text: str) -> None:
        self._lines.append(self._indent + text)

    def lines(self, texts: list[str]) -> None:
        for text in texts:
            self.line(text)

    @contextmanager
    def braces(self, head: str, tail: str = "}") -> Iterator[None]:
        """``head {``, what is written inside, ``}``."""
        self.line(f"{head} {{")
        before = self._indent
        self._indent += "  "
        yield
        self._indent = before
        self.line(tail)

    def statement(self, head: str, lets: list[str], last: str, tail: str = "") -> None:
        """``head { last }tail``, over several lines where there is a ``let``."""
        if not lets:
            self.line(f"{head} {{ {last} }}{tail}")
            return
        end = ";" if _goes_on(lets[-1], last) else ""
        with self.braces(head, "}" + tail):
            self.lines([*lets[:-1], lets[-1] + end, last])

    def head(self) -> str:
        """The first line that is no ``let``, and those before it."""
        shown: list[str] = []
        for line in self._lines:
            shown.append(line)
            if not line.startswith("let "):
                break
        return "\n".join(shown)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _goes_on(line: str, following: str) -> bool:
    """Whether the next line would be read as the end of this one: ``x``, ``-1``; ``f``, ``(a)``."""
    return following[0] == "-" or (following[0] == "(" and line[-1] not in ")]}")


def quoted(text: str) -> str:
    """A string literal: everything but printable ASCII is escaped."""
    import json  # takes 1.5 ms; the texts that caches digest hold no strings

    return json.dumps(text)


def about(label: str, loc: Location | None, style: Style) -> str:
    """The end of a line: what the user wrote, and where."""
    text = f" {quoted(label)}" if label and style.labels else ""
    if loc is None or not style.locations:
        return text
    column = f":{loc.column + 1}" if loc.column >= 0 else ""
    return f"{text} at {quoted(loc.file)}:{loc.line}{column}"
