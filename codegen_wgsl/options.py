"""What a caller may choose about compiling for WebGPU."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class WgslOptions(Struct, frozen=True):
    """`f64`: float64 values are refused (``"error"``), or computed in float32 (``"f32"``).
    `fast`: operations in their fast forms, built-in functions among them.

    The other fields are limits of the device that the program is compiled for; the defaults are
    those that every WebGPU device has.
    """

    f64: Literal["error", "f32"] = "error"
    fast: bool = False
    storage_buffers: int = 8
    workgroup_invocations: int = 256
    workgroup_bytes: int = 16 << 10
