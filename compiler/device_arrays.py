"""Arrays on a device: uploaded once, passed from kernel to kernel without read-back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.arguments import checked_dtype
from tilewright.compiler.runtime import runtime
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.kernel import Buffer


def device_array(array: Any, target: str) -> Any:
    """Upload an array to the device of `target` ("wgsl" or "glsl").

    The result has `shape`, `dtype` and ``numpy()``. Kernels on the same target take it in place
    of a NumPy array and then return their results on the device too.
    """
    host = np.ascontiguousarray(array)
    if target == "wgsl":
        from tilewright.codegen_wgsl.device_array import upload
        from tilewright.codegen_wgsl.storage import Storage

        buffer = Buffer("array", host.shape, checked_dtype(host, "the array"))
        return upload(runtime().webgpu, host, Storage().declare(buffer, "input"))
    if target == "glsl":
        from tilewright.codegen_glsl.device_array import GlDeviceArray

        return GlDeviceArray.upload(runtime().webgl, host)
    raise UnsupportedError(
        f"target {target!r} has no device memory",
        help="device arrays are for the targets 'wgsl' and 'glsl'; elsewhere pass NumPy arrays",
    )
