"""What arrays on the devices of all targets have in common.

In: how the array lies there (`spec`) and a copy of it on the host (`numpy`). Out: what NumPy and
people ask of an array.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from tilewright.ir.reading import Reading

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from tilewright.ir.artifact import BufferSpec


class ArrayOnDevice(ABC):
    """An immutable array that stays on a device between kernels. `called` is its name in errors."""

    __slots__ = ()
    called: ClassVar[str]

    @property
    @abstractmethod
    def spec(self) -> BufferSpec:
        """How its elements lie on the device."""

    @abstractmethod
    def numpy(self) -> NDArray[Any]:
        """A new host array with these values; waits for the work that computes them."""

    def read(self) -> Reading:
        """A reading whose copy begins when it is waited for."""
        return Reading(self.numpy)

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

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a device array cannot become a host array without a copy")
        return np.asarray(self.numpy(), dtype=dtype)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {self.called} cannot leave its device; copy or pickle its .numpy()")
