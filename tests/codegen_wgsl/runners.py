"""The two ways to run WGSL, for tests of what both must offer."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from tilewright.codegen_wgsl.device import Device as NativeDevice
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

Device: TypeAlias = Any
"""A `Device` of wgpu's or a `WebGpuBrowserDevice`, whose arrays are of different classes."""

RUNNERS = [
    pytest.param("device", id="wgpu", marks=pytest.mark.wgsl),
    pytest.param("webgpu_browser", id="browser", marks=pytest.mark.chromium),
]


def fresh(like: Device) -> Device:
    """A device of its own for a test, run as `like` is."""
    return NativeDevice() if isinstance(like, NativeDevice) else WebGpuBrowserDevice()


def lose(device: Device) -> None:
    """As a reset of the driver would: the next call notices."""
    if isinstance(device, NativeDevice):
        device.raw.destroy()
    else:
        device.run(lambda session: session.request("lose"))


def idle_bytes(device: Device) -> int:
    """Memory that waits for another use."""
    if isinstance(device, NativeDevice):
        return device.storage_pool.idle_bytes()
    return int(device.statistics()["idle"])
