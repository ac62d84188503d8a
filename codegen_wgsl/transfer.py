"""NumPy arrays to 32-bit device words and back, as a `BufferSpec` says.

In: a host array and the spec of its buffer. Out: a flat uint32 array, ready for upload (`pack`); or
a fresh host array of the spec's dtype and shape from the words that came back (`unpack`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DTypeError, IRError, LimitError, ShapeError

WORD_BYTES = 4
# Shaders may view any buffer as vec4, and WebGPU has no empty bindings.
BUFFER_GRANULE = 16

Words = NDArray[np.uint32]


def word_count(spec: BufferSpec) -> int:
    """The number of 32-bit words that hold the elements of `spec`."""
    return -(-spec.size // spec.packed)


def buffer_bytes(spec: BufferSpec) -> int:
    """The size of the device buffer of `spec`: whole granules, at least one."""
    granules = -(-word_count(spec) * WORD_BYTES // BUFFER_GRANULE)
    return max(granules, 1) * BUFFER_GRANULE


def check_spec(spec: BufferSpec) -> None:
    """Raise `IRError` for a spec that no host array can have."""
    itemsize = np.dtype(spec.dtype).itemsize
    if np.dtype(spec.storage).itemsize != WORD_BYTES:
        raise IRError(f"storage must be a 32-bit dtype, not {spec.storage}")
    if spec.packed > 1 and itemsize * spec.packed != WORD_BYTES:
        raise IRError(f"{spec.packed} elements of {spec.dtype} do not fill a 32-bit word")


def pack(value: Any, spec: BufferSpec, name: str) -> Words:
    """The words of host array `value`; `name` is what errors call it."""
    array = np.asarray(value)
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
    flat = np.ascontiguousarray(array, dtype=spec.dtype).reshape(-1)
    if spec.packed > 1:
        return _pack_narrow(flat)
    return _to_storage(flat, np.dtype(spec.storage), name).view(np.uint32)


def unpack(words: Words, spec: BufferSpec) -> NDArray[Any]:
    """A fresh host array from the first words of `words`."""
    used = words[: word_count(spec)]
    if spec.packed > 1:
        return used.view(spec.dtype)[: spec.size].reshape(spec.shape).copy()
    # A float16 result beyond 65504 is infinite, as in NumPy; it is not worth a warning here.
    with np.errstate(over="ignore"):
        return used.view(spec.storage).astype(spec.dtype).reshape(spec.shape)


def _pack_narrow(flat: NDArray[Any]) -> Words:
    per_word = WORD_BYTES // flat.itemsize
    if remainder := flat.size % per_word:
        flat = np.concatenate([flat, np.zeros(per_word - remainder, flat.dtype)])
    return flat.view(np.uint32)


def _to_storage(flat: NDArray[Any], storage: np.dtype[Any], name: str) -> NDArray[Any]:
    if flat.dtype == storage:
        return flat
    narrows = storage.kind in "iu" and not np.can_cast(flat.dtype, storage, "safe")
    if narrows and flat.size and flat.dtype.kind in "iu":
        _check_fits(flat, storage, name)
    return flat.astype(storage)


def _check_fits(flat: NDArray[Any], storage: np.dtype[Any], name: str) -> None:
    bounds = np.iinfo(storage)
    if bounds.min <= int(flat.min()) and int(flat.max()) <= bounds.max:
        return
    # Compared as Python would: NumPy refuses a bound that the array's dtype cannot hold.
    low = max(bounds.min, np.iinfo(flat.dtype).min)
    high = min(bounds.max, np.iinfo(flat.dtype).max)
    position = int(np.argmax((flat < low) | (flat > high)))
    raise LimitError(
        f"{name} holds {flat[position]} (flat index {position}), which does not fit the "
        f"{storage} that this device stores {flat.dtype} in",
        help='use target="cpu", which has 64-bit integers',
    )
