"""The one object that owns what a process shares: code loader, thread pool, devices, caches."""

from __future__ import annotations

import threading
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilewright.codegen_cpu.fastcall import Calls
    from tilewright.codegen_cpu.loader import ObjectLoader
    from tilewright.codegen_cpu.pool import Pool
    from tilewright.codegen_glsl.device import GlDevice
    from tilewright.codegen_wgsl.device import Device
    from tilewright.compiler.cache import ArtifactCache


class Runtime:
    """Everything is made at its first use. `lock` guards compilation: LLVM has one lock anyway."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @cached_property
    def cache(self) -> ArtifactCache:
        """Compiled artifacts on disk."""
        from tilewright.compiler.cache import ArtifactCache

        return ArtifactCache.default()

    @cached_property
    def loader(self) -> ObjectLoader:
        """Puts object code into executable memory."""
        from tilewright.codegen_cpu.loader import object_loader

        return object_loader()

    @cached_property
    def pool(self) -> Pool:
        """The thread pool of the CPU target."""
        from tilewright.codegen_cpu.pool import make_pool

        return make_pool(compile=self.cache.compile_cached)

    @cached_property
    def calls(self) -> Calls:
        """The call path in machine code, or its fallback."""
        from tilewright.codegen_cpu.fastcall import make_dispatcher

        return make_dispatcher(self.cache.compile_cached)

    @cached_property
    def webgpu(self) -> Device:
        """The WebGPU device."""
        from tilewright.codegen_wgsl.adapter import DeviceOptions
        from tilewright.codegen_wgsl.device import Device

        return Device(DeviceOptions())

    @cached_property
    def webgl(self) -> GlDevice:
        """The OpenGL ES device."""
        from tilewright.codegen_glsl.device import GlDevice, GlOptions

        return GlDevice(GlOptions())


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """The process's runtime."""
    return Runtime()
