"""How a host array lies in a texture: layouts, and words to and from NumPy arrays.

In: a `BufferSpec` and a NumPy array. Out: the one-dimensional array of the 32-bit words that the
texture holds (four per texel, row by row), or the other way round. Nothing here touches a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from tilewright.ir.artifact import TextureLayout
from tilewright.ir.errors import DTypeError, IRError, LimitError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.ir.artifact import BufferSpec

Storage = Literal["float32", "int32", "uint32"]

LANES: Final = 4
BYTES_PER_TEXEL: Final = 16
# Wider textures work on every desktop, but 2048 is what WebGL 2 guarantees, and phones and
# browsers that resist fingerprinting give no more.
DEFAULT_WIDTH: Final = 2048

FORMATS: Final[dict[str, Literal["rgba32f", "rgba32i", "rgba32ui"]]] = {
    "float32": "rgba32f",
    "int32": "rgba32i",
    "uint32": "rgba32ui",
}
STORAGES: Final = {texel_format: storage for storage, texel_format in FORMATS.items()}

_STORAGE_OF: Final[dict[str, Storage]] = {
    "float16": "float32",
    "float32": "float32",
    "bool": "int32",
    "int8": "int32",
    "int16": "int32",
    "int32": "int32",
    "int64": "int32",
    "uint8": "uint32",
    "uint16": "uint32",
    "uint32": "uint32",
    "uint64": "uint32",
}


def storage_for(dtype: str) -> Storage:
    """The dtype of one stored element for a host dtype; 64-bit integers are checked when packed."""
    storage = _STORAGE_OF.get(dtype)
    if storage is None:
        raise UnsupportedError(
            f"target 'glsl' cannot hold dtype {dtype}",
            help="use float32, or run this kernel on target 'cpu'",
        )
    return storage


def layout_for(
    size: int, storage: str, *, width: int = DEFAULT_WIDTH, max_size: int = DEFAULT_WIDTH * 8
) -> TextureLayout:
    """The layout of `size` stored elements in a device whose textures are at most `max_size` wide.

    The texture is about square and its width a power of two, so that ``texel % width`` is a mask;
    it is wider than `width` only if it would otherwise be higher than `max_size`. An empty array
    gets one texel: there are no empty textures.
    """
    texels = max(1, -(-size // LANES))
    columns = 1
    while columns * columns < texels and columns < min(width, max_size):
        columns *= 2
    while -(-texels // columns) > max_size and columns * 2 <= max_size:
        columns *= 2
    rows = -(-texels // columns)
    if rows > max_size or columns > max_size:
        raise LimitError(
            f"an array of {size} elements needs a texture of {columns} x {rows} texels, and this "
            f"device allows {max_size} x {max_size}",
            help="split the array, or run this kernel on target 'cpu'",
        )
    return TextureLayout(columns, rows, FORMATS[storage])


def texel_of(index: int, layout: TextureLayout) -> tuple[int, int, int]:
    """Column, row and component of a stored element."""
    texel, lane = divmod(index, LANES)
    row, column = divmod(texel, layout.width)
    return column, row, lane


def index_of(column: int, row: int, lane: int, layout: TextureLayout) -> int:
    """The stored element at a column, row and component."""
    return (row * layout.width + column) * LANES + lane


def capacity(layout: TextureLayout) -> int:
    """How many stored elements a texture has room for."""
    return layout.width * layout.height * LANES


def texture_bytes(layout: TextureLayout) -> int:
    return layout.width * layout.height * BYTES_PER_TEXEL


def stored_words(spec: BufferSpec) -> int:
    """How many 32-bit words of a texture a buffer uses."""
    return -(-spec.size // spec.packed)


def texture_of(spec: BufferSpec) -> TextureLayout:
    """The layout of a buffer of a GLSL program, which always has one."""
    if spec.texture is None:
        raise IRError(f"a {spec.role} buffer of shape {spec.shape} has no texture layout")
    return spec.texture


def pack(spec: BufferSpec, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The words to upload for `array`, in one dimension; a view of it if nothing changes."""
    if array.shape != spec.shape:
        raise ShapeError(f"{spec.role} has shape {array.shape} where {spec.shape} was compiled")
    if array.dtype.newbyteorder("=") != np.dtype(spec.dtype):
        raise DTypeError(f"{spec.role} has dtype {array.dtype} where {spec.dtype} was compiled")
    if spec.packed > 1:
        return _pack_bits(spec, array)
    storage = np.dtype(spec.storage)
    demoted = array.dtype.kind == storage.kind == "f"  # float64 as float32 is the user's choice
    if not demoted and not np.can_cast(array.dtype, storage, casting="safe"):
        _check_narrowing(array, storage)
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite
        return np.ascontiguousarray(array, dtype=storage).reshape(-1)


def unpack(spec: BufferSpec, words: NDArray[np.generic]) -> NDArray[np.generic]:
    """The host array that `words` hold: a view of `words` where no conversion is needed."""
    if spec.packed > 1:
        flat: NDArray[np.generic] = words.view(spec.dtype)[: spec.size]
    else:
        # A float16 result beyond 65504 is infinite, as in NumPy; it is not worth a warning here.
        with np.errstate(over="ignore"):
            flat = words.astype(spec.dtype, copy=False)
    return flat.reshape(spec.shape)


def _pack_bits(spec: BufferSpec, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Several host elements per word, bit by bit, lowest bits first."""
    dtype = np.dtype(spec.dtype)
    if dtype.itemsize * spec.packed != 4:
        raise IRError(f"{spec.packed} elements of dtype {dtype} do not fill a word of 4 bytes")
    padded = np.zeros(stored_words(spec) * spec.packed, dtype)
    padded[: spec.size] = array.reshape(-1)
    return padded.view(spec.storage)


def _check_narrowing(array: NDArray[np.generic], storage: np.dtype[np.generic]) -> None:
    """Integers may be stored in a smaller or differently signed dtype if every value fits."""
    if array.dtype.kind not in "iu" or storage.kind not in "iu":
        raise UnsupportedError(f"target 'glsl' cannot hold dtype {array.dtype} as {storage}")
    if array.size == 0:
        return
    limits = np.iinfo(storage.name)
    for position in (int(array.argmin()), int(array.argmax())):
        value = int(array.reshape(-1)[position])
        if not limits.min <= value <= limits.max:
            where = tuple(int(i) for i in np.unravel_index(position, array.shape))
            raise LimitError(
                f"target 'glsl' holds {array.dtype} as {storage}, and the value {value} at index "
                f"{where} does not fit",
                help="run this kernel on target 'cpu', or use smaller values",
            )
