"""What a trace has read from outside of its arguments: globals, closure cells, module attributes.

These values are frozen into the graph. `Dependencies.is_stale` tells whether one has changed since,
so that the caller can trace again instead of running with an old value. A mutable value is what it
holds (`contents_of`), so that a change in place is noticed: arrays are compared whole, since a
sample would let a stale result through; those that nobody can write to are known by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CellType, FunctionType
from typing import Any, Final

import numpy as np
from msgspec import Struct

_PLAIN: Final = (bool, int, float, str, bytes, complex, np.generic, type(None))
_BLOCK: Final = 1 << 14
"""Numbers compared at a time: what NumPy makes in between stays in the cache."""


class ArrayContents:
    """The elements of an array."""

    __slots__ = ("_bits", "_dtype", "_shape")

    def __init__(self, array: np.ndarray) -> None:
        self._shape = array.shape
        self._dtype = array.dtype
        self._bits = _words(np.frombuffer(array.tobytes(), np.uint8))

    @property
    def elements(self) -> np.ndarray:
        """A contiguous, aligned copy of the array."""
        return self._bits.view(self._dtype).reshape(self._shape)

    def same(self, now: object) -> bool:
        """Whether `now` is an array of these elements, bit by bit."""
        if not isinstance(now, np.ndarray):
            return False
        if now.shape != self._shape or now.dtype != self._dtype:
            return False
        flat = _words(np.ascontiguousarray(now).reshape(-1).view(np.uint8))
        return all(
            np.array_equal(flat[k : k + _BLOCK], self._bits[k : k + _BLOCK])
            for k in range(0, flat.size, _BLOCK)
        )


def _words(flat: np.ndarray) -> np.ndarray:
    """Bytes as the largest integers that they are a whole number of."""
    return flat if flat.size % 8 else flat.view(np.uint64)


class ContainerContents:
    """The items of a list, tuple or dict."""

    __slots__ = ("_items", "_keys", "_kind")

    def __init__(self, value: Any) -> None:
        self._kind = type(value)
        self._keys, items = _parts(value)
        self._items = [(item, contents_of(item)) for item in items]

    def same(self, now: object) -> bool:
        """Whether `now` is a container of the same items."""
        if type(now) is not self._kind:
            return False
        keys, items = _parts(now)
        if keys != self._keys or len(items) != len(self._items):
            return False
        return all(
            now_item is item or is_same_plain(now_item, item)
            if contents is None
            else contents.same(now_item)
            for now_item, (item, contents) in zip(items, self._items, strict=True)
        )


Contents = ArrayContents | ContainerContents


def _parts(value: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(value, dict):
        return list(value), list(value.values())
    return [], list(value)


def contents_of(value: object) -> Contents | None:
    """What `value` holds; None for what is told apart by identity or as plain data."""
    if isinstance(value, np.ndarray):
        return None if value.dtype.hasobject or _is_constant(value) else ArrayContents(value)
    return ContainerContents(value) if isinstance(value, (list, tuple, dict)) else None


def may_change(value: object) -> bool:
    """Whether `value` can hold something else and yet be the same object."""
    if isinstance(value, tuple):
        return any(map(may_change, value))
    return contents_of(value) is not None


def _is_constant(array: Any) -> bool:
    """Whether neither the array nor what it is a view of can be written to."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None or type(array) is bytes


def is_same_plain(a: object, b: object) -> bool:
    """Whether two values are the same plain data; NaN is the same as NaN, and 0.0 not as -0.0."""
    return type(a) is type(b) and isinstance(a, _PLAIN) and repr(a) == repr(b)


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
            if may_change(value):
                contents = contents_of(value)
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
