"""How arrays of the host lie on a device, and which programs they may be bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.codegen_glsl.texture import layout_for, storage_for, texture_of
from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DeviceError, DTypeError, ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tilewright.codegen_glsl.probe import GlFacts


def array_spec(array: NDArray[np.generic], facts: GlFacts) -> BufferSpec:
    """The layout that kernels use by default."""
    dtype = array.dtype.name
    storage = storage_for(dtype)
    layout = layout_for(array.size, storage, max_size=facts.max_texture_size)
    return BufferSpec("input", dtype, storage, array.shape, array.size, texture=layout)


def check_same(wanted: BufferSpec, found: BufferSpec) -> None:
    """Raise unless an array like `found` has the shape and dtype of a program's `wanted`."""
    if found.shape != wanted.shape:
        raise ShapeError(f"an input has shape {found.shape} where {wanted.shape} was compiled")
    if found.dtype != wanted.dtype:
        raise DTypeError(f"an input has dtype {found.dtype} where {wanted.dtype} was compiled")


def check_layout(wanted: BufferSpec, found: BufferSpec) -> None:
    """Raise unless an array that lies as `found` can be bound where a program expects `wanted`."""
    if texture_of(wanted) != texture_of(found) or wanted.packed != found.packed:
        raise DeviceError(
            f"the device array of shape {found.shape} lies in a texture as {found.texture} "
            f"times {found.packed}, and the kernel was compiled for {wanted.texture} times "
            f"{wanted.packed}",
            help="pass array.numpy()",
        )


def on_another_device(shape: tuple[int, ...]) -> DeviceError:
    """The error of an array that meets a program of another device."""
    return DeviceError(
        f"the array of shape {shape} is on another device than the kernel",
        help="pass array.numpy()",
    )
