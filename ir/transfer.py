"""NumPy arrays to 32-bit device words and back, as a `BufferSpec` says.

In: a host array and the spec of its buffer. Out: a flat array of words in the spec's storage dtype,
ready for upload (`pack`); or a host array of the spec's dtype and shape from the words that came
back (`unpack`). Nothing here touches a device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DTypeError, IRError, LimitError, ShapeError

WORD_BYTES = 4

Words = NDArray[Any]
"""One dimension of float32, int32 or uint32."""

Array = NDArray[Any]


def word_count(spec: BufferSpec) -> int:
    """The number of 32-bit words that hold the elements of `spec`."""
    return -(-spec.size // spec.packed)


def check_spec(spec: BufferSpec) -> None:
    """Raise `IRError` for a spec that no host array can have."""
    itemsize = np.dtype(spec.dtype).itemsize
    if np.dtype(spec.storage).itemsize != WORD_BYTES:
        raise IRError(f"storage must be a 32-bit dtype, not {spec.storage}")
    if spec.packed > 1 and itemsize * spec.packed != WORD_BYTES:
        raise IRError(f"{spec.packed} elements of {spec.dtype} do not fill a 32-bit word")


def pack(value: Any, spec: BufferSpec, name: str) -> Words:
    """The words of host array `value`, a view of it if nothing changes; `name` is what errors call
    it."""
    array = _rounded(np.asarray(value), spec)
    # Byte order is no difference: the copy below takes it out.
    if array.dtype.newbyteorder("=") != np.dtype(spec.dtype):
        raise DTypeError(
            f"{name} is {array.dtype}, but the program was compiled for {spec.dtype}",
            help=f"convert it first: {name}.astype(np.{spec.dtype})",
        )
    if array.shape != spec.shape:
        raise ShapeError(
            f"{name} has shape {array.shape}, but the program was compiled for {spec.shape}"
        )
    if spec.packed > 1:
        return _packed(array, spec)
    storage = np.dtype(spec.storage)
    narrower_float = array.dtype.kind == storage.kind == "f"  # float64: the user's choice
    if not narrower_float and not np.can_cast(array.dtype, storage, "safe"):
        _check_fits(array, storage, name)
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite
        return np.ascontiguousarray(array, dtype=storage).reshape(-1)


def unpack(words: Words, spec: BufferSpec, *, copy: bool = False) -> Array:
    """The host array that the first of `words` hold: a view of them where nothing changes, unless
    `copy` says that they will not last."""
    used = words[: word_count(spec)]
    if spec.packed > 1:
        flat = used.view(spec.dtype)[: spec.size]
        flat = flat.copy() if copy else flat
    else:
        # A float16 result beyond 65504 is infinite, as in NumPy; it is not worth a warning here.
        with np.errstate(over="ignore"):
            flat = used.view(spec.storage).astype(spec.dtype, copy=copy)
    return flat.reshape(spec.shape)


def _rounded(array: Array, spec: BufferSpec) -> Array:
    """A Python float (a float64 of no dimension) in the dtype for which a kernel takes it."""
    is_python_float = array.dtype == np.float64 and array.shape == spec.shape == ()
    if not is_python_float or spec.dtype not in ("float16", "float32"):
        return array
    with np.errstate(over="ignore"):
        return array.astype(spec.dtype)


def _packed(array: Array, spec: BufferSpec) -> Words:
    """Several elements to a word, lowest bits first."""
    check_spec(spec)
    flat = np.ascontiguousarray(array, dtype=spec.dtype).reshape(-1)
    missing = word_count(spec) * spec.packed - flat.size
    if missing:
        flat = np.concatenate([flat, np.zeros(missing, flat.dtype)])
    return flat.view(spec.storage)


def _check_fits(array: Array, storage: np.dtype[Any], name: str) -> None:
    """Integers may be stored in a smaller or differently signed dtype if every value fits."""
    if array.dtype.kind not in "iu" or storage.kind not in "iu":
        raise IRError(f"elements of {array.dtype} cannot be stored as {storage}")
    if array.size == 0:
        return
    limits = np.iinfo(storage)
    for position in (int(array.argmin()), int(array.argmax())):
        value = int(array.reshape(-1)[position])
        if not limits.min <= value <= limits.max:
            where = tuple(int(i) for i in np.unravel_index(position, array.shape))
            raise LimitError(
                f"{name} holds {value} at index {where}, which does not fit the {storage} that "
                f"this target stores {array.dtype} in",
                help='use target="cpu", which has 64-bit integers',
            )
