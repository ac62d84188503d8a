"""Packing host arrays into device words and back: no device needed."""

import numpy as np
import pytest

from tilewright.codegen_wgsl.transfer import buffer_bytes, check_spec, pack, unpack, word_count
from tilewright.ir.artifact import BufferSpec
from tilewright.ir.errors import DTypeError, IRError, LimitError, ShapeError


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
    assert words.dtype == np.uint32
    assert words.shape == (word_count(it),)
    back = unpack(words, it)
    assert back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)


def test_lowest_bits_come_first() -> None:
    words = pack(np.array([1, 2, 3, 4, 5], np.uint8), spec("uint8", "uint32", (5,), 4), "x")
    assert words.tolist() == [0x04030201, 0x00000005]


def test_strides_and_byte_order_do_not_matter() -> None:
    it = spec("float32", "float32", (3, 2))
    value = np.arange(12, dtype=">f4").reshape(2, 6)[:, ::-2].T
    np.testing.assert_array_equal(unpack(pack(value, it, "x"), it), value)


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
    with pytest.raises(LimitError, match=rf"weights holds {bad} \(flat index 2\)"):
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


def test_buffers_are_whole_granules_and_never_empty() -> None:
    assert buffer_bytes(spec("float32", "float32", (0, 3))) == 16
    assert buffer_bytes(spec("float32", "float32", (5,))) == 32
    assert buffer_bytes(spec("uint8", "uint32", (17,), 4)) == 32


def test_a_spec_that_cannot_be_is_our_bug() -> None:
    with pytest.raises(IRError, match="storage"):
        check_spec(spec("float64", "float64", (1,)))
    with pytest.raises(IRError, match="do not fill"):
        check_spec(spec("float32", "uint32", (4,), 4))
