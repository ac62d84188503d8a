"""Bytes and operations, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.bench.work import Work, work_of
from tilewright.compiler.trace.run import trace

X = tw.f32[8, 16]


@pytest.mark.parametrize(
    ("function", "specs", "moved", "flops"),
    [
        (lambda x: x * 2 + 1, [X], 2 * 512, 2 * 128),
        (lambda x: np.exp(x), [X], 2 * 512, 128),
        (lambda x: x.sum(), [X], 512 + 4, 128),
        (lambda x, y: x @ y, [X, tw.f32[16, 4]], 512 + 256 + 128, 2 * 8 * 16 * 4),
        (lambda x: x[::2].T, [X], 512 + 256, 0),
        (lambda x: np.where(x > 0, x, 0), [X], 2 * 512, 0),
        (lambda x: x + 1, [tw.u8[10]], 20, 0),
    ],
)
def test_work(function, specs, moved: int, flops: int) -> None:
    assert work_of(trace(function, specs).graph, {}) == Work(moved, flops)


def test_a_loop_counts_every_step() -> None:
    def function(x):
        return tw.loop(5, lambda i, s: s * 2, x)

    assert work_of(trace(function, [X]).graph, {}).flops >= 5 * 128


def test_the_unit_follows_what_limits() -> None:
    assert Work(bytes=10**9, flops=10**9).rate(0.5) == "2.0 GB/s"
    assert Work(bytes=10**6, flops=10**9).rate(0.5) == "2.0 GFLOP/s"
    assert Work(bytes=10**6, flops=0).rate(0.5) == "2.0 MB/s"
