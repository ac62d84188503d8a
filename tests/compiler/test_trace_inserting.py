"""Elements put in, left out, repeated or packed, and orders of memory, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, traced
from tilewright.ir.errors import BoundsError, DTypeError, UnsupportedError

RNG = np.random.default_rng(13)
F = RNG.standard_normal((3, 4)).astype(np.float32)
ALL = pytest.mark.parametrize(
    "x", [F, RNG.integers(-9, 9, (3, 4)), F > 0], ids=["f32", "i64", "bool"]
)


@ALL
def test_insert(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.insert(x, 1, 5, axis=0),
            np.insert(x, 2, 4),
            np.insert(x[0], [1, 2], [5, 6]),
            np.insert(x[0], [1, 1, 3], 9),
            np.insert(x[0], [-1, 0], [1, 2]),
            np.insert(x, [0, 2], x[:2], axis=0),
            np.insert(x, 1, [7, 8, 9], axis=1),
            np.insert(x, [1], [[7], [8], [9]], axis=1),
            np.insert(x, slice(0, 2), 0, axis=1),
            np.insert(x[0], 4, 1),
        ),
        x,
    )


@ALL
def test_delete_compress_extract_resize(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.delete(x, [True, False, True], axis=0),
            np.delete(x, slice(None, None, 2), 1),
            np.delete(x[0], []),
            np.compress([True, False, True], x, axis=0),
            np.compress([False, True], x),
            x.compress([1, 0, 1, 1], axis=1),
            np.extract(np.arange(12).reshape(3, 4) % 2 == 0, x),
            np.resize(x, (4, 5)),
            np.resize(x, 5),
            np.resize(x[0], (0, 3)),
        ),
        x,
    )


def test_elements_chosen_by_data_can_be_reduced() -> None:
    check(lambda x: (np.extract(x > 0, x).sum(), np.compress(x[0] > 0, x, axis=1).sum()), F)


@ALL
def test_orders_of_memory(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.ravel(x.T, "K"),
            x.T.ravel("A"),
            x.T.flatten("K"),
            x.T.flatten("F"),
            x[:, ::-1].ravel("K"),
            np.reshape(x.T, (2, 6), order="A"),
            np.reshape(x, (2, 6), order="A"),
        ),
        x,
    )


def test_one_element() -> None:
    check(lambda x: (x * 1, x.item(3), x.item((1, 2)), x.item(1, 2), x.item(-1)), F)


@ALL
def test_packed_bits(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.packbits(x > 0),
            np.packbits(x > 0, axis=1),
            np.packbits(x > 0, axis=0, bitorder="little"),
            np.unpackbits(np.packbits(x > 0)),
        ),
        x,
    )


def test_numbers_of_elements() -> None:
    places = RNG.integers(0, 24, 5)
    check(
        lambda i: (
            np.unravel_index(i, (2, 3, 4)),
            np.unravel_index(i, (2, 3, 4), order="F"),
            np.ravel_multi_index((i % 2, i % 3), (2, 3)),
            np.ravel_multi_index((i % 2, i % 3), (2, 3), order="F"),
            np.ravel_multi_index((i, i), (2, 3), mode="clip"),
            np.ravel_multi_index((i, i), (2, 3), mode="wrap"),
        ),
        places,
    )


@pytest.mark.parametrize("x", [F, np.abs(F * 9).astype(np.uint8)], ids=["f32", "u8"])
def test_padding_by_value(x: np.ndarray) -> None:
    check(
        lambda x: (
            np.pad(x, 2, "linear_ramp"),
            np.pad(x, ((1, 2), (3, 0)), "linear_ramp", end_values=((5, 4), (3, 2))),
            np.pad(x, 2, "mean"),
            np.pad(x, 2, "mean", stat_length=2),
            np.pad(x, ((1, 2), (0, 3)), "maximum", stat_length=((1, 2), (2, 1))),
            np.pad(x, 1, "minimum"),
            np.pad(x, 1, "median"),
        ),
        x,
    )
    check(lambda x: (np.pad(x > 0, 1, "mean"), np.pad(x > 0, 1, "maximum")), x)
    assert traced(lambda x: np.pad(x, 1, "empty"), x).graph.outputs[0].shape == (5, 6)


def test_rows_by_r_and_c() -> None:
    check(lambda x: (np.r_[x[0], 1, 2.5], np.r_[0, x[0]], np.c_[x[:, 0], x[:, 1]]), F)
    check(lambda x: (np.r_[x[0], np.float64(1)], np.r_[x[0], 1:3]), F)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda x: np.insert(x[0], 9, 1), BoundsError, "index 9 is out of bounds"),
        (lambda x: np.insert(x[0], x[0].astype(int), 1), UnsupportedError, "depend on data"),
        (lambda x: np.packbits(x), DTypeError, "bools or integers"),
    ],
)
def test_errors(function, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        traced(function, F)
