"""Uniform values in slots of one buffer, bound with dynamic offsets.

In: the uniforms of a launch. Out: the offset of a slot that holds them. Equal values share a slot,
so a loop's slots are written once, at the first call that meets them. When all slots are taken the
work recorded so far must be submitted; then the slots start afresh.
"""

from __future__ import annotations

import numpy as np

from tilewright.codegen_wgsl.buffer_sizes import BUFFER_GRANULE
from tilewright.ir.transfer import WORD_BYTES, Words

# 4096 slots of 256 bytes are one megabyte: a loop of 4096 steps needs no second upload.
SLOTS = 4096


def uniform_bytes(values: tuple[int, ...]) -> int:
    """The size that the binding of `values` has: uniforms may be declared as an array of vec4."""
    return -(-len(values) * WORD_BYTES // BUFFER_GRANULE) * BUFFER_GRANULE


class UniformTable:
    """The host's copy of the uniform buffer."""

    def __init__(self, widest: int, alignment: int, slots: int = SLOTS) -> None:
        self._stride = -(-widest // alignment) * alignment
        self._words = np.zeros(slots * self._stride // WORD_BYTES, np.uint32)
        self._slots = slots
        self._offsets: dict[tuple[int, ...], int] = {}
        self._written = 0

    @property
    def nbytes(self) -> int:
        """The size that the device's buffer needs."""
        return self._words.nbytes

    def offset(self, values: tuple[int, ...]) -> int | None:
        """Where `values` are, or None when there is no room: submit, `clear`, ask again."""
        found = self._offsets.get(values)
        if found is not None:
            return found
        if len(self._offsets) == self._slots:
            return None
        offset = len(self._offsets) * self._stride
        start = offset // WORD_BYTES
        self._words[start : start + len(values)] = [value & 0xFFFFFFFF for value in values]
        self._offsets[values] = offset
        return offset

    def clear(self) -> None:
        """Forget every slot."""
        self._offsets.clear()
        self._written = 0

    def take_unwritten(self) -> tuple[int, Words]:
        """The byte offset and the words that the device has not got yet; counts them as written."""
        start, end = self._written, len(self._offsets) * self._stride
        self._written = end
        return start, self._words[start // WORD_BYTES : end // WORD_BYTES]
