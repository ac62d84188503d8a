"""Shaders as one writes them first: an operation at a time, an invocation for each output.

What tuned schedules are measured against, written by hand for each GPU target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

Shape = tuple[int, ...]
NaivePrograms = Mapping[str, Callable[..., Any]]
"""By the names of operations ("product", "convolution", "softmax"): shapes of the arguments ->
what the target loads."""

_HOMES: Final = {"wgsl": "benchmarks.naive.wgsl"}
TARGETS: Final = tuple(_HOMES)


def naive_programs(target: str) -> NaivePrograms:
    """The handwritten programs for a target."""
    found: NaivePrograms = import_module(_HOMES[target]).PROGRAMS
    return found
