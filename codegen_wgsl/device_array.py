"""An array that stays on the device, so that kernels chain without read-back.

In: a pooled buffer and the `BufferSpec` that says how the array lies in it. Out: the NumPy array,
when asked. The buffer goes back to its pool when the array is collected.
"""

from __future__ import annotations

import weakref
from typing import Any

from numpy.typing import NDArray

from tilewright.codegen_wgsl.array_layout import (
    check_layout,
    needs_packing,
    on_another_device,
)
from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.pool import PooledBuffer
from tilewright.codegen_wgsl.repack import pack_on_device, packed_like
from tilewright.ir.array_on_device import ArrayOnDevice
from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DeviceLostError
from tilewright.ir.reading import Reading
from tilewright.ir.transfer import check_spec, pack, unpack


class DeviceArray(ArrayOnDevice):
    """An immutable array on a WebGPU device."""

    __slots__ = ("__weakref__", "_device", "_generation", "_held", "_returning")
    target = "wgsl"
    called = "DeviceArray"

    def __init__(self, device: Device, spec: BufferSpec, buffer: PooledBuffer) -> None:
        self._device = device
        self._generation = device.generation
        self._hold(spec, buffer)

    def _hold(self, spec: BufferSpec, buffer: PooledBuffer) -> None:
        self._held = spec, buffer
        # The pool of this generation: a buffer of a lost device must not reach the new one's.
        self._returning = weakref.finalize(self, self._device.storage_pool.release, buffer)
        self._returning.atexit = False

    @property
    def spec(self) -> BufferSpec:
        return self._held[0]

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, on {self._device.info.name!r})"

    def numpy(self) -> NDArray[Any]:
        return self.read().numpy()

    def read(self) -> Reading:
        """Begin to copy to the host, and do not wait: see `Reading`."""
        device = self._device
        spec, buffer = self._held
        self._check_alive()
        with device.guard("reading a DeviceArray"):
            staging = device.stage(buffer.raw, buffer.nbytes)
        return Reading(_Copy(device, spec, staging))

    def buffer_for(self, device: Device, spec: BufferSpec, name: str) -> PooledBuffer:
        """The buffer, as a program on `device` binds it for argument `name`; elements that lie in
        a word each are packed first if the program wants that."""
        if device is not self._device:
            raise on_another_device(name)
        self._check_alive()
        if needs_packing(self.spec, spec):
            self._pack(spec.packed)
        check_layout(self.spec, spec, name)
        return self._held[1]

    def _pack(self, packed: int) -> None:
        """Lie as inputs do from now on; what is queued still reads the old buffer."""
        spec, buffer = self._held
        with self._device.guard("packing a DeviceArray"):
            made = pack_on_device(self._device, buffer, spec, packed)
        old = self._returning
        self._hold(packed_like(spec, packed), made)
        old()

    def _check_alive(self) -> None:
        if self._device.generation != self._generation:
            raise DeviceLostError("the device that held this array was lost, and the array with it")


class _Copy:
    """A staging buffer that submitted work fills; called once, it gives the array in it. One that
    nobody waits for gives its buffer back too."""

    def __init__(self, device: Device, spec: BufferSpec, staging: PooledBuffer) -> None:
        self._device = device
        self._generation = device.generation
        self._filled = spec, staging
        self._returning = weakref.finalize(self, device.staging_pool.release, staging)
        self._returning.atexit = False

    def __call__(self) -> NDArray[Any]:
        spec, staging = self._filled
        if self._device.generation != self._generation:
            raise DeviceLostError("the device was lost before the array was read")
        self._returning.detach()
        with self._device.mapped(staging, staging.nbytes) as words:
            return unpack(words, spec, copy=True)


def upload(device: Device, value: Any, spec: BufferSpec, name: str = "the array") -> DeviceArray:
    """Copy host array `value` to the device, laid out as `spec` says."""
    check_spec(spec)
    words = pack(value, spec, name)
    with device.guard(f"uploading {name}"):
        buffer = device.storage_pool.acquire(buffer_bytes(spec))
        if words.size:
            device.raw.queue.write_buffer(buffer.raw, 0, words)
    return DeviceArray(device, spec, buffer)
