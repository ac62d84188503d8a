"""Layouts and the storage of dtypes, without a device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.codegen_glsl.texture import (
    capacity,
    index_of,
    layout_for,
    storage_for,
    texel_of,
)
from tilewright.ir.artifact import BufferSpec, TextureLayout
from tilewright.ir.errors import LimitError, UnsupportedError
from tilewright.ir.transfer import pack, unpack, word_count


def spec_for(array: np.ndarray, storage: str | None = None, packed: int = 1) -> BufferSpec:
    name = array.dtype.name
    return BufferSpec("input", name, storage or storage_for(name), array.shape, array.size, packed)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, (1, 1)),
        (1, (1, 1)),
        (4, (1, 1)),
        (5, (2, 1)),
        (16, (2, 2)),
        (17, (4, 2)),
        (4 * 2048 * 2048, (2048, 2048)),
        (4 * 2048 * 2048 + 1, (2048, 2049)),
    ],
)
def test_layout_is_about_square(size: int, expected: tuple[int, int]) -> None:
    layout = layout_for(size, "float32")
    assert (layout.width, layout.height) == expected


@given(st.integers(0, 10**8), st.sampled_from([2048, 4096, 8192, 16384]))
def test_layout_holds_every_element_within_limits(size: int, max_size: int) -> None:
    texels = -(-size // 4)
    if texels > max_size * max_size:
        with pytest.raises(LimitError):
            layout_for(size, "int32", max_size=max_size)
        return
    layout = layout_for(size, "int32", max_size=max_size)
    assert capacity(layout) >= size
    assert max(layout.width, layout.height) <= max_size
    assert layout.width & (layout.width - 1) == 0
    assert layout.format == "rgba32i"
    assert layout.height < 8 * layout.width
    assert layout.width < 8 * layout.height
    # No row is wholly unused.
    assert (layout.height - 1) * layout.width < max(1, texels)


def test_a_long_vector_gets_wider_than_the_default_only_when_it_must() -> None:
    assert layout_for(10**8, "float32", max_size=16384).width == 2048
    assert layout_for(10**8, "float32", max_size=8192).width == 4096
    for texels, columns, rows in ((30, 2, 15), (31, 4, 8), (64, 4, 16), (65, 8, 9), (256, 16, 16)):
        layout = layout_for(4 * texels, "float32", width=2, max_size=16)
        assert (layout.width, layout.height) == (columns, rows)


def test_array_beyond_the_device_is_a_limit_error() -> None:
    with pytest.raises(LimitError, match="2048 x 8193 texels, and this device allows 2048 x 2048"):
        layout_for(4 * 2048 * 8193, "float32", max_size=2048)


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 64, 2048]))
def test_texel_of_and_index_of_are_inverse(index: int, width: int) -> None:
    layout = TextureLayout(width, 1 << 20, "rgba32f")
    column, row, lane = texel_of(index, layout)
    assert 0 <= column < width
    assert 0 <= lane < 4
    assert index_of(column, row, lane, layout) == index


_ROUND_TRIPS = {
    "float32": [0.0, -0.0, 1e-45, 3.4e38, np.inf, -np.inf, 0.1],
    "float16": [0.0, -0.0, 6e-8, 65504, np.inf, 0.1],
    "bool": [True, False, True],
    "int8": [-128, 127, 0],
    "uint8": [0, 255, 1],
    "int16": [-32768, 32767, 0],
    "uint16": [0, 65535, 1],
    "int32": [-(2**31), 2**31 - 1, 16777217],
    "uint32": [0, 2**32 - 1, 16777217],
    "int64": [-(2**31), 2**31 - 1, 0],
    "uint64": [0, 2**32 - 1, 7],
}


@pytest.mark.parametrize("dtype", _ROUND_TRIPS)
def test_pack_then_unpack_keeps_every_value(dtype: str) -> None:
    array = np.array(_ROUND_TRIPS[dtype], dtype)
    spec = spec_for(array)
    words = pack(array, spec, "x")
    assert words.dtype == storage_for(dtype)
    assert words.shape == (word_count(spec),)
    result = unpack(words, spec)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result.view(np.uint8), array.view(np.uint8))


def test_dtypes_without_storage_are_refused() -> None:
    for dtype in ("float64", "complex64"):
        with pytest.raises(UnsupportedError, match=f"target 'glsl' cannot hold dtype {dtype}"):
            storage_for(dtype)


@pytest.mark.parametrize(("columns", "rows"), [(8, 8), (16, 8), (16, 16)])
def test_a_texture_may_fill_the_device(columns: int, rows: int) -> None:
    """Up to its last texel, in both directions."""
    for missing in (0, 3):
        layout = layout_for(4 * columns * rows - missing, "float32", width=2, max_size=16)
        assert capacity(layout) >= 4 * columns * rows - missing
        assert max(layout.width, layout.height) <= 16
    with pytest.raises(LimitError, match="16 x 17 texels, and this device allows 16 x 16"):
        layout_for(4 * 16 * 16 + 1, "float32", width=2, max_size=16)
