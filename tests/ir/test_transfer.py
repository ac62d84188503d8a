"""Packing host arrays into device words and back: no device needed."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DTypeError, IRError, LimitError, ShapeError
from tilewright.ir.transfer import check_spec, pack, unpack, word_count


def spec(dtype: str, storage: str, shape: tuple[int, ...], packed: int = 1) -> BufferSpec:
    return BufferSpec("input", dtype, storage, shape, int(np.prod(shape)), packed)


@pytest.mark.parametrize(
    ("dtype", "storage", "packed"),
    [
        ("float32", "float32", 1),
        ("float64", "float32", 1),
        ("float16", "float32", 1),
        ("float16", "uint32", 2),
        ("int8", "int32", 1),
        ("int8", "uint32", 4),
        ("uint8", "uint32", 4),
        ("int16", "uint32", 2),
        ("int32", "int32", 1),
        ("int64", "int32", 1),
        ("uint64", "uint32", 1),
        ("bool", "uint32", 1),
        ("bool", "uint32", 4),
    ],
)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (3, 7), (2, 3, 4)])
def test_round_trip(dtype: str, storage: str, packed: int, shape: tuple[int, ...]) -> None:
    it = spec(dtype, storage, shape, packed)
    value = (np.arange(it.size) % 100 - (0 if "u" in dtype else 50)).astype(dtype).reshape(shape)
    words = pack(value, it, "x")
    assert words.dtype == storage
    assert words.shape == (word_count(it),)
    back = unpack(words, it)
    assert back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)


def test_lowest_bits_come_first() -> None:
    words = pack(np.array([1, 2, 3, 4, 5], np.uint8), spec("uint8", "uint32", (5,), 4), "x")
    assert words.tolist() == [0x04030201, 0x00000005]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-1],
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        np.broadcast_to(np.float32(3), (2, 5)),
        np.frombuffer(bytes(range(17)), np.uint8)[1:].view("<f4"),
        np.arange(5, dtype=">i4"),
        np.float32(2.5).reshape(()),
    ],
    ids=["strided", "transposed", "fortran", "broadcast", "misaligned", "big-endian", "0-d"],
)
def test_pack_reads_any_memory_layout(array: np.ndarray) -> None:
    name = array.dtype.name
    it = spec(name, name, array.shape)
    np.testing.assert_array_equal(unpack(pack(array, it, "x"), it), array)


@pytest.mark.parametrize(
    ("dtype", "storage", "bad"),
    [
        ("int64", "int32", 2**31),
        ("int64", "int32", -(2**31) - 1),
        ("int64", "uint32", -1),
        ("uint64", "int32", 2**31),
        ("uint64", "uint32", 2**32),
        ("uint32", "int32", 2**31),
    ],
)
def test_a_value_that_does_not_fit_is_named(dtype: str, storage: str, bad: int) -> None:
    value = np.array([0, 1, bad], dtype)
    with pytest.raises(LimitError, match=rf"weights holds {bad} at index \(2,\)"):
        pack(value, spec(dtype, storage, (3,)), "weights")


@pytest.mark.parametrize("value", [-(2**31), 2**31 - 1])
def test_the_ends_of_the_range_fit(value: int) -> None:
    it = spec("int64", "int32", (1,))
    assert unpack(pack(np.array([value]), it, "x"), it)[0] == value


def test_wrong_dtype_and_shape_are_refused() -> None:
    with pytest.raises(DTypeError, match="x is float64, but the program was compiled for float32"):
        pack(np.zeros(3), spec("float32", "float32", (3,)), "x")
    with pytest.raises(ShapeError, match=r"x has shape \(4,\)"):
        pack(np.zeros(4, np.float32), spec("float32", "float32", (3,)), "x")


def test_a_spec_that_cannot_be_is_our_bug() -> None:
    with pytest.raises(IRError, match="storage"):
        check_spec(spec("float64", "float64", (1,)))
    with pytest.raises(IRError, match="do not fill"):
        check_spec(spec("float32", "uint32", (4,), 4))


def test_pack_shares_memory_where_nothing_changes() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.shares_memory(pack(array, spec("float32", "float32", (3, 4)), "x"), array)


def test_float16_result_beyond_its_range_is_infinite() -> None:
    it = spec("float16", "float32", (2,))
    result = unpack(np.array([65520, -1e10], np.float32), it)
    np.testing.assert_array_equal(result, np.array([np.inf, -np.inf], np.float16))


def test_float64_is_demoted_where_the_program_says_so() -> None:
    array = np.array([1 / 3, 1e300, -0.0])
    it = spec("float64", "float32", (3,))
    words = pack(array, it, "x")
    np.testing.assert_array_equal(words, np.array([1 / 3, np.inf, -0.0], np.float32))
    np.testing.assert_array_equal(unpack(words, it), words.astype(np.float64))


def test_words_that_will_not_last_are_copied() -> None:
    it = spec("float32", "float32", (3,))
    words = np.arange(8, dtype=np.float32)
    assert np.shares_memory(unpack(words, it), words)
    assert not np.shares_memory(unpack(words, it, copy=True), words)
    packed = spec("uint8", "uint32", (3,), 4)
    assert not np.shares_memory(unpack(words, packed, copy=True), words)


def test_a_storage_of_another_kind_is_our_bug() -> None:
    with pytest.raises(IRError, match="int64 cannot be stored as float32"):
        pack(np.zeros(3, np.int64), spec("int64", "float32", (3,)), "x")


def test_a_float64_of_no_dimension_is_rounded() -> None:
    single, half = spec("float32", "float32", ()), spec("float16", "float32", ())
    assert pack(np.float64(0.1), single, "s").item() == np.float32(0.1)
    assert pack(np.float64(0.1), half, "s").item() == np.float16(0.1)
    assert pack(np.float64(1e300), single, "s").item() == np.inf
    with pytest.raises(DTypeError):
        pack(np.zeros(1), spec("float32", "float32", (1,)), "s")
    with pytest.raises(DTypeError):
        pack(np.int64(3), single, "s")
