"""Which 64-bit integers of traced functions are proven to fit into 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.ir.fuse.options import FRAGMENT, WORKGROUP
from tilewright.ir.wide_integers import wrapping_integers

BYTES = np.zeros((1 << 11, 1 << 11), np.uint8)
MANY_BYTES = np.zeros((1 << 12, (1 << 12) + 2), np.uint8)
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
