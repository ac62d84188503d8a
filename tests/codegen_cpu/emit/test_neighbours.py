"""Neighbours at computed places: every dtype and distance, edges, and places that wrap."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_cpu.emit.test_gathers import NATIVE, RNG, TARGETS, any_values, check
from tilewright.codegen_cpu.emit.beside import groups_of_neighbours
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build
from tilewright.ir.dtypes import F32, I32, INDEX, U8
from tilewright.ir.emit.environment import Environment
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer

DTYPES = ["bool", "u1", "i1", "u2", "i2", "f2", "f4", "i4", "u4", "f8"]
WIDE = [n for n in NATIVE if cpu_target(n).vector_bits >= 256]


def places(size: int, *shape: int) -> np.ndarray:
    """Places in and around an axis, among them both of its ends."""
    found = RNG.integers(-3, size + 3, shape).astype(np.int32)
    found.flat[:4] = 0, size - 1, -1, size - 2
    return found


def beside(boundary: str, steps: tuple[int, ...]) -> Any:
    """A kernel that weighs the elements at each place and at `steps` from it."""

    def sampled(x, p):
        taps = [tw.at(x, p + np.int32(k), boundary=boundary).astype(np.float32) for k in steps]
        return sum(tap * np.float32(k + 1) for k, tap in enumerate(taps))

    return sampled


@pytest.mark.parametrize("boundary", ["clamp", "wrap", "reflect", "constant"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_two_taps(target: str, dtype: str, boundary: str) -> None:
    check(beside(boundary, (0, 1)), [any_values((37,), dtype), places(37, 131)], target)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 12])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("target", TARGETS)
def test_arrays_of_about_64_bits(target: str, dtype: str, size: int) -> None:
    check(beside("clamp", (0, 1)), [any_values((size,), dtype), places(size, 70)], target)


@pytest.mark.parametrize("steps", [(-1, 0, 1, 2), (0, 2), (0, 4), (0, 5), (2, 1, 0), (0, 1, 3, 9)])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize("target", TARGETS)
def test_taps_at_other_distances(target: str, dtype: str, steps: tuple[int, ...]) -> None:
    inside = RNG.integers(0, 50, 131).astype(np.int32)
    check(beside("clamp", steps), [any_values((64,), dtype), inside], target)
    check(beside("clamp", steps), [any_values((64,), dtype), places(64, 131)], target)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("target", TARGETS)
def test_four_taps_of_pixels(target: str, dtype: str, channels: int) -> None:
    """Two rows and two columns, with all channels, up to the last pixel of the picture."""

    def sampled(image, rows, columns):
        def value(y, x, c):
            taps = [
                tw.at(image, (rows[y, x] + i, columns[y, x] + j, c), boundary="clamp")
                for i in (0, 1)
                for j in (0, 1)
            ]
            return sum(tap.astype(np.float32) * np.float32(k + 1) for k, tap in enumerate(taps))

        return tw.compute((6, 37, channels), value)

    image = any_values((9, 11, channels), dtype)
    check(sampled, [image, places(9, 6, 37), places(11, 6, 37)], target)


@pytest.mark.parametrize("target", TARGETS)
def test_channels_that_are_literals(target: str) -> None:
    def sampled(image, columns):
        left = [image[columns, c].astype(np.int32) for c in range(3)]
        right = [image[np.minimum(columns + 1, 29), c].astype(np.int32) for c in range(3)]
        return left[0] - right[2] + 3 * (left[1] - right[1]) + 7 * (left[2] - right[0])

    columns = RNG.integers(0, 30, 131).astype(np.int32)
    check(sampled, [any_values((30, 3), "u1"), columns], target)


@pytest.mark.parametrize("target", TARGETS)
def test_a_step_that_wraps_around(target: str) -> None:
    """The largest int32 and one is the smallest: both ends of the array, no neighbours."""
    far = np.full(64, np.iinfo(np.int32).max, np.int32)
    far[::3] = 5
    check(beside("clamp", (0, 1)), [any_values((37,), "u1"), far], target)
    check(beside("clamp", (0, 1)), [any_values((37,), "f4"), far], target)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_stored_in_between_is_seen(target: str) -> None:
    def sampled(x, p):
        def step(k, line):
            return line + np.float32(0.5) * (
                tw.at(line, p[:64] + np.int32(1), boundary="clamp")
                - tw.at(line, p[:64], boundary="clamp")
            )

        return tw.loop(4, step, x)[0]

    check(sampled, [any_values((64,), "f4"), places(64, 64)], target)


@pytest.mark.parametrize("target", WIDE)
def test_neighbours_are_loaded_once(target: str) -> None:
    """A load of 64 bits for both taps of a place; two vectors at a time."""
    arrays = [any_values((4000,), "f4"), RNG.integers(0, 3999, 64).astype(np.int32)]
    text = check(beside("clamp", (0, 1)), arrays, target)
    lanes = cpu_target(target).vector_bits // 32
    assert text.count("load i64, ptr") == 2 * lanes
    assert text.count("label %apart") == 2


def test_four_lanes_are_no_reason_for_a_branch() -> None:
    arrays = [any_values((4000,), "f4"), RNG.integers(0, 3999, 64).astype(np.int32)]
    assert "apart" not in check(beside("clamp", (0, 1)), arrays, "x86-64-v2")


AT_THE_END_OF_MEMORY = """
import ctypes, mmap
import numpy as np
import tilewright as tw

