"""A row times a matrix, a few lines at a time: right for every size and number of parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.codegen_cpu.kernel_runner import Compiled
from tilewright.codegen_cpu.schedule import default_schedule
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build
from tilewright.ir.dtypes import F16, F32, F64, DType
from tilewright.ir.errors import ShapeError
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer, For, statements
from tilewright.ir.lower.check_schedule import check_schedule
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.lower.row_products import (
    MOST_COLUMNS,
    in_parts,
    is_row_product,
    lower_row_product,
)
from tilewright.ir.program import Launch, Nest, Program, Stage
from tilewright.ir.schedule import Schedule

X86 = cpu_target("x86-64-v4")


def row_product(lines: int, columns: int, dtype: DType = F32) -> tuple[Nest, tuple[Buffer, ...]]:
    """``relu(row @ matrix)``."""
    column, line = Var("column", columns), Var("line", lines)
    row, matrix = Buffer("row", (lines,), dtype), Buffer("matrix", (lines, columns), dtype)
    out, total = Buffer("out", (columns,), dtype), Buffer("total", (), dtype)
    value = build.mul(Load(row, (line,)), Load(matrix, (line, column)))
    reduce = Stage((), (line,), "add", value, total, ())
    finish = build.maximum(Load(total, ()), build.const(0.0, dtype))
    store = Stage((), (), None, finish, out, (column,))
    return Nest("product", (column,), (reduce, store), (total,)), (row, matrix, out)


def run(nest: Nest, buffers: tuple[Buffer, ...], schedule: Schedule) -> tuple[np.ndarray, ...]:
    """The result, what it should be, and the sum of the products' sizes."""
    *inputs, out = buffers
    temporaries: tuple[Buffer, ...] = ()
    kernels = []
    if schedule.chunks > 1:
        first, nest, between = in_parts(nest, schedule.chunks)
        kernels = [lower_row_product(first, schedule, "parts"), lower_nest(nest, Schedule(), "sum")]
        temporaries = (between,)
    else:
        kernels = [lower_row_product(nest, schedule, "product")]
    steps = tuple(Launch(k) for k in kernels)
    program = Program("product", (), tuple(inputs), (out,), (), temporaries, steps)
    random = np.random.default_rng(3)
    shapes = [tuple(int(s) for s in b.shape if isinstance(s, int)) for b in inputs]
    row, matrix = (random.standard_normal(s).astype(out.dtype.numpy) for s in shapes)
    found = np.full(matrix.shape[1], np.nan, out.dtype.numpy)
    Compiled(program).run([row, matrix], [found])
    wide = row.astype(np.longdouble), matrix.astype(np.longdouble)
    return found, np.maximum(wide[0] @ wide[1], 0), np.abs(wide[0]) @ np.abs(wide[1])


@settings(max_examples=40, deadline=None)
@given(
    lines=st.integers(1, 700),
    columns=st.integers(1, 200),
    at_once=st.integers(1, 9),
    parts=st.sampled_from([1, 2, 3, 4]),
    dtype=st.sampled_from([F32, F64]),
)
def test_every_size(lines: int, columns: int, at_once: int, parts: int, dtype: DType) -> None:
    nest, buffers = row_product(lines * parts, columns, dtype)
    schedule = Schedule((16,), 0, 16, chunks=parts, lines=at_once)
    check_schedule(nest, schedule)
    found, exact, size = run(nest, buffers, schedule)
    unit = float(np.finfo(dtype.numpy).eps) / 2
    assert (np.abs(found - exact) <= 512 * unit * size).all()


def test_more_columns_than_wait_at_a_time() -> None:
    nest, buffers = row_product(20, 2 * MOST_COLUMNS + 77)
    found, exact, size = run(nest, buffers, Schedule((16,), 0, 16, lines=8))
    assert (np.abs(found - exact) <= 24 * 2.0**-24 * size).all()


