"""Shaders as one writes them first: an operation at a time, an invocation for each output.

What tuned schedules are measured against, written by hand for each GPU target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

Shape = tuple[int, ...]
NaiveRun = Callable[..., Any]
"""``run(arrays)`` gives the results; ``run(device_arrays, None, on_device=True)`` leaves them."""
NaivePrograms = Mapping[str, Callable[..., NaiveRun]]
"""By the names of operations ("product", "convolution", "softmax"): shapes of the arguments ->
a program that is loaded."""

_HOMES: Final = {"wgsl": "benchmarks.naive.wgsl", "glsl": "benchmarks.naive.glsl"}
TARGETS: Final = tuple(_HOMES)


def naive_programs(target: str) -> NaivePrograms:
    """The handwritten programs for a target."""
    found: NaivePrograms = import_module(_HOMES[target]).PROGRAMS
    return found
