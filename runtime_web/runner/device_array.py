"""An array that stays on the device of a browser between kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.ir.array_on_device import ArrayOnDevice
from tilewright.ir.errors import DeviceLostError
from tilewright.ir.transfer import unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.ir.artifact import BufferSpec
    from tilewright.runtime_web.runner.device import BrowserDevice
    from tilewright.runtime_web.runner.session import Session


class BrowserArray(ArrayOnDevice):
    """An immutable array; its memory is reused when the last reference is dropped.

    `spec` says how its elements lie on the device.
    """

    __slots__ = ("_number", "_session", "device", "spec")
    target: str
    called = "BrowserArray"
    spec: BufferSpec

    def __init__(
        self, device: BrowserDevice[Any], session: Session, number: int, spec: BufferSpec
    ) -> None:
        self.device = device
        self.spec = spec
        self._session = session
        self._number = number

    def __del__(self) -> None:
        self._session.drop(self._number)

    def numpy(self) -> NDArray[Any]:
        reply = self.device.run(lambda session: session.request("read", array=self.on(session)))
        return unpack(np.frombuffer(reply.blobs[0], self.spec.storage), self.spec)

    def on(self, session: Session) -> int:
        """The number that the page of `session` knows this array by; `DeviceLostError` if it was
        on one that is gone."""
        if session is not self._session:
            raise DeviceLostError(
                f"the array of shape {self.shape} was on a device that was lost, and its values "
                "are gone",
                help="compute it again from host arrays",
            )
        return self._number

    def become(self, other: BrowserArray) -> None:
        """Lie on the device as `other` does, which has the same elements and is given up; what is
        queued still reads the old memory."""
        self.spec = other.spec
        self._session, other._session = other._session, self._session
        self._number, other._number = other._number, self._number

    def __repr__(self) -> str:
        where = self.device.name
        return f"BrowserArray(shape={self.shape}, dtype={self.spec.dtype}, on={where!r})"


class GlslBrowserArray(BrowserArray):
    """In a texture of WebGL."""

    __slots__ = ()
    target = "glsl"


class WgslBrowserArray(BrowserArray):
    """In a storage buffer of WebGPU."""

    __slots__ = ()
    target = "wgsl"