def test_the_host_reads_lines_only_of_what_no_cache_holds() -> None:
    small, _ = row_product(256, 256)
    large, _ = row_product(X86.caches.l3 // 1024, 2048)
    assert default_schedule(small, X86).lines == 0
    schedule = default_schedule(large, X86)
    assert schedule.lines > 0
    check_schedule(large, schedule)


def test_a_filter_reads_no_matrix() -> None:
    """Windows of one line overlap: all of them together are not more than the line."""
    place, tap = Var("place", 100_000), Var("tap", 256)
    line, taps = Buffer("line", (100_255,), F32), Buffer("taps", (256,), F32)
    out, total = Buffer("out", (100_000,), F32), Buffer("total", (), F32)
    value = build.mul(Load(line, (build.add(place, tap),)), Load(taps, (tap,)))
    stages = (
        Stage((), (tap,), "add", value, total, ()),
        Stage((), (), None, Load(total, ()), out, (place,)),
    )
    assert default_schedule(Nest("filter", (place,), stages, (total,)), X86).lines == 0


def test_the_parts_are_tasks() -> None:
    nest, _ = row_product(64, 100)
    first, _, between = in_parts(nest, 4)
    kernel = lower_row_product(first, Schedule((16,), 0, 16, lines=8), "parts")
    assert between.shape == (4, 100)
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == "parallel"]
    assert [loop.extent for loop in loops] == [4]


@pytest.mark.parametrize(
    ("nest", "chunks"),
    [
        (row_product(64, 64, F16)[0], 1),
        (row_product(300 * 300, 8)[0], 1),
        (row_product(30, 64)[0], 4),
    ],
)
def test_what_does_not_fit_is_refused(nest: Nest, chunks: int) -> None:
    with pytest.raises(ShapeError, match="lines"):
        check_schedule(nest, Schedule((16,), 0, 16, chunks=chunks, lines=8))


def test_what_is_no_row_product() -> None:
    nest, (_, matrix, out) = row_product(64, 64)
    product, store = nest.stages
    (column,), (line,) = nest.outer, product.reduce_axes
    assert is_row_product(nest)
    other, opened = Var("other", 2), Var("column", Var("N"))
    row_of_two = Buffer("total", (1,), F32)
    for outer, stages in (
        (nest.outer, (product, product, store)),
        ((), (product, store)),
        ((other, column), (product, store)),
        ((opened,), (product, store)),
        (nest.outer, (replace(product, reduce_axes=(other, line)), store)),
        (nest.outer, (replace(product, reduce_axes=()), store)),
        (nest.outer, (replace(product, reduce_axes=(Var("line", Var("N")),)), store)),
        (nest.outer, (replace(product, reduce_axes=(Var("line", 256 * 256 + 1),)), store)),
        (nest.outer, (replace(product, combiner="max"), store)),
        (nest.outer, (replace(product, value=Load(matrix, (line, column))), store)),
        (nest.outer, (replace(product, target=out, indices=(column,)), store)),
        (nest.outer, (product, replace(store, combiner="scan:add"))),
        (nest.outer, (product, replace(store, axes=(other,)))),
        (nest.outer, (product, replace(store, reduce_axes=(other,)))),
        (nest.outer, (product, replace(store, target=product.target, indices=()))),
    ):
        assert not is_row_product(Nest("n", outer, stages, nest.locals))
    kept = replace(product, target=row_of_two, indices=(build.index(0),))
    assert not is_row_product(Nest("n", nest.outer, (kept, store), (row_of_two,)))
    longest = replace(product, reduce_axes=(Var("line", 256 * 256),))
    assert is_row_product(Nest("n", nest.outer, (longest, store), nest.locals))
    assert not is_row_product(row_product(64, 64, F16)[0])


def test_columns_are_walked_four_vectors_at_a_time() -> None:
    nest, _ = row_product(20, 1000)
    kernel = lower_row_product(nest, Schedule((16,), 0, 16, lines=8), "product")
    strips = [s for s in statements(kernel.body) if isinstance(s, For) and s.var.name == "strip"]
    assert {s.extent for s in strips} == {1000 // 64}
    lanes = [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == "vector"]
    assert {s.extent for s in lanes} == {64, 1000 % 64}
    assert {s.width for s in lanes} == {16}
