"""The one object that owns what a process shares: code loader, thread pool, devices, caches."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilewright.codegen_cpu.fastcall import Calls
    from tilewright.codegen_cpu.loader import ObjectLoader
    from tilewright.codegen_cpu.poll import SignalPoll
    from tilewright.codegen_cpu.pool import Pool
    from tilewright.codegen_glsl.device import GlDevice
    from tilewright.codegen_wgsl.device import Device
    from tilewright.compiler.cache import ArtifactCache
    from tilewright.compiler.device_choice import DeviceChoice
    from tilewright.compiler.tune.database import TuningDatabase
    from tilewright.runtime_web.runner.options import BrowserOptions
    from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
    from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

if TYPE_CHECKING:
    from functools import cached_property

    once = cached_property
else:

    class once:
        """An attribute that one thread computes at its first use, under the runtime's lock."""

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self._make = make
            self.__doc__ = make.__doc__

        def __get__(self, instance: object | None, owner: type) -> Any:
            if instance is None:
                return self
            with runtime().lock:
                made, name = vars(instance), self._make.__name__
                if name not in made:
                    made[name] = self._make(instance)
                return made[name]


class Runtime:
    """Everything is made at its first use.

    `lock` guards whatever compiles, loads or opens: LLVM has one lock anyway. A fork waits for it,
    because the child would wait for ever for a lock that a thread of its parent's held.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @once
    def cache(self) -> ArtifactCache:
        """Compiled artifacts on disk."""
        from tilewright.compiler.cache import ArtifactCache

        return ArtifactCache.default()

    @once
    def tuning_file(self) -> str | None:
        """Where this user's tuning records are; None for a user without a home."""
        from platformdirs import user_data_dir

        directory = user_data_dir("tilewright", appauthor=False)
        return f"{directory}/tuning.jsonl" if os.path.isabs(directory) else None

    @once
    def tuning(self) -> TuningDatabase:
        """What tuning has found for this user."""
        from tilewright.compiler.tune.database import TuningDatabase

        return TuningDatabase(self.tuning_file)

    def tuning_stamp(self) -> tuple[int, int]:
        """Size and time of change of the tuning records: others mean that kernels may be compiled
        otherwise. Zeros where there are none."""
        from tilewright.compiler.cache.files import file_stamp

        return (0, 0) if self.tuning_file is None else file_stamp(self.tuning_file)

    @once
    def loader(self) -> ObjectLoader:
        """Puts object code into executable memory."""
        from tilewright.codegen_cpu.loader import object_loader

        return object_loader()

    @once
    def pool(self) -> Pool:
        """The thread pool of the CPU target."""
        from tilewright.codegen_cpu.pool import make_pool

        return make_pool(compile=self.cache.compile_for_host)

    @once
    def calls(self) -> Calls:
        """The call path in machine code, or its fallback."""
        from tilewright.codegen_cpu.fastcall import make_dispatcher

        return make_dispatcher(self.cache.compile_for_host)

    @once
    def signals(self) -> SignalPoll:
        """What loops of the CPU target look for signals with."""
        from tilewright.codegen_cpu.poll import SignalPoll

        return SignalPoll(self.cache.compile_for_host)

    @once
    def device_choice(self) -> DeviceChoice:
        """What the user says about GPU devices."""
        from tilewright.compiler.device_choice import DeviceChoice

        return DeviceChoice()

    @property
    def has_open_device(self) -> bool:
        """Whether a GPU device was opened."""
        return not {"webgpu", "webgl"}.isdisjoint(vars(self))

    @once
    def webgpu(self) -> Device | WebGpuBrowserDevice:
        """The WebGPU device."""
        from tilewright.compiler.runners import open_device

        choice = self.device_choice

        def native() -> Device:
            from tilewright.codegen_wgsl.adapter import DeviceOptions
            from tilewright.codegen_wgsl.device import Device

            return Device(DeviceOptions(choice.adapter, choice.software))

        def browser() -> WebGpuBrowserDevice:
            from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

            return WebGpuBrowserDevice(self._browser_options)

        return open_device("wgsl", choice.runner, native, browser)

    @once
    def webgl(self) -> GlDevice | WebGlBrowserDevice:
        """The OpenGL ES device."""
        from tilewright.compiler.runners import open_device

        choice = self.device_choice

        def native() -> GlDevice:
            from tilewright.codegen_glsl.device import GlDevice, GlOptions

            return GlDevice(
                GlOptions(choice.egl_device, choice.software, half_float=choice.half_float)
            )

        def browser() -> WebGlBrowserDevice:
            from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice

            return WebGlBrowserDevice(self._browser_options)

        return open_device("glsl", choice.runner, native, browser)

    @property
    def _browser_options(self) -> BrowserOptions:
        from tilewright.runtime_web.runner.options import BrowserOptions

        choice = self.device_choice
        adapter: Literal["any", "hardware"] = "any" if choice.software else "hardware"
        return BrowserOptions(
            choice.browser, adapter, adapter_name=choice.adapter, half_float=choice.half_float
        )


def _wait_before_forks(lock: threading.RLock) -> None:
    """Have forks wait for `lock`, and for LLVM's, which is also taken to give code back."""
    if not hasattr(os, "register_at_fork"):
        return
    held: list[Any] = []

    def before() -> None:
        lock.acquire()
        llvm = sys.modules.get("llvmlite.binding.ffi")
        held.append(ExitStack())
        if llvm is not None:
            held[-1].enter_context(llvm.lib._lock)

    def after() -> None:
        held.pop().close()
        lock.release()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)


_RUNTIME = Runtime()
_wait_before_forks(_RUNTIME.lock)


def runtime() -> Runtime:
    """The process's runtime."""
    return _RUNTIME
