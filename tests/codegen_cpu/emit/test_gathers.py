"""Loads at computed places: every dtype, up to the last element, on every kind of machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.codegen_cpu.kernel_runner import Compiled
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.target import cpu_target

NATIVE = [n for n in ("host", "x86-64-v3", "x86-64-v2") if cpu_target(n).runs_here]
TARGETS = [*NATIVE, pytest.param("wasm32-simd128", marks=pytest.mark.wasm)]
DTYPES = ["bool", "i1", "u1", "i2", "u2", "f2", "i4", "u4", "f4", "i8", "u8", "f8"]
RNG = np.random.default_rng(7)


def check(function: Callable[..., Any], arrays: list[np.ndarray], target: str) -> str:
    """The code for `target` computes what NumPy does. Answers with its LLVM IR."""
    machine = cpu_target(target)
    lowered = backend.lower(program_of(function, arrays), machine)
    compiled = Compiled(lowered.program, machine)
    outputs = [
        np.empty([int(n) for n in b.shape if isinstance(n, int)], b.dtype.numpy)
        for b in lowered.program.outputs
    ]
    compiled.run(arrays, outputs)
    np.testing.assert_array_equal(outputs[0], function(*arrays))
    return compiled.text


def any_values(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return RNG.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_dtype_at_data_dependent_places(target: str, dtype: str) -> None:
    x = any_values((1000,), dtype)
    places = RNG.integers(0, x.size, 211)
    places[[0, -1]] = 0, x.size - 1
    check(lambda x, p: x[p], [x, places.astype(np.int32)], target)
    check(lambda x, p: x[p], [x, places], target)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("dtype", ["bool", "u1", "u2"])
@pytest.mark.parametrize("target", TARGETS)
def test_arrays_of_about_a_word(target: str, dtype: str, size: int) -> None:
    places = RNG.integers(0, size, 70).astype(np.int32)
    check(lambda x, p: x[p], [any_values((size,), dtype), places], target)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "f4"])
@pytest.mark.parametrize("target", TARGETS)
def test_channels_of_pixels(target: str, dtype: str, channels: int) -> None:
    image = any_values((9, 11, channels), dtype)
    rows, columns = RNG.integers(-3, 14, (2, 6, 37)).astype(np.int32)
    rows[-1, -1], columns[-1, -1] = 8, 10

    def sampled(image, rows, columns):
        return tw.compute(
            (6, 37, channels),
            lambda y, x, c: tw.at(image, (rows[y, x], columns[y, x] - 1, c), boundary="clamp"),
        )

    check(sampled, [image, rows, columns], target)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 200, 256, 300])
@pytest.mark.parametrize("dtype", ["u1", "i1", "bool"])
@pytest.mark.parametrize("target", TARGETS)
def test_tables_of_bytes(target: str, dtype: str, size: int) -> None:
    """Indexed by bytes; of 64, 128 and 256 entries, a table is kept in registers."""
    table = any_values((size,), dtype)
    image = RNG.integers(0, min(size, 256), (3, 67, 3)).astype(np.uint8)
    check(lambda t, i: t[i], [table, image], target)


def test_where_a_table_is_kept_in_registers() -> None:
    machine = cpu_target("host")
    if not machine.has_byte_tables:
        pytest.skip("this processor has no AVX-512 VBMI")
    image = RNG.integers(0, 256, 640).astype(np.uint8)
    for size, kept in ((256, True), (200, False)):
        places = np.minimum(image, np.uint8(size - 1))
        text = check(lambda t, i: t[i], [any_values((size,), "u1"), places], "host")
        assert ("vpermi2var" in text) is kept


def test_a_table_that_is_written_is_read_again() -> None:
    """Its registers must not outlive its contents."""
    image = RNG.integers(0, 256, 640).astype(np.uint8)

    def twice(table, image):
        first = table[image]
        table = tw.loop(3, lambda _, t: t[image[:256]] + np.uint8(1), table)[0]
        return first + table[image]

    check(twice, [any_values((256,), "u1"), image], "host")


AT_THE_END_OF_MEMORY = """
import ctypes, mmap
import numpy as np
import tilewright as tw

page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None)
assert libc.mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0) == 0
image = np.frombuffer(memory, np.uint8, 30 * 3, page - 30 * 3).reshape(30, 3)
image[...] = np.arange(90).reshape(30, 3)

@tw.kernel
def picked(image, places):
    return image[places]

places = np.arange(64, dtype=np.int32) % 30
assert (picked(image, places) == image[places]).all()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect as Linux has it")
def test_nothing_is_read_behind_an_array() -> None:
    """The page after the array may not be read: whoever does so is killed."""
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END_OF_MEMORY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_instruction_gathers_four_lanes_or_more() -> None:
    """Of fewer, and of the ends of vectors that have fewer, each is loaded on its own."""

    def picked(x: Any, places: Any) -> Any:
        return x[places]

    x, places = np.arange(300, dtype=np.float32), np.arange(31, dtype=np.int32)
    for count, lanes in ((31, {16, 8, 4}), (19, {16}), (20, {16, 4}), (7, {4}), (3, set())):
        lowered = backend.lower(program_of(picked, [x, places[:count]]), cpu_target("x86-64-v4"))
        text = Compiled(lowered.program, cpu_target("x86-64-v4")).text
        gathers = {
            n for n in (2, 4, 8, 16, 32) if f"call <{n} x float> @llvm.masked.gather" in text
        }
        assert gathers == lanes
