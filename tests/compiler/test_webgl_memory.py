"""What kernels leave on a WebGL device: nothing, however often they are called."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tilewright as tw
from tilewright.codegen_glsl.context import GlContext
from tilewright.codegen_glsl.device import GlDevice
from tilewright.compiler.runtime import runtime

pytestmark = pytest.mark.glsl

scaled = tw.kernel(lambda x: x * np.float32(0.5) + np.float32(1)).on("glsl")
totals = tw.kernel(lambda x: x.sum(axis=1)).on("glsl")
product = tw.kernel(lambda a, b: a @ b).on("glsl")


def held() -> tuple[int, int, int]:
    """Textures, their bytes, and framebuffers of the device."""
    gc.collect()

    def count(context: GlContext) -> tuple[int, int, int]:
        context.collect()
        arena = context.arena
        return arena.textures, arena.allocated_bytes, len(arena._framebuffers)

    device = runtime().webgl
    assert isinstance(device, GlDevice)
    return device.run(count)


def test_memory_is_flat_over_10000_calls() -> None:
    """Chains on the device, results that are read back, and both in turns; the last value shows
    that the texture of one call did not become that of another too early."""
    x = np.random.default_rng(0).random((20, 24), dtype=np.float32)
    w = np.eye(24, dtype=np.float32)
    on_device = tw.device_array(x, "glsl")

    def calls(rounds: int) -> None:
        for k in range(rounds):
            chained = totals(product(scaled(on_device), w))  # three calls that read nothing back
            read = scaled(x)
            totals(x)
            if k % 100 == 0:
                np.testing.assert_allclose(chained.numpy(), read.sum(axis=1), rtol=1e-5)

    calls(50)
    before = held()
    calls(2000)
    assert held() == before
