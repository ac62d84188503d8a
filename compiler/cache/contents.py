"""What a value holds: arrays and containers, which may change in place.

Arrays are compared whole, since a sample would let a stale result through; those that nobody can
write to are known by identity.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_PLAIN: Final = (bool, int, float, str, bytes, complex, np.generic, type(None))
_BLOCK: Final = 1 << 14
"""Numbers compared at a time: what NumPy makes in between stays in the cache."""


class ArrayContents:
    """The elements of an array."""

    __slots__ = ("_bits", "_dtype", "_shape")

    may_change: Final = True

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

    @property
    def may_change(self) -> bool:
        """Whether the container can hold something else and yet be the same object."""
        if self._kind is not tuple:
            return True
        return any(held is not None and held.may_change for _, held in self._items)

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