page = mmap.PAGESIZE
memory = mmap.mmap(-1, 3 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None)
for first in (start, start + 2 * page):
    assert libc.mprotect(ctypes.c_void_p(first), ctypes.c_size_t(page), 0) == 0
image = np.frombuffer(memory, np.uint8, page, page).reshape(-1, 4)
image[...] = np.arange(page).reshape(-1, 4)

@tw.kernel
def difference(image, places):
    left = tw.at(image, (places, 1), boundary="clamp").astype(np.int32)
    return tw.at(image, (places + 1, 2), boundary="clamp") - left

for first in (-40, len(image) - 60):
    places = np.arange(first, first + 64, dtype=np.int32)
    assert (difference(image, places) == difference.python(image, places)).all()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect as Linux has it")
def test_nothing_is_read_around_an_array() -> None:
    """The pages before and after the array may not be read: whoever does so is killed."""
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END_OF_MEMORY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Which loads may be neighbours.

LANE = Var("i", 16)
LINE = Buffer("line", (100,), F32)
BYTES = Buffer("bytes", (100, 3), U8)
PLACES = Buffer("places", (16,), I32)
PLACE = Load(PLACES, (LANE,))


def clamped(place: Expr, most: int) -> Expr:
    low = build.maximum(build.minimum(place, build.const(most, I32)), build.const(0, I32))
    return build.cast(low, INDEX)


def stepped(step: int) -> Expr:
    return build.add(PLACE, build.const(step, I32)) if step else PLACE


def distances(*loads: Load) -> list[list[int]]:
    total: Expr = loads[0]
    for load in loads[1:]:
        total = build.add(total, load)
    found = groups_of_neighbours(total, Environment())
    groups = {id(g): g for g in found.values()}.values()
    return [[distance for _, distance in group.members] for group in groups]


def test_a_step_inside_of_a_clamp() -> None:
    lines = [Load(LINE, (clamped(stepped(k), 99),)) for k in (1, 0)]
    assert distances(*lines) == [[0, 1]]
    bytes_ = [Load(BYTES, (clamped(stepped(k), 99), build.index(1))) for k in (0, 1)]
    assert distances(*bytes_) == [[0, 3]]


def test_a_step_before_a_conversion() -> None:
    """``i32(floor(x))`` and ``i32(floor(x) + 1)``."""
    x = build.cast(PLACE, F32)
    whole = [build.cast(v, I32) for v in (x, build.add(x, build.const(1.0, F32)))]
    assert distances(*(Load(LINE, (clamped(w, 99),)) for w in whole)) == [[0, 1]]


def test_what_lies_too_far_away_is_in_another_group() -> None:
    lines = [Load(LINE, (clamped(stepped(k), 99),)) for k in (0, 1, 2, 3)]
    assert distances(*lines) == [[0, 1], [0, 1]]
    wide = [Load(BYTES, (clamped(stepped(k), 99), build.index(0))) for k in (0, 2)]
    assert distances(*wide) == []


def test_what_is_clamped_otherwise_is_no_neighbour() -> None:
    assert (
        distances(Load(LINE, (clamped(stepped(0), 99),)), Load(LINE, (clamped(stepped(1), 98),)))
        == []
    )


def test_lanes_a_fixed_step_apart_are_not_gathered() -> None:
    assert distances(Load(LINE, (LANE,)), Load(LINE, (build.add(LANE, build.index(1)),))) == []
