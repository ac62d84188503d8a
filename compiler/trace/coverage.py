"""Which of NumPy's public callables a kernel can use: for the generated page, and for a test.

``traced`` works on values of run time; ``known`` works where all its arguments are known while
tracing, and is an `UnsupportedError` otherwise; ``refused`` is always an error.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

import tilewright.compiler.trace.ufuncs  # noqa: F401  (enters the ufuncs)
from tilewright.compiler.trace.dispatch import (
    EFFECTS,
    callable_name,
    implementation_of,
    unsupported,
)


class Entry(NamedTuple):
    """One callable: how users write it, what happens, and what the error advises."""

    name: str
    status: str
    advice: str


def numpy_coverage() -> list[Entry]:
    """Every public callable of NumPy and numpy.linalg, by name."""
    entries = _of(np, "np")
    entries += _of(np.linalg, "np.linalg")
    entries += [Entry(f"np.random.{n}", "refused", "") for n in sorted(np.random.__all__)]
    return entries


def _of(module: ModuleType, prefix: str) -> list[Entry]:
    entries = []
    for name in sorted(module.__all__):
        value = getattr(module, name)
        if not callable(value) or isinstance(value, (type, ModuleType)):
            continue
        if implementation_of(value) is not None:
            entries.append(Entry(f"{prefix}.{name}", "traced", ""))
            continue
        status = "refused" if callable_name(value).rpartition(".")[2] in EFFECTS else "known"
        entries.append(Entry(f"{prefix}.{name}", status, unsupported(value).help or ""))
    return entries
