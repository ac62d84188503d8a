"""What a caller may choose about compiling for WebGPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from tilewright.ir.subgroups import LEAST_SUBGROUP, MOST_SUBGROUP

if TYPE_CHECKING:
    from tilewright.codegen_wgsl.adapter import DeviceInfo


class WgslOptions(Struct, frozen=True):
    """`f64`: float64 values are refused (``"error"``), or computed in float32 (``"f32"``).
    `fast`: operations in their fast forms, built-in functions among them.

    The other fields are what the device has that the program is compiled for; the defaults are what
    every WebGPU device has. `is_processor`: it is a processor that plays a GPU, on which barriers
    are dear. `native_half`: it computes with float16 (`native_half.py`). `subgroup_sizes`: the
    fewest and the most invocations of one of its subgroups, None where there are none. (A program
    for any device uses them only if a schedule asks for it.)
    """

    f64: Literal["error", "f32"] = "error"
    fast: bool = False
    storage_buffers: int = 8
    workgroup_invocations: int = 256
    workgroup_bytes: int = 16 << 10
    is_processor: bool = False
    native_half: bool = False
    subgroup_sizes: tuple[int, int] | None = (LEAST_SUBGROUP, MOST_SUBGROUP)

    def on(self, device: DeviceInfo, native_half: bool = False) -> WgslOptions:
        """The same for programs that need to run on `device` only."""
        limits = device.limits
        return replace(
            self,
            storage_buffers=limits.storage_buffers,
            workgroup_invocations=min(limits.workgroup_invocations, limits.workgroup_size[0]),
            workgroup_bytes=limits.workgroup_storage,
            is_processor=device.is_software,
            native_half=native_half,
            subgroup_sizes=device.subgroup_sizes,
        )
