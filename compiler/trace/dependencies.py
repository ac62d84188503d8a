"""What a trace has read from outside of its arguments: globals, closure cells, module attributes.

These values are frozen into the graph. `Dependencies.is_stale` tells whether one has changed since,
so that the caller can trace again instead of running with an old value.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import CellType
from typing import Any

import numpy as np

_WHOLE_LIMIT = 1 << 16
_SAMPLES = 1024
_MISSING = object()


@dataclass(frozen=True, eq=False, slots=True)
class Dependency:
    """One value that was read: `home` is the dict or cell in which it stands under `name`."""

    where: str
    name: str
    home: Mapping[str, Any] | CellType
    value: object
    fingerprint: object

    def present(self) -> object:
        """What stands there now."""
        if isinstance(self.home, CellType):
            try:
                return self.home.cell_contents
            except ValueError:
                return _MISSING
        return self.home.get(self.name, _MISSING)

    def has_changed(self) -> bool:
        """Whether another value stands there, or the elements of an array have changed."""
        now = self.present()
        if now is self.value:
            return self.fingerprint is not None and fingerprint(now) != self.fingerprint
        if type(now) is not type(self.value):
            return True
        if isinstance(now, (bool, int, float, str, bytes, complex, np.generic)):
            return not _same_number(now, self.value)
        return self.fingerprint is None or fingerprint(now) != self.fingerprint


def _same_number(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)


def fingerprint(value: object) -> object:
    """A cheap summary of a mutable value's contents; None for what is told apart by identity.

    Arrays of up to 64 KiB are summed whole, larger ones by 1024 samples: a kernel's own arrays
    are seldom changed in place, and a full sum of large weights would cost more than the kernel.
    """
    if isinstance(value, np.ndarray):
        return _array_fingerprint(value)
    if isinstance(value, (list, tuple)):
        return (type(value), *(_item_fingerprint(v) for v in value))
    if isinstance(value, dict):
        return tuple((k, _item_fingerprint(v)) for k, v in value.items())
    return None


def _item_fingerprint(value: object) -> object:
    if isinstance(value, (bool, int, float, str, bytes, type(None), np.generic)):
        return (type(value), repr(value))
    inner = fingerprint(value)
    return id(value) if inner is None else inner


def _array_fingerprint(array: np.ndarray) -> object:
    sample = array
    if array.nbytes > _WHOLE_LIMIT:
        flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
        sample = np.asarray(flat[:: max(1, array.size // _SAMPLES)])
    if sample.dtype.hasobject:
        return id(array)
    return array.shape, array.dtype.str, zlib.crc32(np.ascontiguousarray(sample).tobytes())


class Dependencies:
    """Every outside value that one trace has read."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], Dependency] = {}

    def add(self, where: str, name: str, home: Mapping[str, Any] | CellType, value: object) -> None:
        """Remember that `value` was read."""
        key = (id(home), name)
        if key not in self._found:
            self._found[key] = Dependency(where, name, home, value, fingerprint(value))

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
