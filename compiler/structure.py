"""How the outputs of a compiled function make up what the function returned. Data only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct


class Leaf(Struct, frozen=True):
    """One array: the graph's output of this number."""

    output: int


class Sequence(Struct, frozen=True):
    """A tuple or list (or named tuple) of results."""

    kind: type
    items: tuple[Structure, ...]


class Mapping(Struct, frozen=True):
    """A dict (or ordered dict) of results."""

    keys: tuple[Any, ...]
    items: tuple[Structure, ...]
    kind: type = dict


class Known(Struct, frozen=True):
    """A part of the result that is no array and was known while tracing: None, a bool, a string."""

    value: object


class Object(Struct, frozen=True):
    """An object of the user's dataclass `kind`, by its fields."""

    kind: type
    keys: tuple[str, ...]
    items: tuple[Structure, ...]


Structure = Leaf | Sequence | Mapping | Known | Object


class OutputInfo(Struct, frozen=True):
    """What NumPy would have returned for one output.

    `kind` is ``"array"``, ``"scalar"`` (a NumPy scalar: rank 0) or ``"python"`` (int or float).
    """

    dtype: np.dtype
    kind: str


def leaves(structure: Structure) -> list[int]:
    """The numbers of the outputs in the order of the result; one that is returned twice is there
    twice."""
    match structure:
        case Leaf(number):
            return [number]
        case Known():
            return []
    return [number for item in structure.items for number in leaves(item)]


def rebuild(structure: Structure, outputs: list[Any]) -> Any:
    """The function's result from its outputs' values."""
    return rebuild_each(structure, [outputs[number] for number in leaves(structure)])


def rebuild_each(structure: Structure, values: list[Any]) -> Any:
    """The function's result from a value for each of its `leaves`."""
    return _rebuild(structure, iter(values))


def _rebuild(structure: Structure, values: Iterator[Any]) -> Any:
    match structure:
        case Leaf():
            return next(values)
        case Sequence(kind, items):
            made = [_rebuild(i, values) for i in items]
            return kind(*made) if hasattr(kind, "_fields") else kind(made)
        case Mapping(keys, items, kind):
            return kind(zip(keys, (_rebuild(i, values) for i in items), strict=True))
        case Known(value):
            return value
        case Object(kind, keys, items):
            rebuilt: Any = object.__new__(kind)
            for key, item in zip(keys, items, strict=True):
                object.__setattr__(rebuilt, key, _rebuild(item, values))
            return rebuilt
