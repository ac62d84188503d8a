"""How the words of an array lie in a texture: four per texel, row by row.

Nothing here touches a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from tilewright.ir.artifact import TextureLayout
from tilewright.ir.errors import IRError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from tilewright.ir.artifact import BufferSpec

Storage = Literal["float32", "int32", "uint32"]

LANES: Final = 4
BYTES_PER_TEXEL: Final = 16
# Wider textures work on every desktop, but 2048 is what WebGL 2 guarantees, and phones and
# browsers that resist fingerprinting give no more.
DEFAULT_WIDTH: Final = 2048
SLIMMEST: Final = 8
"""Phones get slow with textures of such proportions."""

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
    it is wider than `width` only if it would otherwise be higher than `max_size`, or `SLIMMEST`
    times as high as wide. An empty array gets one texel: there are no empty textures.
    """
    texels = max(1, -(-size // LANES))
    columns = 1
    while columns * columns < texels and columns < min(width, max_size):
        columns *= 2
    most_rows = min(max_size, SLIMMEST * columns - 1)
    while -(-texels // columns) > most_rows and columns * 2 <= max_size:
        columns *= 2
        most_rows = min(max_size, SLIMMEST * columns - 1)
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


def texture_of(spec: BufferSpec) -> TextureLayout:
    """The layout of a buffer of a GLSL program, which always has one."""
    if spec.texture is None:
        raise IRError(f"a {spec.role} buffer of shape {spec.shape} has no texture layout")
    return spec.texture
