"""Calling programs that are loaded on a GPU device, and results in the caller's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from tilewright.ir.run_times import RunTimes


class LoadedOnGpu(Protocol):
    """A program on its device, as both GPU back ends have it."""

    def __call__(self, inputs: Sequence[Any], *, outputs_on_device: bool) -> Sequence[Any]:
        """Run once."""

    def device_seconds(self, inputs: Sequence[Any], runs: int = 1) -> float:
        """The device's time for one run out of `runs`."""

    def times(self, inputs: Sequence[Any], runs: int = 1) -> RunTimes:
        """Where the time of a call goes."""


class GpuFunction:
    """A program loaded on a device, called as every target's executables are."""

    def __init__(self, loaded: LoadedOnGpu) -> None:
        self.loaded = loaded

    def __call__(
        self,
        inputs: Sequence[Any],
        outputs: Sequence[np.ndarray | None] | None = None,
        on_device: bool = False,
    ) -> list[Any]:
        """Run on arrays of the host or the device; results stay on the device if asked."""
        return deliver(self.loaded(inputs, outputs_on_device=on_device), outputs)

    def device_seconds(self, inputs: Sequence[Any], runs: int = 1) -> float:
        """The device's time for one run out of `runs`, uploads and read-back left out."""
        return self.loaded.device_seconds(inputs, runs)

    def times(self, inputs: Sequence[Any], runs: int = 1) -> RunTimes:
        """Where the time of a call goes; what the device does is measured over `runs`."""
        return self.loaded.times(inputs, runs)


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
