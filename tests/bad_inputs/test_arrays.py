"""Rows 20 to 37: shapes, dtypes, layouts."""

from __future__ import annotations

import decimal
import warnings
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import GRID, X, as_numpy, call, refused


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_row_20_empty_arrays(shape: tuple[int, ...]) -> None:
    empty = np.empty(shape, np.float32)
    as_numpy(lambda a: a + 1, empty)
    as_numpy(lambda a: a.sum(), empty)
    as_numpy(lambda a: a.prod(axis=-1), empty)
    as_numpy(lambda a: np.exp(a).sum(axis=0), empty)
    as_numpy(lambda a: a.any() | a.all(), empty)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_row_20_extremes_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=r"zero-size|empty"):
        call(lambda a: getattr(np, name)(a), np.empty(0, np.float32))


def test_row_21_rank_zero_and_scalars() -> None:
    for value in (np.array(3.0, np.float32), np.float32(3), 3.0, 3, np.int8(3), True):
        got = call(lambda a: a * 2 + 1, value)
        assert got == 7 if value is not True else got == 3
        assert type(got) is type((lambda a: a * 2 + 1)(value))


@pytest.mark.parametrize("rank", range(1, 9))
def test_row_22_ranks_up_to_eight(rank: int) -> None:
    array = np.arange(2**rank, dtype=np.float64).reshape((2,) * rank)
    as_numpy(lambda a: a.sum(axis=0) * 2 + a[-1], array)
    as_numpy(lambda a: a.T + 1, array)


def test_row_22_a_rank_beyond_the_limit() -> None:
    message = refused(lambda a: a + 1, np.zeros((1,) * 33), kind=tw.LimitError)
    assert message == "33 dimensions are more than the limit of 32"


