"""Arrays on a device: uploaded once, passed from kernel to kernel without read-back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.compiler.arguments import checked_dtype
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import open_target
from tilewright.ir.errors import UnsupportedError


def device_array(array: Any, target: str) -> Any:
    """Upload an array to the device of `target` ("wgsl" or "glsl").

    The result has `shape`, `dtype` and ``numpy()``. Kernels on the same target take it in place
    of a NumPy array and then return their results on the device too.
    """
    host = np.asarray(array, order="C")
    checked_dtype(host, "the array")
    opened = open_target(target, runtime())
    if host.dtype == np.float64:
        raise UnsupportedError(
            f"a float64 array cannot lie on the device of {target!r}, which has no float64",
            help="pass array.astype(np.float32)",
        )
    return opened.upload(host)
