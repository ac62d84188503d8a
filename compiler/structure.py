"""How the outputs of a compiled function make up what the function returned. Data only."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.ir.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array: the graph's output of this number."""

    output: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """A tuple or list (or named tuple) of results."""

    kind: type
    items: tuple[Structure, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A dict (or ordered dict) of results."""

    keys: tuple[Any, ...]
    items: tuple[Structure, ...]
    kind: type = dict


@dataclass(frozen=True, slots=True)
class Known:
    """A part of the result that is no array and was known while tracing: None, a bool, a string."""

    value: object


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the user's dataclass `kind`, by its fields."""

    kind: type
    keys: tuple[str, ...]
    items: tuple[Structure, ...]


Structure = Leaf | Sequence | Mapping | Known | Object


@dataclass(frozen=True, slots=True)
class OutputInfo:
    """What NumPy would have returned for one output.

    `kind` is ``"array"``, ``"scalar"`` (a NumPy scalar: rank 0) or ``"python"`` (int or float).
    """

    dtype: np.dtype
    kind: str


def rebuild(structure: Structure, outputs: list[Any]) -> Any:
    """The function's result from its outputs' values."""
    match structure:
        case Leaf(number):
            return outputs[number]
        case Sequence(kind, items):
            values = [rebuild(i, outputs) for i in items]
            return kind(*values) if hasattr(kind, "_fields") else kind(values)
        case Mapping(keys, items, kind):
            return kind(zip(keys, (rebuild(i, outputs) for i in items), strict=True))
        case Known(value):
            return value
        case Object(kind, keys, items):
            made: Any = object.__new__(kind)
            for key, item in zip(keys, items, strict=True):
                object.__setattr__(made, key, rebuild(item, outputs))
            return made
