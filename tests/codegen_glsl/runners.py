"""The two ways to run GLSL, for tests of what both must offer."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from tilewright.codegen_glsl.context import GlContext
from tilewright.codegen_glsl.device import GlDevice, GlOptions
from tilewright.runtime_web.runner.options import BrowserOptions
from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice

Device: TypeAlias = Any
"""A `GlDevice` or a `WebGlBrowserDevice`, whose arrays are of different classes."""

RUNNERS = [
    pytest.param("device", id="egl", marks=pytest.mark.glsl),
    pytest.param("webgl_browser", id="browser", marks=pytest.mark.chromium),
]


def fresh(like: Device, **options: Any) -> Device:
    """A device of its own for a test, run as `like` is."""
    if isinstance(like, GlDevice):
        return GlDevice(GlOptions(**options))
    return WebGlBrowserDevice(BrowserOptions(**options))


def allocated(device: Device) -> int:
    """Bytes of all textures, once those that were dropped have been taken back."""
    if not isinstance(device, GlDevice):
        return int(device.statistics()["bytes"])
    egl: GlDevice = device

    def count(context: GlContext) -> int:
        context.collect()
        return context.arena.allocated_bytes

    return egl.run(count)


def shaders(device: Device) -> int:
    """How many are compiled."""
    if not isinstance(device, GlDevice):
        return int(device.statistics()["shaders"])
    egl: GlDevice = device

    def count(context: GlContext) -> int:
        context.collect()
        return len(context._shaders)

    return egl.run(count)
