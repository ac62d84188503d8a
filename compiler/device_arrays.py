"""Arrays on a device: uploaded once, passed from kernel to kernel without read-back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.compiler.arguments import checked_dtype, device_target
from tilewright.compiler.interface import rebuild
from tilewright.compiler.runtime import runtime
from tilewright.compiler.targets import open_target
from tilewright.ir.errors import DTypeError, UnsupportedError

if TYPE_CHECKING:
    from tilewright.compiler.api import Kernel
    from tilewright.compiler.specialization import Specialization


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


def call_on_device(kernel: Kernel, compiled: Specialization, inputs: list[Any], out: Any) -> Any:
    """Device arrays in, device arrays out: nothing is read back."""
    homes = {t for i in inputs if (t := device_target(i))}
    if homes != {kernel.target}:
        raise DTypeError(
            f"an argument lies on the device of {', '.join(sorted(homes))}, and"
            f" {kernel.__name__!r} runs on {kernel.target}",
            help=f"call kernel.on({homes.pop()!r}), or pass array.numpy()",
        )
    if out is not None:
        raise DTypeError("out cannot be given together with device arrays")
    return rebuild(compiled.interface.structure, compiled.run_on_device(inputs))
