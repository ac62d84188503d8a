"""Which 64-bit integers of traced functions are proven to fit into 32 bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.ir.fuse.options import FRAGMENT, WORKGROUP
from tilewright.ir.wide_integers import wrapping_integers

BYTES = np.zeros((1 << 11, 1 << 11), np.uint8)
MANY_BYTES = np.zeros((1 << 12, 4200), np.uint8)  # 255 of each do not fit into 32 bits
INTS = np.zeros((4, 5), np.int32)
WIDE = np.zeros((4, 5), np.int64)
FLOATS = np.zeros((4, 5), np.float32)

FITS: list[tuple[Callable[..., Any], np.ndarray]] = [
    (lambda x: x.sum(), BYTES),
    (lambda x: x.argmax(axis=1) * 5 + x.argmin(axis=1), FLOATS),
    (lambda x: np.argsort(x, axis=1) % 3, FLOATS),
    (lambda x: np.arange(100) * 2 + 1, FLOATS),
    (lambda x: np.count_nonzero(x > 0, axis=1), FLOATS),
    (lambda x: np.sum(x, dtype=np.int32), INTS),
    (lambda x: x[np.argmax(x, axis=0)], WIDE),
    (lambda x: np.take(np.arange(100, dtype=np.float32), x), WIDE),
    (lambda x: x.max(axis=1), WIDE),
    (lambda x: np.cumsum(x > 0, axis=1), FLOATS),
    (lambda x: tw.compute((4, 5), lambda i, j: x[i, j] * (i * 5 + j)), FLOATS),
    (lambda x: tw.loop(3, lambda i, s: s * 0.5 + i, x)[0], FLOATS),
    (lambda x: np.tril(x > 0) + np.eye(4, 5, dtype=np.int64), INTS),
]
MAY_WRAP: list[tuple[str, Callable[..., Any], np.ndarray]] = [
    ("np.add.reduce", lambda x: x.sum(), MANY_BYTES),
    ("np.add.reduce", lambda x: x.sum(), INTS),
    ("np.multiply", lambda x: x * 3, WIDE),
    ("np.add", lambda x: x + 1, WIDE),
    ("np.add.accumulate", lambda x: np.cumsum(x, axis=1), WIDE),
    ("np.multiply", lambda x: np.arange(100000) * np.arange(100000), FLOATS),
    ("np.add", lambda x: tw.loop(3, lambda i, s: s + 1, np.zeros(3, np.int64))[0], FLOATS),
]


@pytest.mark.parametrize("options", [WORKGROUP, FRAGMENT], ids=["wgsl", "glsl"])
@pytest.mark.parametrize("case", range(len(FITS)))
def test_what_fits_is_proven(case: int, options: Any) -> None:
    function, array = FITS[case]
    assert wrapping_integers(program_of(function, [array], options)) == ()


@pytest.mark.parametrize("options", [WORKGROUP, FRAGMENT], ids=["wgsl", "glsl"])
@pytest.mark.parametrize("case", range(len(MAY_WRAP)))
def test_what_may_wrap_is_named_at_its_line(case: int, options: Any) -> None:
    label, function, array = MAY_WRAP[case]
    found = wrapping_integers(program_of(function, [array], options))
    assert [name for name, _ in found] == [label]
    assert all(where is not None and where.file == __file__ for _, where in found)


# Of arrays that are known, to the last value that fits.

MOST, LEAST = (1 << 31) - 1, -(1 << 31)


def wraps(function: Callable[..., Any], *values: list[int]) -> bool:
    """Whether an operation on arrays of these 64-bit values is said to leave 32 bits."""
    arrays = [np.array(v, np.int64) for v in values]
    return bool(
        wrapping_integers(
            program_of(lambda x: function(*(a[x] for a in arrays)), [PLACES], WORKGROUP)
        )
    )


PLACES = np.zeros(3, np.int32)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (lambda a, b: a + b, ([LEAST, 5], [0, MOST - 5])),
        (lambda a, b: a - b, ([LEAST + 7, MOST - 7], [-7, 7])),
        (lambda a, b: a * b, ([-3, 1 << 16], [-5, 1 << 14])),
        (lambda a, b: a // b, ([LEAST + 1, MOST], [-3, 3])),
        (lambda a, b: a % b, ([LEAST, MOST], [LEAST, MOST])),
        (lambda a, b: np.minimum(a, b), ([LEAST, MOST], [LEAST, MOST])),
        (lambda a, b: np.maximum(a, b), ([LEAST, MOST], [LEAST, MOST])),
        (lambda a, b: a << b, ([0, 3], [0, 29])),
        (lambda a, b, c: a // b + c, ([0, 5], [1, 3], [LEAST, 0])),
        (lambda a, b, c: a % b + c, ([-5, 5], [1, 3], [LEAST, 0])),
        (lambda a, b, c: a % b + c, ([-5, 5], [-3, -1], [0, MOST])),
        (lambda a: -a, ([LEAST + 1, MOST],)),
        (lambda a: np.abs(a), ([LEAST + 1, MOST],)),
    ],
)
def test_one_more_than_what_fits_does_not(
    function: Callable[..., Any], values: tuple[list[int], ...]
) -> None:
    found = [function(*point) for point in itertools.product(*(map(np.int64, v) for v in values))]
    assert all(LEAST <= int(f) <= MOST for f in found)
    assert not wraps(function, *values)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (lambda a, b: a + b, ([5], [MOST - 4])),
        (lambda a, b: a + b, ([LEAST], [-1])),
        (lambda a, b: a - b, ([MOST - 7], [-8])),
        (lambda a, b: a - b, ([LEAST + 7], [8])),
        (lambda a, b: a * b, ([1 << 16], [1 << 15])),
        (lambda a, b: a * b, ([-(1 << 16) - 1], [1 << 15])),
        (lambda a, b: a + b, ([-9, 5], [-9, MOST - 4])),
        (lambda a, b: a - b, ([LEAST + 7, 0], [0, 8])),
        (lambda a, b, c: a % b + c, ([-5, 5], [-4, -1], [LEAST + 3, 0])),
        (lambda a, b, c: a % b + c, ([-5, 5], [1, 4], [0, MOST - 2])),
        (lambda a, b: a << b, ([1], [31])),
        (lambda a: -a, ([LEAST],)),
        (lambda a: np.abs(a), ([LEAST],)),
    ],
)
def test_what_leaves_32_bits(function: Callable[..., Any], values: tuple[list[int], ...]) -> None:
    assert wraps(function, *values)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_sums_and_products_of_elements(count: int) -> None:
    for value in (MOST // count, LEAST // count, MOST // count + 1, -(-LEAST // count) - 1):
        array = np.full(count, value, np.int64)
        fits = LEAST <= value * count <= MOST
        function: Callable[[Any], Any] = lambda x: array[x].sum()
        program = program_of(function, [np.zeros(count, np.int32)], WORKGROUP)
        assert bool(wrapping_integers(program)) != fits, (value, count)
    for ends in ([LEAST // 2 - 1, 0], [0, MOST // 2 + 1]):
        array = np.array(ends, np.int64)  # one of them may be taken at both places
        program = program_of(lambda x: array[x].sum(), [np.zeros(2, np.int32)], WORKGROUP)
        assert wrapping_integers(program)
    for values, fits in (([-1, 1], True), ([0, 1], True), ([-2, 1], False), ([0, 2], False)):
        array = np.array(values, np.int64)
        program = program_of(lambda x: array[x].prod(), [np.zeros(2, np.int32)], WORKGROUP)
        assert bool(wrapping_integers(program)) != fits
