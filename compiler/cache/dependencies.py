"""What a trace has read from outside of its arguments: globals, closure cells, module attributes.

These values are frozen into the graph. `Dependencies.is_stale` tells whether one has changed since,
so that the caller can trace again instead of running with an old value. A mutable value is what it
holds (`contents`), so that a change in place is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from tilewright.compiler.cache.contents import Contents

_HOLDS_OTHERS: Final = (np.ndarray, list, tuple, dict)
"""Values of other types are told apart by identity, or as plain data."""

MISSING = object()
"""Stands for a name that was looked up and is not there."""


class Dependency(Struct, frozen=True, eq=False):
    """One value that was read: `home` is the dict, cell or function that has it as `name`."""

    where: str
    name: str
    home: Mapping[str, Any] | CellType | FunctionType
    value: object
    contents: Contents | None

    def present(self) -> object:
        """What stands there now."""
        home: Any = self.home  # a class's attributes are a mapping that is no dict
        if isinstance(home, FunctionType):
            return getattr(home, self.name)
        if isinstance(home, CellType):
            try:
                return home.cell_contents
            except ValueError:
                return MISSING
        return home.get(self.name, MISSING)

    def has_changed(self) -> bool:
        """Whether another value stands there, or the elements of an array have changed."""
        now = self.present()
        if self.contents is not None:
            return not self.contents.same(now)
        if now is self.value:
            return False
        from tilewright.compiler.cache.contents import is_same_plain

        return not is_same_plain(now, self.value)


def _contents_of(value: object) -> Contents | None:
    if not isinstance(value, _HOLDS_OTHERS):
        return None
    from tilewright.compiler.cache.contents import contents_of

    return contents_of(value)


class Dependencies:
    """Every outside value that one trace has read."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], Dependency] = {}

    def add(self, where: str, name: str, home: Mapping[str, Any] | CellType, value: object) -> None:
        """Remember that `value` was read."""
        key = (id(home), name)
        if key not in self._found:
            self._found[key] = Dependency(where, name, home, value, _contents_of(value))

    def add_function(self, function: FunctionType) -> None:
        """Remember a function's code and defaults, which can be assigned, and what these hold."""
        where = f"function {function.__name__}"
        for name in ("__code__", "__defaults__", "__kwdefaults__"):
            key = (id(function), name)
            if key in self._found:
                return
            self._found[key] = Dependency(where, name, function, getattr(function, name), None)
        named = (function.__kwdefaults__ or {}).items()
        for which, value in (*enumerate(function.__defaults__ or ()), *named):
            contents = _contents_of(value)
            if contents is not None and contents.may_change:
                default = Dependency(where, f"default {which}", CellType(value), value, contents)
                self._found[id(function), default.name] = default

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
