"""Kernels of workgroups, run by the interpreter: an invocation at a time, from barrier to barrier.

Memory is full of poison at first, and what an invocation reads before its barrier is what another
has not written yet. So a barrier, a guard or a bound that is missing shows as a wrong result, on
machines without a GPU and for workgroups of a few invocations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.codegen_wgsl.nests import (
    Array,
    axes,
    convolution,
    distances,
    linear_relu,
    normalise,
    program,
    reduction,
    scan,
    softmax,
)
from tests.ir.lower.traced_programs import numbers
from tilewright.codegen_wgsl.backend import build
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.pack_stores import pack_stores
from tilewright.ir import build as b
from tilewright.ir import ops
from tilewright.ir.artifact import launches
from tilewright.ir.dtypes import F16, F32, I32, U8, U32, DType
from tilewright.ir.errors import IRError
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, For, Kernel, statements, stored_roots
from tilewright.ir.lower.workgroup.lower import lower_to_workgroups
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.verify import verify_kernel


def lowered(made: Program, schedule: Schedule) -> Kernel:
    (step,) = made.steps
    assert isinstance(step, Nest)
    kernel = lower_to_workgroups(step, schedule, "k")
    verify_kernel(kernel)
    return kernel


def run(made: Program, arrays: Sequence[Array], schedule: Schedule) -> Array:
    (out,) = made.outputs
    found: Array = np.full([int(s) for s in out.shape if isinstance(s, int)], 99, out.dtype.numpy)
    given = {**dict(zip(made.inputs, arrays, strict=True)), out: found}
    interpret_kernel(lowered(made, schedule), given)
    return found


SHARED = [
    *(Schedule(vector=INNER, workgroup=(n,)) for n in (1, 4, 16)),
    *(Schedule(vector=INNER, workgroup=sizes) for sizes in ((2, 4), (3, 2), (4, 1), (8, 8))),
    *(Schedule(vector=INNER, width=4, workgroup=sizes) for sizes in ((4,), (3, 1), (2, 8))),
]
SEVERAL = [
    *(Schedule(vector=INNER, tile=(n,), workgroup=(2, 4)) for n in (2, 3)),
    *(Schedule(vector=INNER, tile=(2,), width=4, workgroup=sizes) for sizes in ((4,), (3, 1))),
]
"""A team works on several points at once."""
FORMS = [
    *SHARED,
    *(Schedule(workgroup=(n,)) for n in (3, 8)),
    Schedule(tile=(2,), workgroup=(4,)),
]


@pytest.mark.parametrize("schedule", [*FORMS, *SEVERAL], ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 40), (9, 2)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums(shape: tuple[int, int], axis: int, schedule: Schedule) -> None:
    x = numbers(*shape)
    np.testing.assert_array_equal(run(reduction(shape, axis, "add"), [x], schedule), x.sum(axis))


@pytest.mark.parametrize("schedule", [*FORMS, *SEVERAL], ids=str)
@pytest.mark.parametrize(
    ("combiner", "reference"), [("max", np.max), ("min", np.min), ("mul", np.prod)]
)
def test_other_combiners(
    combiner: str, reference: Callable[..., Array], schedule: Schedule
) -> None:
    x = np.where(numbers(3, 21) > 2, 2, -1).astype(np.int32)
    made = reduction((3, 21), 1, combiner, I32)
    np.testing.assert_array_equal(run(made, [x], schedule), reference(x, axis=1))
    y = numbers(3, 21)
    y[1, 5] = np.nan
    made = reduction((3, 21), 1, combiner, F32)
    np.testing.assert_array_equal(run(made, [y], schedule), reference(y, axis=1))


@pytest.mark.parametrize("schedule", FORMS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (3, 16), (2, 33), (20, 3)])
def test_scans(shape: tuple[int, int], schedule: Schedule) -> None:
    x = numbers(*shape)
    np.testing.assert_array_equal(run(scan(*shape), [x], schedule), x.cumsum(axis=1))


@pytest.mark.parametrize("schedule", FORMS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 37)])
def test_rows_that_are_visited_four_times(shape: tuple[int, int], schedule: Schedule) -> None:
    x = numbers(*shape)
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    expected = e / e.sum(axis=1, keepdims=True)
    found = run(softmax(*shape), [x], schedule)
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    found = run(softmax(*shape, axis=0), [x.T.copy()], schedule)
    np.testing.assert_allclose(found, expected.T, rtol=2e-6)


@pytest.mark.parametrize("length", [1, 7, 16, 37])
def test_rows_that_other_invocations_have_written(length: int) -> None:
    x, out = Buffer("x", (2, length), F32), Buffer("out", (2, length), F32)
    row = Buffer("row", (length,), F32, "scratch")
    i, k, n = axes(i=2, k=length, n=length)
    turned = Load(row, (b.sub(b.index(length - 1), n),))
    stages = (
        Stage((k,), (), None, Load(x, (i, k)), row, (k,)),
        Stage((n,), (), None, turned, out, (i, n)),
    )
    made = program([x], [out], [Nest("turned", (i,), stages, (row,))])
    array = numbers(2, length)
    for workgroup in ((1,), (4,), (16,), (2, 4), (4, 2)):
        found = run(made, [array], Schedule(vector=INNER, workgroup=workgroup))
        np.testing.assert_array_equal(found, array[:, ::-1])


@pytest.mark.parametrize("schedule", [*SHARED, *SEVERAL], ids=str)
@pytest.mark.parametrize("shape", [(1, 4), (5, 7), (7, 24), (4, 40)])
def test_reductions_that_share_a_loop_and_one_that_reads_them(
    shape: tuple[int, int], schedule: Schedule
) -> None:
    """Results that all invocations of a row know, of each row of a tile."""
    rows, length = shape
    x, out = Buffer("x", shape, F32), Buffer("out", (rows,), F32)
    most, total = Buffer("most", (), F32, "scratch"), Buffer("total", (), F32, "scratch")
    i, j, k, m = axes(i=rows, j=length, k=length, m=length)
    apart = Apply(ops.SUB, (Load(x, (i, m)), Load(most, ())))
    stages = (
        Stage((), (j,), "max", Load(x, (i, j)), most, ()),
        Stage((), (k,), "add", Load(x, (i, k)), total, ()),
        Stage((), (m,), "min", Apply(ops.ADD, (apart, Load(total, ()))), out, (i,)),
    )
    made = program([x], [out], [Nest("three", (i,), stages, (most, total))])
    array = numbers(rows, length)
    expected = (array - array.max(1, keepdims=True) + array.sum(1, keepdims=True)).min(1)
    np.testing.assert_array_equal(run(made, [array], schedule), expected)


def test_a_vector_is_read_once_for_the_rows_of_a_tile() -> None:
    a, v, out = Buffer("a", (8, 32), F32), Buffer("v", (32,), F32), Buffer("out", (8,), F32)
    i, k = axes(i=8, k=32)
    product = Apply(ops.MUL, (Load(a, (i, k)), Load(v, (k,))))
    stage = Stage((), (k,), "add", product, out, (i,))
    made = program([a, v], [out], [Nest("matvec", (i,), (stage,), ())])
    x, y = numbers(8, 32), numbers(32)
    schedule = Schedule(vector=INNER, tile=(4,), width=4, workgroup=(2, 4))
    np.testing.assert_array_equal(run(made, [x, y], schedule), x @ y)
    (launch,) = launches(build(made, WgslOptions(), {"matvec": schedule}).program.steps)
    source = launch.source
    assert source.count("b1[") == 1
    assert source.count("b0[") == 4
    assert "array<vec4<f32>, 8>" in source


def test_reductions_one_after_the_other_share_their_memory() -> None:
    kernel = lowered(softmax(2, 37), Schedule(vector=INNER, workgroup=(16,)))
    shared = [b.shape for b in kernel.locals if b.space == "workgroup"]
    assert sorted(shared) == [(16,), (37,)]  # the maximum and the sum; the row


def test_teams_are_side_by_side_where_their_data_is() -> None:
    """Memory of teams is laid out as they are: neighbouring invocations store neighbours."""
    schedule = Schedule(vector=INNER, workgroup=(4, 8))
    for axis, shape in ((0, (8, 4)), (1, (4, 8))):
        kernel = lowered(reduction((33, 35), axis, "add"), schedule)
        assert [b.shape for b in kernel.locals if b.space == "workgroup"] == [shape]
        group = next(s for s in statements(kernel.body) if isinstance(s, For))
        assert group.var.extent == 9


@pytest.mark.parametrize("tile", [(), (1, 2, 4), (3, 1, 2), (1, 3, 5)])
@pytest.mark.parametrize("workgroup", [(8,), (4, 2), (3,)])
def test_grids_of_three_axes(tile: tuple[int, ...], workgroup: tuple[int, ...]) -> None:
    pixels = numbers(7, 9, 3, dtype=np.int8).astype(np.uint8)
    found = run(normalise(7, 9), [pixels], Schedule(tile=tile, workgroup=workgroup))
    expected = pixels.astype(np.float32).transpose(2, 0, 1) * np.float32(1 / 255)
    np.testing.assert_array_equal(found, expected)


STAGED = [
    Schedule(tile=(4, 4), workgroup=(2, 2), stage_tile=4),
    Schedule(tile=(4, 8), workgroup=(1, 2), stage_tile=3),
    Schedule(tile=(8, 4), workgroup=(2, 1), stage_tile=16),
]


@pytest.mark.parametrize("schedule", [*STAGED, Schedule(workgroup=(8,))], ids=str)
@pytest.mark.parametrize("sizes", [(8, 8, 8), (9, 12, 7), (5, 6, 1), (17, 4, 20), (1, 33, 5)])
def test_matrix_products(sizes: tuple[int, int, int], schedule: Schedule) -> None:
    rows, columns, depth = sizes
    x, w, bias = numbers(rows, depth), numbers(depth, columns, seed=1), numbers(columns, seed=2)
    found = run(linear_relu(*sizes), [x, w, bias], schedule)
    np.testing.assert_array_equal(found, np.maximum(x @ w + bias, 0))


@pytest.mark.parametrize("schedule", STAGED, ids=str)
def test_convolutions(schedule: Schedule) -> None:
    x, w = numbers(6, 6, 2), numbers(3, 3, 2, 5, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
    expected = np.einsum("ijcpq,pqcf->ijf", windows, w)
    np.testing.assert_array_equal(run(convolution(6, 2, 5), [x, w], schedule), expected)


def test_distances_of_rows() -> None:
    """Beyond the last point the difference is not zero, so slices must divide the depth."""
    x, y = numbers(9, 8), numbers(6, 8, seed=1)
    expected = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    for schedule in (STAGED[0], Schedule(tile=(4, 8), workgroup=(2, 2), stage_tile=8)):
        np.testing.assert_array_equal(run(distances(9, 6, 8), [x, y], schedule), expected)
    with pytest.raises(IRError, match="slices of 3 do not divide the sums"):
        lowered(distances(9, 6, 8), STAGED[1])


def test_long_sums_of_products_in_runs() -> None:
    sizes = (1, 4, 530)
    x, w, bias = numbers(1, 530), numbers(530, 4, seed=1), numbers(4, seed=2)
    found = run(
        linear_relu(*sizes), [x, w, bias], Schedule(tile=(4, 4), workgroup=(1, 1), stage_tile=8)
    )
    np.testing.assert_array_equal(found, np.maximum(x @ w + bias, 0))


@pytest.mark.parametrize("sizes", [(5, 7, 8), (9, 12, 8), (8, 9, 16), (3, 20, 8)])
def test_products_in_registers_beyond_the_edges(sizes: tuple[int, int, int]) -> None:
    """Stages between the sum and the output read at points that do not exist, kept inside."""
    rows, columns, depth = sizes
    x, w = Buffer("x", (rows, depth), F32), Buffer("w", (depth, columns), F32)
    row, column = Buffer("r", (rows,), F32), Buffer("c", (columns,), F32)
    out, total, between = Buffer("out", sizes[:2], F32), Buffer("t", (), F32), Buffer("m", (), F32)
    i, j, k = axes(i=rows, j=columns, k=depth)
    product = b.mul(Load(x, (i, k)), Load(w, (k, j)))
    moved = b.add(b.mul(Load(total, ()), Load(column, (j,))), Load(row, (i,)))
    stages = (
        Stage((), (k,), "add", product, total, ()),
        Stage((), (), None, moved, between, ()),
        Stage((), (), None, b.mul(Load(between, ()), Load(between, ())), out, (i, j)),
    )
    nest = Nest("square", (i, j), stages, (total, between))
    given = [numbers(rows, depth), numbers(depth, columns), numbers(rows), numbers(columns)]
    schedule = Schedule(tile=(4, 4), workgroup=(2, 2), stage_tile=4)
    found = run(program([x, w, row, column], [out], [nest]), given, schedule)
    expected = (given[0] @ given[1] * given[3] + given[2][:, None]) ** 2
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("vector", [0, 1, 2])
def test_the_vector_loop_is_that_of_its_axis(vector: int) -> None:
    """Of the loops over a tile."""
    x, y = Buffer("x", (8, 6, 4), F32), Buffer("y", (8, 6, 4), F32)
    points = axes(i=8, j=6, k=4)
    stage = Stage((), (), None, Load(x, points), y, points)
    made = program([x], [y], [Nest("copy", points, (stage,), ())])
    tile = [2, 3, 1]
    tile[vector] = 4
    if vector == 1:
        tile[1] = 2
    schedule = Schedule(tile=tuple(tile), vector=vector, width=2, workgroup=(4,))
    loops = [s for s in statements(lowered(made, schedule).body) if isinstance(s, For)]
    inner = [(s.extent, s.kind) for s in loops if s.kind in ("vector", "unroll")]
    expected = [(n, "vector" if k == vector else "unroll") for k, n in enumerate(tile)]
    assert {one for one in inner if one[0] != 1} == {one for one in expected if one[0] != 1}
    given = numbers(8, 6, 4)
    np.testing.assert_array_equal(run(made, [given], schedule), given)


@pytest.mark.parametrize("workgroup", [(1,), (4,), (16,), (2, 4), (4, 2)])
@pytest.mark.parametrize("length", [1, 21, 40])
def test_a_reduction_of_what_the_one_before_has_made(
    length: int, workgroup: tuple[int, ...]
) -> None:
    """Both combine in the same memory, and between them nothing is stored elsewhere."""
    x, out = Buffer("x", (2, length), F32), Buffer("out", (2,), F32)
    most, total = Buffer("most", (), F32, "scratch"), Buffer("total", (), F32, "scratch")
    i, k, n = axes(i=2, k=length, n=length)
    less = b.sub(Load(x, (i, n)), Load(most, ()))
    stages = (
        Stage((), (k,), "max", Load(x, (i, k)), most, ()),
        Stage((), (n,), "add", less, total, ()),
        Stage((), (), None, Load(total, ()), out, (i,)),
    )
    array = numbers(2, length)
    made = program([x], [out], [Nest("less", (i,), stages, (most, total))])
    found = run(made, [array], Schedule(vector=INNER, workgroup=workgroup))
    np.testing.assert_array_equal(found, (array - array.max(axis=1, keepdims=True)).sum(axis=1))


@pytest.mark.parametrize("workgroup", [(1,), (4,), (16,), (2, 4), (4, 2)])
@pytest.mark.parametrize("shape", [(2, 2, 37), (1, 3, 16), (2, 9, 5)])
def test_scans_one_after_the_other(shape: tuple[int, int, int], workgroup: tuple[int, ...]) -> None:
    """Of a few rows each is scanned by all invocations, in the same memory."""
    x, out = Buffer("x", shape, F32), Buffer("out", shape, F32)
    i, j, k = axes(i=shape[0], j=shape[1], k=shape[2])
    stage = Stage((j, k), (), "scan:add", Load(x, (i, j, k)), out, (i, j, k))
    array = numbers(*shape)
    found = run(
        program([x], [out], [Nest("sums", (i,), (stage,), ())]),
        [array],
        Schedule(vector=INNER, workgroup=workgroup),
    )
    np.testing.assert_array_equal(found, array.cumsum(axis=2))


def test_float16_is_shared_before_it_is_widened() -> None:
    """It takes half of the memory that float32 takes; the sums are in float32."""
    x, w, out = Buffer("x", (9, 13), F16), Buffer("w", (13, 10), F16), Buffer("out", (9, 10), F32)
    i, j, k = axes(i=9, j=10, k=13)
    product = b.mul(b.cast(Load(x, (i, k)), F32), b.cast(Load(w, (k, j)), F32))
    stage = Stage((), (k,), "add", product, out, (i, j))
    made = program([x, w], [out], [Nest("product", (i, j), (stage,), ())])
    schedule = Schedule(tile=(4, 4), workgroup=(2, 2), stage_tile=5)
    shared = [b for b in lowered(made, schedule).locals if b.space == "workgroup"]
    assert [b.dtype for b in shared] == [F16, F16]
    a, c = numbers(9, 13).astype(np.float16), numbers(13, 10).astype(np.float16) * np.float16(300)
    wanted = a.astype(np.float32) @ c.astype(np.float32)
    np.testing.assert_array_equal(run(made, [a, c], schedule), wanted)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 8, 31, 33])
@pytest.mark.parametrize("tile", [4, 8])
def test_what_vectors_leave_over_at_the_end(size: int, tile: int) -> None:
    """One invocation computes it, and none goes beyond."""
    (i,) = axes(i=size)
    x, out = Buffer("x", (size, 3), F32), Buffer("out", (size,), F32)
    (k,) = axes(k=3)
    total = Buffer("total", (), F32)
    summed = Stage((), (k,), "max", Load(x, (i, k)), total, (), "max")
    doubled = Stage((), (), None, b.add(Load(total, ()), Load(total, ())), out, (i,), "twice")
    made = program([x], [out], [Nest("rest", (i,), (summed, doubled), (total,))])
    given = numbers(size, 3)
    schedule = Schedule(tile=(tile,), vector=0, width=4, workgroup=(3,))
    np.testing.assert_array_equal(run(made, [given], schedule), 2 * given.max(axis=1))


def test_a_part_is_summed_in_a_tree_of_its_own_size() -> None:
    """One whose size is known up to the last part once got a tree for an open size, with levels so
    high that addresses did not fit 32 bits."""
    x, out = Buffer("x", (11, 257), F32), Buffer("out", (3,), F32)
    part = Var("part", 3)
    rest = b.sub(b.index(11), b.mul(part, b.index(4)))
    rows, columns = Var("rows", b.minimum(b.index(4), rest)), Var("columns", 257)
    place = b.add(b.mul(part, b.index(4)), rows)
    stage = Stage((), (rows, columns), "add", Load(x, (place, columns)), out, (part,))
    made = program([x], [out], [Nest("parts", (part,), (stage,), ())])
    kernel = lowered(made, Schedule(workgroup=(3,)))
    assert sum(isinstance(s, For) for s in statements(kernel.body)) < 8
    a = numbers(11, 257)
    wanted = [a[k : k + 4].sum() for k in (0, 4, 8)]
    np.testing.assert_array_equal(run(made, [a], Schedule(workgroup=(3,))), wanted)


@pytest.mark.parametrize("dtype", [U8, F16], ids=str)
@pytest.mark.parametrize("width", [1, 6, 8, 12, 36])
@pytest.mark.parametrize("threads", [1, 4, 16])
def test_neighbours_in_a_word_are_one_invocations(dtype: DType, width: int, threads: int) -> None:
    i, j, k = axes(i=3, j=width, k=width)
    x, out = Buffer("x", (3, width), dtype), Buffer("out", (3, width), dtype)
    top = Buffer("top", (), dtype)
    largest = Stage((), (k,), "max", Load(x, (i, k)), top, (), "max")
    value = b.add(Load(x, (i, j)), Load(top, ()))
    made = program(
        [x], [out], [Nest("n", (i,), (largest, Stage((j,), (), None, value, out, (i, j))), (top,))]
    )
    given = np.abs(numbers(3, width)).astype(dtype.numpy)
    schedule = Schedule(vector=INNER, workgroup=(threads,))
    wanted = given + given.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(run(made, [given], schedule), wanted)
    words = {out: Buffer("out", (1,), U32)}
    stored = stored_roots(pack_stores(lowered(made, schedule), words).body)
    assert (out in stored) == (width % (32 // dtype.bits) != 0)
