"""The user's lines: in, a function and where the operations of its graph come from; out, texts."""

from __future__ import annotations

import inspect
import linecache
import os
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from tilewright.ir.location import Location


class SourceLines(Struct, frozen=True):
    """Lines of a file by their numbers; `first` is the number of this text among all, for keys."""

    file: str
    number: int
    lines: dict[int, str]

    @property
    def title(self) -> str:
        return os.path.basename(self.file)

    def holds(self, loc: Location) -> bool:
        return loc.file == self.file and loc.line in self.lines

    def key_of(self, line: int) -> str:
        return f"s{self.number}-{line}"


def read_sources(function: Any, used: Iterable[Location | None]) -> list[SourceLines]:
    """The lines of `function`, then the lines of other functions that operations come from."""
    wanted: dict[str, set[int]] = {}
    own, first, count = _extent(function)
    if own:
        wanted[own] = set(range(first, first + count))
    for loc in used:
        if loc is not None:
            wanted.setdefault(loc.file, set()).add(loc.line)
    found: list[SourceLines] = []
    for file, lines in wanted.items():
        texts = {n: linecache.getline(file, n).rstrip("\n") for n in sorted(lines)}
        if any(texts.values()):
            found.append(SourceLines(file, len(found), texts))
    return found


def _extent(function: Any) -> tuple[str, int, int]:
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return "", 0, 0
    return function.__code__.co_filename, first, len(lines)
