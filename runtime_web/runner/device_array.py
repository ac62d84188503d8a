"""An array that stays on the device of a browser between kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tilewright.ir.errors import DeviceLostError
from tilewright.ir.reading import Reading
from tilewright.ir.transfer import unpack

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from tilewright.ir.artifact import BufferSpec
    from tilewright.runtime_web.runner.device import BrowserDevice
    from tilewright.runtime_web.runner.session import Session


class BrowserArray:
    """An immutable array; its memory is reused when the last reference is dropped.

    `spec` says how its elements lie on the device.
    """

    __slots__ = ("_number", "_session", "device", "spec")
    target: str

    def __init__(
        self, device: BrowserDevice[Any], session: Session, number: int, spec: BufferSpec
    ) -> None:
        self.device = device
        self.spec = spec
        self._session = session
        self._number = number

    def __del__(self) -> None:
        self._session.drop(self._number)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.spec.dtype)

    @property
    def size(self) -> int:
        return self.spec.size

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    def read(self) -> Reading:
        """A reading whose copy begins when it is waited for."""
        return Reading(self.numpy)

    def numpy(self) -> NDArray[Any]:
        """A new host array with these values; waits for the work that computes them."""
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

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a device array cannot become a host array without a copy")
        return np.asarray(self.numpy(), dtype=dtype)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BrowserArray cannot leave its device; copy or pickle its .numpy()")

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
