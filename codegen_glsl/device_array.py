"""An array that stays on the device between kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilewright.codegen_glsl.array_spec import array_spec, check_layout, on_another_device
from tilewright.codegen_glsl.texture import texture_of
from tilewright.ir.array_on_device import ArrayOnDevice
from tilewright.ir.errors import DeviceLostError
from tilewright.ir.transfer import pack, unpack, word_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.codegen_glsl.arena import Lease
    from tilewright.codegen_glsl.context import GlContext
    from tilewright.codegen_glsl.device import GlDevice
    from tilewright.ir.artifact import BufferSpec


class ArrayLostError(DeviceLostError):
    """An array of a device that was lost before is used; the device that is there is well."""


class GlDeviceArray(ArrayOnDevice):
    """An immutable array in a texture; the texture is reused when the last reference is dropped.

    Passing it to a loaded program moves no data; `numpy()` waits for the device and copies.
    """

    __slots__ = ("_context", "_lease", "device", "spec")
    target = "glsl"
    called = "GlDeviceArray"
    spec: BufferSpec

    def __init__(
        self, device: GlDevice, context: GlContext, lease: Lease, spec: BufferSpec
    ) -> None:
        self.device = device
        self.spec = spec
        self._context = context
        self._lease = lease

    @classmethod
    def upload(cls, device: GlDevice, array: NDArray[np.generic]) -> GlDeviceArray:
        """Copy a host array to the device, in the layout that kernels use by default."""
        spec = array_spec(array, device.facts)
        words = pack(array, spec, "the array")

        def job(context: GlContext) -> GlDeviceArray:
            lease = context.arena.acquire(texture_of(spec))
            context.upload(lease, words)
            context.check()
            return cls(device, context, lease, spec)

        return device.run(job)

    def numpy(self) -> NDArray[np.generic]:
        def job(context: GlContext) -> NDArray[np.generic]:
            words = context.download(self.lease(context), word_count(self.spec))
            context.check()
            return words

        return unpack(self.device.run(job), self.spec)

    def lease(self, context: GlContext) -> Lease:
        """The texture, for use on `context`; `DeviceLostError` if it was on one that is gone."""
        if context is not self._context:
            raise ArrayLostError(
                f"the array of shape {self.shape} was on a device that was lost, and its values "
                "are gone",
                help="compute it again from host arrays",
            )
        return self._lease

    def check_fits(self, device: GlDevice, spec: BufferSpec) -> None:
        """Raise unless this array can be bound where a program expects `spec`."""
        if device is not self.device:
            raise on_another_device(self.shape)
        check_layout(spec, self.spec)

    def __repr__(self) -> str:
        where = self.device.facts.renderer
        return f"GlDeviceArray(shape={self.shape}, dtype={self.spec.dtype}, on={where!r})"
