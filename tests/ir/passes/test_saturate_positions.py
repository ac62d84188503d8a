"""Wide integers as positions."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.trace.run import trace
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.passes.saturate_positions import saturate_positions
from tilewright.ir.signature import ArraySpec

A = np.arange(6, dtype=np.float32)


def pick(a, i):
    return tw.compute(i.shape, lambda k: tw.at(a, (i[k],), boundary="constant", fill=-1))


def put(a, i):
    result = np.zeros_like(a)
    result[i] = 1
    return result


def in_loop(a, i):
    return tw.loop(2, lambda step, s: s + pick(a, i)[0], a)[0]


def traced(function, index):
    return trace(function, [ArraySpec(tw.f32.dtype, (6,)), ArraySpec(index, (3,))]).graph


@pytest.mark.parametrize("function", [pick, put, in_loop])
@pytest.mark.parametrize("index", ["i64", "u64", "u32", "i32", "u16"])
def test_only_unsigned_integers_of_32_bits_and_more_change(function, index) -> None:
    graph = traced(function, getattr(tw, index).dtype)
    saturated = saturate_positions(graph)
    assert (saturated is not graph) is (index in ("u32", "u64"))
    assert saturate_positions(saturated) is saturated


@pytest.mark.parametrize("dtype", [np.uint64, np.uint32])
def test_positions_beyond_the_end_stay_there(dtype) -> None:
    index = np.array([np.iinfo(dtype).max, 3, 1 << 31], dtype)
    graph = traced(pick, getattr(tw, f"u{8 * index.itemsize}").dtype)
    (got,) = run_graph(saturate_positions(graph), [A, index])
    np.testing.assert_array_equal(got, [-1, 3, -1])
