"""Sizes of storage buffers."""

from __future__ import annotations

from tilewright.codegen_wgsl.buffer_sizes import buffer_bytes
from tilewright.ir.artifact import BufferSpec


def spec(dtype: str, storage: str, shape: tuple[int, ...], packed: int = 1) -> BufferSpec:
    size = 1
    for extent in shape:
        size *= extent
    return BufferSpec("input", dtype, storage, shape, size, packed)


def test_buffers_are_whole_granules_and_never_empty() -> None:
    assert buffer_bytes(spec("float32", "float32", (0, 3))) == 16
    assert buffer_bytes(spec("float32", "float32", (5,))) == 32
    assert buffer_bytes(spec("uint8", "uint32", (17,), 4)) == 32
