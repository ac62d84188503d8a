"""Calling programs that are loaded on a GPU device, and results in the caller's arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class GpuFunction:
    """A program loaded on a device, called as every target's executables are."""

    def __init__(self, loaded: Callable[..., Sequence[Any]]) -> None:
        self.loaded = loaded

    def __call__(
        self,
        inputs: Sequence[Any],
        outputs: Sequence[np.ndarray | None] | None = None,
        on_device: bool = False,
    ) -> list[Any]:
        """Run on arrays of the host or the device; results stay on the device if asked."""
        return deliver(self.loaded(inputs, outputs_on_device=on_device), outputs)


def deliver(results: Sequence[Any], outputs: Sequence[np.ndarray | None] | None) -> list[Any]:
    """The results, copied into those of `outputs` that are arrays."""
    if outputs is None:
        return list(results)
    delivered: list[Any] = []
    for result, given in zip(results, outputs, strict=True):
        if given is None:
            delivered.append(result)
        else:
            np.copyto(given, result)
            delivered.append(given)
    return delivered
