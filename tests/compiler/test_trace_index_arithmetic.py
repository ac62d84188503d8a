"""Index variables among Python numbers: in 64 bits as soon as 32 may be too few, and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.compiler.trace_oracle import check, traced

X = np.zeros(1)
COUNT = 70_001  # the last position is 70,000


@pytest.mark.parametrize(
    ("value", "wide"),
    [
        (lambda i: i * 30678, False),  # 70,000 * 30,678 is 2,147,460,000
        (lambda i: i * 30679, True),  # and 2^31 is 2,147,483,648
        (lambda i: i * -30678, False),
        (lambda i: i * -30679, True),
        (lambda i: i * 30678 + 23_647, False),
        (lambda i: i * 30678 + 23_648, True),
        (lambda i: i * -30678 - 23_648, False),
        (lambda i: i * -30678 - 23_649, True),
        (lambda i: i * i, True),
        (lambda i: i * i // i, True),
        (lambda i: (i % 40_000) * (i % 40_000), False),
        (lambda i: (i + 1) << 14, False),
        (lambda i: i + (1 << 31), True),
        (lambda i: i / 2, False),
    ],
)
def test_widths(value: Callable[[Any], Any], wide: bool) -> None:
    graph = traced(lambda x: tw.compute((COUNT,), lambda i: x[0] + value(i)), X).graph
    assert ("i64(" in str(graph)) is wide


@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_products_beyond_32_bits(target: str) -> None:
    def function(x: Any) -> Any:
        return tw.compute((COUNT,), lambda i: x[0] + i * i % 1009 + (i * i - i * 70_000) // 7)

    np.testing.assert_array_equal(tw.kernel(target=target)(function)(X), function(X))
    check(function, X)
