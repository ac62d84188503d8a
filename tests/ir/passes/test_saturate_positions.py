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
@pytest.mark.parametrize(
    ("index", "changes"),
    [("i64", (True, False)), ("u64", (True, True)), ("u32", (True, True)), ("i32", (False, False))],
)
def test_only_what_may_lie_outside_changes(function, index, changes) -> None:
    graph = traced(function, getattr(tw, index).dtype)
    for has_64_bits, change in zip((True, False), changes, strict=True):
        saturated = saturate_positions(graph, 32, has_64_bits)
        assert (saturated is not graph) is change
        assert saturate_positions(saturated, 32, has_64_bits) is saturated
    assert (saturate_positions(graph, 64) is not graph) is (index == "u64")


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint32])
def test_positions_outside_stay_outside(dtype) -> None:
    info = np.iinfo(dtype)
    index = np.array([info.max, 3, info.min], dtype)
    graph = traced(pick, getattr(tw, f"{info.dtype.kind}{info.bits}").dtype)
    (got,) = run_graph(saturate_positions(graph, 32), [A, index])
    np.testing.assert_array_equal(got, [-1, 3, -1 if info.min else 0])
