"""The WebGPU device of a browser."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tilewright.codegen_wgsl.adapter import (
    SOFTWARE_ADAPTER,
    DeviceInfo,
    DeviceLimits,
    usable_subgroups,
)
from tilewright.codegen_wgsl.array_layout import check_layout, needs_packing, on_another_device
from tilewright.codegen_wgsl.check import check_program
from tilewright.codegen_wgsl.half_probe import computes_halves
from tilewright.codegen_wgsl.repack import packing_program
from tilewright.ir.errors import DeviceError
from tilewright.ir.transfer import check_spec, pack
from tilewright.runtime_web.runner.device import BrowserDevice
from tilewright.runtime_web.runner.device_array import BrowserArray, WgslBrowserArray
from tilewright.runtime_web.runner.launch import Browser
from tilewright.runtime_web.runner.options import BrowserOptions
from tilewright.runtime_web.runner.program import LoadedBrowserProgram
from tilewright.runtime_web.runner.session import Opener, software_not_allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tilewright.ir.artifact import BufferSpec, GpuProgram
    from tilewright.runtime_web.runner.session import Session

# As the wgpu package spells them.
_FEATURES = {"subgroups": "subgroup"}
_SOFTWARE = ("swiftshader", "llvmpipe", "basic render", "warp")
_GPU = "GPU"
_MOST_PACKINGS = 32


class WebGpuBrowserDevice(BrowserDevice[DeviceInfo]):
    """An open WebGPU device; may be used from any thread."""

    target = "wgsl"
    array_class = WgslBrowserArray

    def __init__(self, options: BrowserOptions | None = None, opener: Opener = Browser) -> None:
        # What packs arrays, by how they lie: loading it takes as long as three calls of it.
        self._packings: OrderedDict[BufferSpec, LoadedBrowserProgram] = OrderedDict()
        self._packings_lock = threading.Lock()
        super().__init__(options, opener)

    @property
    def info(self) -> DeviceInfo:
        """What was opened."""
        return self._facts

    @cached_property
    def computes_halves(self) -> bool:
        """Whether programs may compute with float16."""
        return computes_halves(self)

    @property
    def name(self) -> str:
        return self.info.name

    def check(self, program: GpuProgram) -> None:
        """Raise if the program cannot run here."""
        check_program(program, self.info)

    def upload(self, array: NDArray[Any], spec: BufferSpec) -> BrowserArray:
        """Copy a host array to the device, laid out as `spec` says."""
        check_spec(spec)
        return self.hold(pack(array, spec, "the array"), spec)

    def fit(self, array: BrowserArray, spec: BufferSpec, name: str) -> BrowserArray:
        """The array, as a program binds it where it expects `spec`; elements that lie in a word
        each are packed first, and stay so."""
        if array.device is not self:
            raise on_another_device(name)
        if needs_packing(array.spec, spec):
            (packed,) = self._packing(array.spec, spec.packed)([array], outputs_on_device=True)
            array.become(packed)
        check_layout(array.spec, spec, name)
        return array

    def _packing(self, spec: BufferSpec, packed: int) -> LoadedBrowserProgram:
        """The program that packs an array which lies as `spec`."""
        with self._packings_lock:
            found = self._packings.pop(spec, None)
            if found is None:
                found = self.load(packing_program(spec, packed))
            self._packings[spec] = found
            if len(self._packings) > _MOST_PACKINGS:
                self._packings.popitem(last=False)
            return found

    def close(self) -> None:
        with self._packings_lock:
            self._packings.clear()
        super().close()

    def _describe(self, session: Session) -> DeviceInfo:
        info = _info(session)
        if self.options.adapter == "hardware" and info.is_software:
            raise software_not_allowed(info.summary)
        if self.options.adapter_name not in info.summary:
            raise DeviceError(
                f"no WebGPU adapter whose name contains {self.options.adapter_name!r} was found; "
                f"adapters: {info.summary}"
            )
        return info


def _info(session: Session) -> DeviceInfo:
    facts = session.facts
    is_software = facts["fallback"] or any(s in facts["name"].lower() for s in _SOFTWARE)
    return DeviceInfo(
        name=facts["name"],
        driver=session.browser,
        api="WebGPU",
        kind=SOFTWARE_ADAPTER if is_software else _GPU,
        features=frozenset(_FEATURES.get(name, name) for name in facts["features"]),
        limits=_limits(facts["limits"]),
        subgroup_sizes=_subgroup_sizes(facts["subgroups"]),
    )


def _subgroup_sizes(found: Sequence[int] | None) -> tuple[int, int] | None:
    if found is None:
        return None
    least, most = found
    return (least, most) if usable_subgroups((least, most)) else None


def _limits(limits: dict[str, int]) -> DeviceLimits:
    x, y, z = (limits[f"maxComputeWorkgroupSize{axis}"] for axis in "XYZ")
    return DeviceLimits(
        workgroup_invocations=limits["maxComputeInvocationsPerWorkgroup"],
        workgroup_size=(x, y, z),
        workgroup_storage=limits["maxComputeWorkgroupStorageSize"],
        workgroups_per_dimension=limits["maxComputeWorkgroupsPerDimension"],
        storage_buffers=limits["maxStorageBuffersPerShaderStage"],
        storage_binding_bytes=limits["maxStorageBufferBindingSize"],
        buffer_bytes=limits["maxBufferSize"],
        uniform_alignment=limits["minUniformBufferOffsetAlignment"],
    )