LAYOUTS = {
    "negative": GRID[::-1, ::-2],
    "fortran": np.asfortranarray(GRID),
    "broadcast": np.broadcast_to(GRID[0], (5, 8)),
    "transposed": GRID.T,
    "sliced": GRID[1:5:2, 3:],
    "windows": np.lib.stride_tricks.sliding_window_view(GRID, (2, 3)),
    "misaligned": np.frombuffer(b"\0" + GRID.tobytes(), np.uint8, offset=1).view(np.float32),
    "big-endian": GRID.astype(">f4"),
    "read-only": np.frombuffer(GRID.tobytes(), np.float32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_23_24_any_layout_gives_the_answer_of_a_contiguous_copy(layout: str) -> None:
    kernel = tw.kernel(lambda a: np.exp(-a).sum(axis=0) + a[0])
    view = LAYOUTS[layout]
    plain = np.array(view, np.float32, order="C", subok=False)
    wanted = kernel(plain)
    for _ in range(3):
        got = call(kernel, view)
        assert type(got) is type(wanted)
        np.testing.assert_array_equal(got, wanted)


UNHOLDABLE = {
    "structured": np.zeros(3, [("a", "f4")]),
    "object": np.array([1, None]),
    "datetime": np.array(["2020-01-01"], "M8[D]"),
    "timedelta": np.array([1], "m8[s]"),
    "str": np.array(["a"]),
    "bytes": np.array([b"a"]),
    "complex": np.zeros(2, np.complex64),
    "void": np.void(b"ab"),
}


@pytest.mark.parametrize("name", UNHOLDABLE)
def test_row_24_dtypes_that_kernels_cannot_hold(name: str) -> None:
    array: Any = UNHOLDABLE[name]
    assert refused(lambda a: a + 1, array, kind=tw.DTypeError) == (
        f"argument 'a' has dtype {array.dtype}, which kernels cannot hold\n"
        "help: convert it to a bool, integer or float dtype"
    )


def test_row_28_shapes_that_do_not_fit() -> None:
    def product(left: Any, right: Any) -> Any:
        return left @ right

    message = refused(lambda a, b: a + b, X, X[:4], kind=tw.ShapeError)
    assert "(6,)" in message
    assert "(4,)" in message
    message = refused(product, GRID, GRID, kind=tw.ShapeError)
    assert "left" in message
    assert "right" in message


def test_row_28_open_dimensions_that_differ_are_named_by_argument() -> None:
    n = tw.dim("N")
    kernel = tw.kernel(left=tw.f32[n], right=tw.f32[n])(lambda left, right: left + right)
    said = "dimension N is 6 (by axis 0 of 'left') and 4 (by axis 0 of 'right')"
    for _ in range(3):
        assert refused(kernel, X, X[:4], kind=tw.ShapeError) == said
        np.testing.assert_array_equal(kernel(X, X), X + X)
    compiled = kernel.compile(tw.f32[n], tw.f32[n])
    with pytest.raises(tw.ShapeError) as caught:
        compiled(X, X[:4])
    assert str(caught.value) == said


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_row_29_float64_is_refused_where_it_does_not_exist(target: str) -> None:
    kernel = tw.kernel(lambda a: a / 3)
    with pytest.raises(tw.UnsupportedError, match="float64"):
        kernel.compile(tw.f64[4], target=target)


class Framed:
    """Converts itself, as a data frame does."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return GRID


def test_row_35_what_converts_itself_is_converted() -> None:
    np.testing.assert_array_equal(call(lambda a: a + 1, Framed()), GRID + 1)
    np.testing.assert_array_equal(call(lambda a: a + 1, [[1, 2], [3, 4]]), [[2, 3], [4, 5]])
    np.testing.assert_array_equal(call(lambda a: a + 1, []), [])
    np.testing.assert_array_equal(call(lambda a: a + 1, memoryview(b"ab")), [98, 99])


@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_pictures_of_pillow(target: str) -> None:
    image = pytest.importorskip("PIL.Image")
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    kernel = tw.kernel(lambda a: a.astype(np.float32) / 255).on(target)
    found = kernel(image.fromarray(values))
    np.testing.assert_array_equal(found, values.astype(np.float32) / 255)
    half = kernel(image.fromarray(values[:1]))
    assert (half.shape, len(kernel.specializations)) == ((1, 4, 3), 2)


@pytest.mark.parametrize("value", [(i for i in range(3)), {1}, 1j, decimal.Decimal(1)])
def test_row_35_what_is_not_an_array(value: Any) -> None:
    assert refused(lambda a: a + 1, value, kind=tw.DTypeError) == (
        f"argument 'a' is of type {type(value).__name__}, which is not an array\n"
        "help: pass a NumPy array, a number, or something that NumPy can convert"
    )


def test_row_35_matrices_whose_operators_mean_others() -> None:
    with warnings.catch_warnings(action="ignore"):
        matrix = np.asmatrix(GRID[:3, :3])
    said = "an np.matrix, whose * and ** are not those of arrays"
    message = refused(lambda a: a * a, matrix, kind=tw.DTypeError)
    assert message == f"argument 'a' is {said}\nhelp: pass np.asarray(x)"
    message = refused(lambda a: a * matrix, GRID[:3, :3], kind=tw.DTypeError)
    assert f"a kernel cannot compute with {said}" in message


def test_row_24_a_captured_field_of_a_structured_array() -> None:
    records = np.zeros(6, [("a", "u1"), ("b", "f4")])
    records["b"] = 3
    as_numpy(lambda a: a + records["b"], X)
    records["b"] = np.arange(6)
    as_numpy(lambda a: a + records["b"], X)


def test_row_35_masked_arrays_and_ragged_lists() -> None:
    masked = np.ma.masked_array([1.0, 2], [False, True])
    assert "is a masked array" in refused(lambda a: a + 1, masked, kind=TypeError)
    assert "a kernel cannot compute with a masked array" in refused(
        lambda a: a + masked, X[:2], kind=TypeError
    )
    ragged: Any = [[1], [1, 2]]
    assert "cannot be made an array" in refused(lambda a: a + 1, ragged, kind=tw.ShapeError)
