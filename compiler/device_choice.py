"""Which GPU device a process opens: what the user says in environment variables.

``TILEWRIGHT_WEBGPU_ADAPTER`` is a part of an adapter's name, ``TILEWRIGHT_EGL_DEVICE`` the number
of an EGL device. ``TILEWRIGHT_SOFTWARE=0`` refuses processors that play a GPU.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tilewright.ir.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.codegen_glsl.device import GlOptions
    from tilewright.codegen_wgsl.adapter import DeviceOptions

ADAPTER = "TILEWRIGHT_WEBGPU_ADAPTER"
EGL_DEVICE = "TILEWRIGHT_EGL_DEVICE"
SOFTWARE = "TILEWRIGHT_SOFTWARE"


def webgpu_options(environment: Mapping[str, str] = os.environ) -> DeviceOptions:
    """What the environment says of the WebGPU adapter; `DeviceError` for what it cannot mean."""
    from tilewright.codegen_wgsl.adapter import DeviceOptions

    return DeviceOptions(environment.get(ADAPTER, ""), _allows_software(environment))


def webgl_options(environment: Mapping[str, str] = os.environ) -> GlOptions:
    """What the environment says of the EGL device; `DeviceError` for what it cannot mean."""
    from tilewright.codegen_glsl.device import GlOptions

    number = environment.get(EGL_DEVICE) or "0"
    if not number.isdecimal() or not number.isascii():
        raise DeviceError(
            f"{EGL_DEVICE} is {number!r}", help="set it to the number of a device: 0 is the first"
        )
    return GlOptions(device_index=int(number), allow_software=_allows_software(environment))


def _allows_software(environment: Mapping[str, str]) -> bool:
    said = environment.get(SOFTWARE) or "1"
    if said not in ("0", "1"):
        raise DeviceError(
            f"{SOFTWARE} is {said!r}",
            help="0 refuses processors that play a GPU, 1 or nothing takes them",
        )
    return said == "1"
