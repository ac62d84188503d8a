"""Large reductions in parts: which axis is cut, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.compiler.arguments import describe
from tilewright.compiler.trace.run import trace
from tilewright.ir.graph import Graph, Reduction
from tilewright.ir.interpret.graph import run_graph
from tilewright.ir.interpret.program import interpret_program
from tilewright.ir.passes import run_passes


def optimized(function: Callable[..., Any], array: np.ndarray) -> Graph:
    names = function.__code__.co_varnames
    return run_passes(trace(function, {names[0]: describe(array, names[0])[0]}).graph)


def parts(graph: Graph) -> Reduction:
    return next(n for n in graph.nodes() if isinstance(n, Reduction) and "part" in n.axes[0].name)


@pytest.mark.parametrize(
    ("function", "shape", "extents"),
    [
        (lambda x: x.max(), (301, 333), (43, 7, 333)),
        (lambda x: x.T.max(), (301, 333), (43, 333, 7)),
        (lambda x: x.max(), (3, 200, 301), (50, 3, 4, 301)),
        (lambda x: x.max(), (4, 5, 40000), (64, 4, 5, 625)),
        (lambda x: x.max(axis=(0, 2)), (128, 3, 640), (64, 3, 2, 640)),
        (lambda x: x.max(), (70000,), (56, 1250)),
    ],
)
def test_parts_are_stretches_of_memory(
    function: Callable[..., Any], shape: tuple[int, ...], extents: tuple[int, ...]
) -> None:
    array = numbers(*shape)
    graph = optimized(function, array)
    made = parts(graph)
    assert tuple(a.extent for a in (*made.axes, *made.reduce_axes)) == extents
    np.testing.assert_array_equal(run_graph(graph, [array])[0], function(array))


@pytest.mark.parametrize("shape", [(257, 1021), (1021, 257), (67, 1009)])
def test_parts_of_different_sizes(shape: tuple[int, ...]) -> None:
    array = numbers(*shape, dtype=np.int64)
    for function in (np.sum, np.max, np.argmin, np.argmax):
        program = program_of(lambda x, f=function: f(x), [array])
        assert interpret_program(program, [array])[0] == function(array)
