"""What `--arg` means."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.cli.argument_values import (
    kernel_arguments,
    kernel_specs,
    parse_argument,
)
from tilewright.compiler.cli.failures import BadFileError


@tw.kernel
def kernel(x, y=None, n=2):
    return x


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [
        ("x=f32[64,1000]", np.float32, (64, 1000)),
        ("x = u8[ 3 , 4 ]", np.uint8, (3, 4)),
        ("x=f64[]", np.float64, ()),
        ("x=f16", np.float16, ()),
        ("x=bool[0]", np.bool_, (0,)),
        ("x=i64[3,]", np.int64, (3,)),
    ],
)
def test_arrays_by_dtype_and_shape(text: str, dtype: type, shape: tuple[int, ...]) -> None:
    array = kernel_arguments(kernel, [parse_argument(text)])["x"]
    assert (array.dtype, array.shape) == (dtype, shape)
    np.testing.assert_array_equal(array, kernel_arguments(kernel, [parse_argument(text)])["x"])


def test_random_integers_use_their_range() -> None:
    array = kernel_arguments(kernel, [parse_argument("x=u8[1000]")])["x"]
    assert 0 <= array.min() < array.max() < 100


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("True", True), ("None", None), ("'same'", "same"), ("(1,2)", (1, 2))],
)
def test_python_values(text: str, value: object) -> None:
    assert parse_argument(f"n={text}").value == value


def test_arrays_from_files(tmp_path: Path) -> None:
    data = np.arange(6, dtype=np.int16).reshape(2, 3)
    np.save(tmp_path / "a.npy", data)
    np.testing.assert_array_equal(parse_argument(f"x=@{tmp_path}/a.npy").value, data)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_files_without_an_array(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(BadFileError, match=r"cannot read|is not a \.npy file"):
        parse_argument(f"x=@{tmp_path}/a.npy")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadFileError, match="allow_pickle=False"):
        parse_argument(f"x=@{tmp_path}/a.npy")


def test_open_dimensions_of_one_name_are_one() -> None:
    specs = kernel_specs(kernel, [parse_argument("x=f32[N,3]"), parse_argument("y=f32[N]")])
    assert specs["x"].shape[0] is specs["y"].shape[0]
    assert specs["x"].shape[1] == 3


def test_defaults_need_no_argument_and_others_do() -> None:
    assert kernel_arguments(kernel, [parse_argument("x=f32[2]")]).keys() == {"x"}
    with pytest.raises(click.UsageError, match="needs 'x'"):
        kernel_arguments(kernel, [])


def test_an_argument_that_is_given_twice() -> None:
    given = [parse_argument("x=f32[2]"), parse_argument("x=f32[3]")]
    with pytest.raises(click.UsageError, match="--arg x=… is given twice"):
        kernel_arguments(kernel, given)


@pytest.mark.parametrize("size", [10**8, 10**20])
def test_arrays_that_memory_cannot_hold(size: int) -> None:
    with pytest.raises(tw.OutOfMemoryError, match=r"argument 'x' of 4e\+\d+ GB does not fit"):
        kernel_arguments(kernel, [parse_argument(f"x=f32[{size},10000000]")])


def test_declared_arguments_are_known() -> None:
    declared = tw.kernel(x=tw.f32[2, 3])(lambda x: x + 1)
    assert kernel_arguments(declared, [])["x"].shape == (2, 3)


def test_bound_arguments_are_not_asked_for() -> None:
    bound = kernel.bind(y=np.ones(3))
    assert kernel_arguments(bound, [parse_argument("x=f32[2]")]).keys() == {"x"}
    with pytest.raises(click.UsageError, match="no argument 'y'"):
        kernel_arguments(bound, [parse_argument("y=f32[2]")])
