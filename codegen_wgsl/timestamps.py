"""How long compute passes take by the device's clock.

In: passes, each begun with what `begin` returns. Out: seconds, once their commands have run. The
device must have the feature "timestamp-query".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import wgpu

    from tilewright.codegen_wgsl.device import Device

FEATURE: Final = "timestamp-query"
_PASSES: Final = 512  # of one submit: twice as many queries, of the 4096 that WebGPU allows
_QUERY_BYTES: Final = 8


class PassTimer:
    """Timestamps around passes, read after each submit. `apart` asks for a pass per dispatch.

    `seconds` is from the beginning of the first pass to the end of the last; the time between two
    submits does not count. `seconds_of` are the passes of one key.
    """

    def __init__(self, device: Device, apart: bool) -> None:
        self.apart = apart
        self.seconds = 0.0
        self.seconds_of: defaultdict[Hashable, float] = defaultdict(float)
        self._device = device
        self._queries, self._resolved = device.create_timestamps(2 * _PASSES)
        self._tick = 1e-9 * timestamp_period(device.raw)
        self._keys: list[Hashable] = []

    @property
    def is_full(self) -> bool:
        """Whether the recorded passes must be submitted before another one begins."""
        return len(self._keys) == _PASSES

    def begin(self, key: Hashable) -> dict[str, Any]:
        """The timestamp writes of the next pass."""
        first = 2 * len(self._keys)
        self._keys.append(key)
        return {
            "query_set": self._queries,
            "beginning_of_pass_write_index": first,
            "end_of_pass_write_index": first + 1,
        }

    def resolve(self, encoder: wgpu.GPUCommandEncoder) -> None:
        """Append what makes the timestamps of the recorded passes readable."""
        if self._keys:
            encoder.resolve_query_set(self._queries, 0, 2 * len(self._keys), self._resolved, 0)

    def collect(self) -> None:
        """Wait for the submitted passes and count their times."""
        if not self._keys:
            return
        words = self._device.read_words(self._resolved, 2 * _PASSES * _QUERY_BYTES)
        ticks = words.view(np.uint64)[: 2 * len(self._keys)]
        # From the first: what a device counts from its start need not fit a float64.
        times = (ticks - ticks.min()).astype(np.float64).reshape(-1, 2) * self._tick
        self.seconds += float(times.max())
        for key, (begin, end) in zip(self._keys, times, strict=True):
            self.seconds_of[key] += float(end - begin)
        self._keys.clear()


def timestamp_period(raw: wgpu.GPUDevice) -> float:
    """Nanoseconds per tick: WebGPU promises one, but wgpu resolves what the hardware counts."""
    from wgpu.backends.wgpu_native import lib

    return float(lib.wgpuQueueGetTimestampPeriod(raw.queue._internal))
