"""How many bytes a storage buffer of WebGPU has."""

from __future__ import annotations

from tilewright.ir.artifact import BufferSpec
from tilewright.ir.transfer import WORD_BYTES, word_count

# Shaders may view any buffer as vec4, and WebGPU has no empty bindings.
BUFFER_GRANULE = 16


def buffer_bytes(spec: BufferSpec) -> int:
    """The size of the device buffer of `spec`: whole granules, at least one."""
    granules = -(-word_count(spec) * WORD_BYTES // BUFFER_GRANULE)
    return max(granules, 1) * BUFFER_GRANULE
