"""Slots of uniform values: where they lie, when they are shared, and when there is no more room."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.codegen_wgsl.uniforms import UniformTable, uniform_bytes


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 16), (4, 16), (5, 32), (8, 32), (9, 48)])
def test_bindings_are_whole_vectors(count: int, size: int) -> None:
    assert uniform_bytes((1,) * count) == size


@pytest.mark.parametrize(
    ("widest", "alignment", "stride"),
    [(16, 256, 256), (256, 256, 256), (272, 256, 512), (48, 64, 64)],
)
def test_slots_lie_where_the_device_binds_them(widest: int, alignment: int, stride: int) -> None:
    table = UniformTable(widest, alignment, slots=3)
    assert table.nbytes == 3 * stride
    assert [table.offset((n, 7)) for n in range(3)] == [0, stride, 2 * stride]
    assert table.offset((1, 7)) == stride  # equal values share a slot
    assert table.offset((9,)) is None
    start, words = table.take_unwritten()
    assert (start, len(words)) == (0, 3 * stride // 4)
    for n in range(3):
        np.testing.assert_array_equal(words[n * stride // 4 :][:2], [n, 7])
    start, words = table.take_unwritten()
    assert (start, len(words)) == (3 * stride, 0)


def test_only_what_is_new_is_written() -> None:
    table = UniformTable(16, 256, slots=4)
    assert table.offset((-1, 1 << 31)) == 0
    start, words = table.take_unwritten()
    assert start == 0
    np.testing.assert_array_equal(words[:2], [0xFFFFFFFF, 1 << 31])
    assert table.offset((5,)) == 256
    start, words = table.take_unwritten()
    assert (start, len(words), int(words[0])) == (256, 64, 5)
    table.clear()
    assert table.offset((6,)) == 0
    start, words = table.take_unwritten()
    assert (start, len(words), int(words[0])) == (0, 64, 6)
    assert table.offset((-1, 1 << 31)) == 256
