"""Lanes at places that are known when code is made: upsampled, interleaved, repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_cpu.emit.test_gathers import DTYPES, TARGETS, any_values, check
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.emit.picks import register_starts, wanted_parts
from tilewright.codegen_cpu.target import cpu_target

Place = Callable[[Any], Any]
PLACES: dict[str, Place] = {
    "doubled": lambda i: i // 2,
    "tripled": lambda i: i // 3,
    "every pair turned": lambda i: i + 1 - 2 * (i % 2),
    "every other repeated": lambda i: i - i % 2,
    "one of four": lambda i: i % 4,
    "of a mosaic": lambda i: (i // 2) * 2 + 1,
    "far apart": lambda i: (i % 2) * 96 + i // 2,
    "all the same": lambda i: i // 64,
    "backwards": lambda i: 190 - i // 2,
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_dtype(target: str, dtype: str, name: str) -> None:
    """The source ends with the last element that is read: nothing beyond it may be loaded."""
    place, count = PLACES[name], 187
    source = any_values((max(place(i) for i in range(count)) + 1,), dtype)
    check(lambda x: tw.compute((count,), lambda i: x[place(i)]), [source], target)


@pytest.mark.parametrize("target", TARGETS)
def test_upsampled_planes_of_pixels(target: str) -> None:
    chroma, luma = any_values((9, 35, 2), "u1"), any_values((18, 70), "u1")

    def both(chroma: Any, luma: Any) -> Any:
        def mixed(y: Any, x: Any) -> Any:
            u, v = (chroma[y // 2, x // 2, k].astype(np.int32) for k in range(2))
            return luma[y, x].astype(np.int32) * 3 + u * 5 - v * 7

        return tw.compute((18, 70), mixed)

    text = check(both, [chroma, luma], target)
    assert "masked.gather" not in text


@pytest.mark.parametrize("stride", [2, 3, 4, -1, -2, -3])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("target", TARGETS)
def test_strides(target: str, dtype: str, stride: int) -> None:
    check(lambda x: x[::stride] + x[::stride], [any_values((4 * 61 + 1,), dtype)], target)


def test_each_place_is_taken_once_and_in_order() -> None:
    """From the first register that holds it, the last of which may overlap the one before."""
    size, starts = register_starts(100, 64)
    assert (size, starts) == (64, [0, 36])
    places = [99, 36, 3, 64, 99, 63, 8, 1, 70]
    found = wanted_parts(starts, size, places)
    assert found == [{1: 1, 3: 3, 8: 8, 36: 36, 63: 63}, {64: 28, 70: 34, 99: 63}]
    assert [list(part) for part in found] == [[1, 3, 8, 36, 63], [64, 70, 99]]
    for span, most, wanted in (
        (1, 8, (1, [0])),
        (7, 8, (4, [0, 3])),
        (8, 8, (8, [0])),
        (9, 8, (8, [0, 1])),
        (16, 8, (8, [0, 8])),
        (17, 8, (8, [0, 8, 9])),
    ):
        assert register_starts(span, most) == wanted


@pytest.mark.parametrize(("channels", "shuffled"), [(2, True), (3, True), (4, True), (5, False)])
def test_narrow_strides_are_shuffled_out_of_whole_vectors(channels: int, shuffled: bool) -> None:
    def second(x: Any) -> Any:
        return x[:, 1] + np.float32(1)

    machine = cpu_target("x86-64-v3")
    lowered = backend.lower(program_of(second, [np.zeros((64, channels), np.float32)]), machine)
    text = backend.emit(lowered, machine)
    assert ("load <8 x float>" in text) == shuffled
    assert ("insertelement" in text) != shuffled
