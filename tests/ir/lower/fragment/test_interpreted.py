"""Kernels of fragments, run by the interpreter: what each texel of an output is made of.

Outputs have a multiple of four elements here: a texel that is not full needs a texture's padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, reduced
from tests.codegen_wgsl.nests import Array
from tests.ir.lower.traced_programs import numbers
from tilewright.ir import build as b
from tilewright.ir.dtypes import F32, I32
from tilewright.ir.expr import Expr, LaneReduce, Load, Var, post_order
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, expressions, statements
from tilewright.ir.lower.fragment.grid import lower_to_fragments
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule

SCHEDULES = [
    Schedule(),
    Schedule(unroll=4),
    Schedule(unroll=8, unroll_reduce=8),
    Schedule(unroll=2, reduce_block=3),
]


def run(nest: Nest, inputs: Sequence[tuple[Buffer, Array]], schedule: Schedule) -> Array:
    out = nest.stages[-1].target
    kernel = lower_to_fragments(nest, schedule, "k")
    arrays = dict(inputs)
    shape = [int(s) for s in out.shape if isinstance(s, int)]
    for parameter in kernel.parameters:
        if parameter not in arrays:
            size = [int(s) for s in parameter.shape if isinstance(s, int)]
            arrays[parameter] = np.full(size, 99, out.dtype.numpy)
    interpret_kernel(kernel, arrays)
    (target,) = (p for p in kernel.parameters if p not in dict(inputs))
    found: Array = arrays[target].reshape(-1)[: int(np.prod(shape))].reshape(shape)
    return found


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("shape", [(4, 1), (8, 7), (4, 40), (12, 2), (4, 16)])
def test_sums_of_rows_and_of_columns(shape: tuple[int, int], schedule: Schedule) -> None:
    x = numbers(*shape)
    source = Buffer("x", shape, F32)
    rows = reduced(Buffer("y", (shape[0],), F32), (shape[1],), "add", lambda i, k: at(source, i, k))
    np.testing.assert_array_equal(run(rows, [(source, x)], schedule), x.sum(axis=1))
    turned, y = Buffer("x", shape[::-1], F32), np.ascontiguousarray(x.T)
    columns = reduced(
        Buffer("y", (shape[0],), F32), (shape[1],), "add", lambda i, k: at(turned, k, i)
    )
    np.testing.assert_array_equal(run(columns, [(turned, y)], schedule), x.sum(axis=1))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(
    ("combiner", "reference"), [("max", np.max), ("min", np.min), ("mul", np.prod)]
)
def test_other_combiners(
    combiner: str, reference: Callable[..., Array], schedule: Schedule
) -> None:
    x = np.where(numbers(8, 21) > 2, 2, -1).astype(np.int32)
    source = Buffer("x", (8, 21), I32)
    nest = reduced(Buffer("y", (8,), I32), (21,), combiner, lambda i, k: at(source, i, k))
    np.testing.assert_array_equal(run(nest, [(source, x)], schedule), reference(x, axis=1))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("sizes", [(8, 8, 8), (6, 6, 3), (1, 4, 33), (4, 1, 2)])
def test_matrix_products(sizes: tuple[int, int, int], schedule: Schedule) -> None:
    rows, columns, depth = sizes
    x, w = numbers(rows, depth), numbers(depth, columns, seed=1)
    a, c = Buffer("a", (rows, depth), F32), Buffer("c", (depth, columns), F32)
    nest = reduced(
        Buffer("y", (rows, columns), F32),
        (depth,),
        "add",
        lambda i, j, k: b.mul(at(a, i, k), at(c, k, j)),
    )
    np.testing.assert_array_equal(run(nest, [(a, x), (c, w)], schedule), x @ w)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("shape", [(4, 64), (4, 5), (6, 16)])
def test_rows_with_their_maximum(shape: tuple[int, int], schedule: Schedule) -> None:
    x = numbers(*shape)
    source = Buffer("x", shape, F32)
    nest = reduced(
        Buffer("y", shape, F32),
        (shape[1],),
        "max",
        lambda i, j, k: at(source, i, k),
        lambda most, i, j: b.sub(at(source, i, j), most),
    )
    expected = x - x.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(run(nest, [(source, x)], schedule), expected)


@pytest.mark.parametrize("shape", [(8,), (3, 4), (2, 5, 2), (4, 1, 6)])
def test_maps(shape: tuple[int, ...]) -> None:
    x = numbers(*shape)
    source = Buffer("x", shape, F32)
    nest = mapped(Buffer("y", shape, F32), lambda *i: b.add(at(source, *i), at(source, *i)))
    np.testing.assert_array_equal(run(nest, [(source, x)], Schedule()), x + x)
    turned = mapped(Buffer("y", shape[::-1], F32), lambda *i: at(source, *i[::-1]))
    np.testing.assert_array_equal(run(turned, [(source, x)], Schedule()), x.T)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_stencils_over_two_axes(schedule: Schedule) -> None:
    x = numbers(8, 8)
    source = Buffer("x", (8, 8), F32)
    nest = reduced(
        Buffer("y", (6, 6), F32),
        (3, 3),
        "add",
        lambda i, j, p, q: at(source, b.add(i, p), b.add(j, q)),
    )
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3))
    np.testing.assert_array_equal(run(nest, [(source, x)], schedule), windows.sum(axis=(2, 3)))


@pytest.mark.parametrize(
    ("extents", "across"),
    [((3,), False), ((4,), True), ((7,), True), ((3, 8), True), ((3, 7), False), ((8, 3), False)],
)
def test_what_all_lanes_share_lies_across_them(extents: tuple[int, ...], across: bool) -> None:
    """Where the last axis fills vectors, or has a rest that no other axis repeats."""
    x = numbers(2, *(e + 1 for e in extents), 4)  # more, so that no two axes are one
    source, out = Buffer("x", x.shape, F32), Buffer("y", (2, 4), F32)
    nest = reduced(out, extents, "max", lambda i, j, *k: at(source, i, *k, b.index(1)))
    kernel = lower_to_fragments(nest, Schedule(unroll=2), "k")
    nodes = post_order([e for s in statements(kernel.body) for e in expressions(s)])
    assert any(isinstance(node, LaneReduce) for node in nodes) is across
    part: tuple[Any, ...] = (slice(None), *map(slice, extents), 1)
    read = x[part].reshape(2, -1)
    expected = np.broadcast_to(read.max(1)[:, None], (2, 4))
    np.testing.assert_array_equal(run(nest, [(source, x)], Schedule(unroll=2)), expected)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("laned", [False, True], ids=["shared", "for each lane"])
@pytest.mark.parametrize("extents", [(3,), (16,), (21,), (40,), (3, 8), (5, 7)], ids=str)
def test_reductions_over_the_same_axes_share_their_loops(
    extents: tuple[int, ...], laned: bool, schedule: Schedule
) -> None:
    """A sum (added up as a tree), a maximum and a sum of products (one by one)."""
    x = numbers(2, *(e + 1 for e in extents), 4)  # more, so that no two axes are one
    source, out = Buffer("x", x.shape, F32), Buffer("y", (2, 4), F32)
    i, j = Var("i", 2), Var("j", 4)
    inner = tuple(Var(f"k{k}", n) for k, n in enumerate(extents))
    element = at(source, i, *inner, j if laned else b.index(1))
    values: list[tuple[str, Expr]] = [
        *(("add", element), ("max", element), ("add", b.mul(element, element))),
    ]
    locals_ = tuple(Buffer(f"l{k}", (), F32, "scratch") for k in range(3))
    stages = [
        Stage((), inner, combiner, value, local, ())
        for (combiner, value), local in zip(values, locals_, strict=True)
    ]
    total, most, squares = (Load(local, ()) for local in locals_)
    result = b.add(b.mul(b.add(b.mul(most, b.const(1000, F32)), squares), b.const(8, F32)), total)
    nest = Nest("n", (i, j), (*stages, Stage((), (), None, result, out, (i, j))), locals_)
    read = x[(slice(None), *map(slice, extents))].reshape(2, -1, 4)
    if not laned:
        read = np.repeat(read[..., 1:2], 4, axis=2)
    expected = (read.max(1) * 1000 + (read * read).sum(1)) * 8 + read.sum(1)
    np.testing.assert_array_equal(run(nest, [(source, x)], schedule), expected)
