"""Sections cut into chunks: every relocation goes to the chunk that holds its place."""

from __future__ import annotations

import pytest

from tilewright.codegen_cpu.wasm_object import Relocation, RelocationType, _split
from tilewright.ir.errors import IRError

PAYLOAD = bytes(range(12))
RANGES = [(2, 5), (6, 9)]
KIND = next(iter(RelocationType))


def at(offset: int) -> Relocation:
    return Relocation(KIND, offset, 7, 3)


def test_chunks_are_the_bytes_of_their_ranges() -> None:
    assert [chunk.payload for chunk in _split(PAYLOAD, RANGES, [])] == [PAYLOAD[2:5], PAYLOAD[6:9]]


def test_places_count_from_the_start_of_the_chunk() -> None:
    first, second = _split(PAYLOAD, RANGES, [at(2), at(4), at(6), at(8)])
    assert first.relocations == (at(0), at(2))
    assert second.relocations == (at(0), at(2))


@pytest.mark.parametrize("offset", [0, 1, 5, 9, 11])
def test_a_place_in_no_chunk_is_an_error(offset: int) -> None:
    with pytest.raises(IRError, match=f"relocation at offset {offset} is outside of any body"):
        _split(PAYLOAD, RANGES, [at(offset)])
