"""What a trace has read from outside of its arguments: globals, closure cells, module attributes.

These values are frozen into the graph. `Dependencies.is_stale` tells whether one has changed since,
so that the caller can trace again instead of running with an old value.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CellType
from typing import Any

from msgspec import Struct

from tilewright.compiler.trace.contents import Contents, contents_of, is_same_plain

MISSING = object()
"""Stands for a name that was looked up and is not there."""


class Dependency(Struct, frozen=True, eq=False):
    """One value that was read: `home` is the dict or cell in which it stands under `name`."""

    where: str
    name: str
    home: Mapping[str, Any] | CellType
    value: object
    contents: Contents | None

    def present(self) -> object:
        """What stands there now."""
        if isinstance(self.home, CellType):
            try:
                return self.home.cell_contents
            except ValueError:
                return MISSING
        return self.home.get(self.name, MISSING)

    def has_changed(self) -> bool:
        """Whether another value stands there, or the elements of an array have changed."""
        now = self.present()
        if self.contents is not None:
            return not self.contents.same(now)
        return now is not self.value and not is_same_plain(now, self.value)


class Dependencies:
    """Every outside value that one trace has read."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], Dependency] = {}

    def add(self, where: str, name: str, home: Mapping[str, Any] | CellType, value: object) -> None:
        """Remember that `value` was read."""
        key = (id(home), name)
        if key not in self._found:
            self._found[key] = Dependency(where, name, home, value, contents_of(value))

    def __iter__(self) -> Any:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def changed(self) -> list[Dependency]:
        """Those that have changed since."""
        return [d for d in self._found.values() if d.has_changed()]

    def is_stale(self) -> bool:
        """Whether any has changed since."""
        return any(d.has_changed() for d in self._found.values())
