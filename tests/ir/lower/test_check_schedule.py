"""Schedules that a user gave against the nests that they are for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tilewright.ir import build, dtypes
from tilewright.ir.errors import LimitError, ShapeError
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.check_schedule import MOST_CHUNKS, MOST_LINES, check_schedule
from tilewright.ir.program import Nest, Stage
from tilewright.ir.schedule import Schedule

ROWS, COLUMNS = Var("i", 6), Var("j", 13)
SOURCE = Buffer("a", (6, 13), dtypes.F32)
TARGET = Buffer("out", (6, 13), dtypes.F32)
DOUBLED = build.mul(Load(SOURCE, (ROWS, COLUMNS)), build.const(2.0, dtypes.F32))
STAGE = Stage((), (), None, DOUBLED, TARGET, (ROWS, COLUMNS), "double")
NEST = Nest("double", (ROWS, COLUMNS), (STAGE,), ())


def test_what_fits_passes() -> None:
    check_schedule(NEST, Schedule())
    check_schedule(NEST, Schedule(tile=(2, 8), vector=1, width=8, order=(1, 0), chunks=4))
    check_schedule(NEST, Schedule(tile=(2, 3), cache_block=(4, 0), pack=(1,)), invocations=64)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (Schedule(tile=(8,)), r"tile=\(8,\) does not fit 2 outer axes"),
        (Schedule(order=(0, 0)), r"order=\(0, 0\) is not an order of 2 outer axes"),
        (Schedule(vector=2), "vector=2 is none of 2 outer axes"),
        (Schedule(width=3), "width=3 is not a power of two"),
        (Schedule(tile=(4, 4), cache_block=(6, 0)), r"cache_block=\(6, 0\) cuts tiles"),
        (Schedule(reduce_block=1), "reduce_block=1 combines nothing"),
        (Schedule(stage_tile=8), "stage_tile=8 is for contractions"),
        (Schedule(width=True), "width=True is not an integer"),
        (Schedule(unroll=6), "unroll=6 is not a power of two"),
        (Schedule(unroll=0), "unroll=0 is not a power of two"),
        (Schedule(width=-4), "width=-4 is not a power of two"),
        (Schedule(tile=[2, 4]), r"tile=\[2, 4\] is not a tuple of integers"),  # type: ignore[arg-type]
        (Schedule(tile=(2, 0.5)), r"tile=\(2, 0.5\) is not a tuple of integers"),  # type: ignore[arg-type]
        (Schedule(chunks=2.0), "chunks=2.0 is not an integer"),  # type: ignore[arg-type]
        (Schedule(tile=(0, 4)), r"tile=\(0, 4\) has a size below 1"),
        (Schedule(tile=(1, 1, 1)), r"tile=\(1, 1, 1\) does not fit 2 outer axes"),
        (Schedule(vector=-1), "vector=-1 is none of 2 outer axes"),
        (Schedule(vector="outer"), "vector='outer' is neither an axis, nor 'inner', nor None"),
        (Schedule(vector=True), "vector=True is neither an axis"),
        (Schedule(order=(0,)), r"order=\(0,\) is not an order of 2 outer axes"),
        (Schedule(order=(1, 2)), r"order=\(1, 2\) is not an order of 2 outer axes"),
        (Schedule(chunks=0), "chunks=0 is less than 1"),
        (Schedule(reduce_block=-1), "reduce_block=-1 is less than 0"),
        (Schedule(unroll_reduce=-1), "unroll_reduce=-1 is less than 0"),
        (Schedule(lines=-1), "lines=-1 is less than 0"),
        (Schedule(lines=2), "lines=2 is for products of one row and a matrix"),
        (Schedule(cache_block=(4,)), r"cache_block=\(4,\) does not fit 2 outer axes"),
        (Schedule(cache_block=(4, -1)), r"cache_block=\(4, -1\) has a size below 0"),
        (Schedule(pack=(2,)), r"pack=\(2,\) holds something else than 0 and 1"),
        (Schedule(tile=(1, 1), pack=(1, 1)), r"pack=\(1, 1\) holds .* or one of them twice"),
        (Schedule(pack=(1,)), r"pack=\(1,\) asks for copies in tile order, but there is no tile"),
        (Schedule(stage_tile=-1), "stage_tile=-1 is for contractions"),
    ],
)
def test_what_does_not_fit_is_named(schedule: Schedule, said: str) -> None:
    with pytest.raises(ShapeError, match=f"^schedule of double: {said}"):
        check_schedule(NEST, schedule)


ROWS_OF = Schedule(vector="inner", workgroup=(128,), subgroups=True)


@pytest.mark.parametrize(
    ("schedule", "sizes", "said"),
    [
        (ROWS_OF, None, "subgroups=True is for devices that have them"),
        (
            replace(ROWS_OF, vector=None),
            (4, 128),
            "subgroups=True is for rows, with vector='inner'",
        ),
        (replace(ROWS_OF, subgroups=1), (4, 128), "subgroups=1 is neither True nor False"),
        (replace(ROWS_OF, workgroup=(64,)), (4, 128), r"workgroup=\(64,\) is not .* 128 to 256"),
        (
            replace(ROWS_OF, workgroup=(192,)),
            (4, 64),
            r"workgroup=\(192,\) is not a power of two",
        ),
        (replace(ROWS_OF, workgroup=(2, 64)), (4, 64), "subgroups=True is for .* a workgroup for"),
        (replace(ROWS_OF, workgroup=()), (4, 64), r"workgroup=\(\) is not one power of two"),
        (replace(ROWS_OF, workgroup=(512,)), (4, 64), r"workgroup=\(512,\) is not .* 64 to 256"),
    ],
)
def test_subgroups_that_do_not_fit(
    schedule: Schedule, sizes: tuple[int, int] | None, said: str
) -> None:
    with pytest.raises(ShapeError, match=f"^schedule of double: {said}"):
        check_schedule(NEST, schedule, 1024, sizes)


def test_subgroups_are_for_targets_that_have_them() -> None:
    check_schedule(NEST, ROWS_OF, 1024, (4, 128))
    check_schedule(NEST, replace(ROWS_OF, workgroup=(512,)), 1024, (8, 128))
    with pytest.raises(ShapeError, match="subgroups=True is for devices that have them"):
        check_schedule(NEST, Schedule(subgroups=True))


def test_limits() -> None:
    for schedule in (Schedule(unroll_reduce=1 << 20), Schedule(tile=(1 << 10, 1 << 10))):
        with pytest.raises(LimitError, match="is beyond the limit of 4096"):
            check_schedule(NEST, schedule)


def test_what_is_just_at_a_limit_passes() -> None:
    check_schedule(NEST, Schedule(unroll_reduce=4096))
    check_schedule(NEST, Schedule(tile=(64, 64)))
    check_schedule(NEST, Schedule(chunks=MOST_CHUNKS))
    check_schedule(NEST, Schedule(reduce_block=2))
    check_schedule(NEST, Schedule(vector="inner", width=64, unroll=64))
    for schedule in (
        Schedule(unroll_reduce=4097),
        Schedule(tile=(64, 65)),
        Schedule(chunks=MOST_CHUNKS + 1),
        Schedule(vector="inner", width=64, unroll=128),
        Schedule(tile=(2, 1), vector="inner", width=64, unroll=64),
    ):
        with pytest.raises(LimitError, match="is beyond the limit"):
            check_schedule(NEST, schedule)
    # Along an outer axis the lanes are points of its tile.
    check_schedule(NEST, Schedule(tile=(1, 4096), vector=1, width=64, unroll=64))


def test_values_that_run_in_order_are_no_lanes() -> None:
    stage = replace(STAGE, axes=(COLUMNS,), combiner="scan:add")
    running = Nest("running", (ROWS,), (stage,), ())
    with pytest.raises(ShapeError, match="along which values run in order"):
        check_schedule(running, Schedule(vector="inner"))
    check_schedule(running, Schedule(vector="inner", workgroup=(64,)), invocations=64)


def test_lanes_are_no_axis_that_decides_how_long_others_are() -> None:
    short = Var("k", build.add(ROWS, build.index(1)))
    value = Load(SOURCE, (ROWS, short))
    total = Buffer("t", (6,), dtypes.F32)
    stage = Stage((), (short,), "add", value, total, (ROWS,))
    nest = Nest("triangle", (ROWS,), (stage,), ())
    with pytest.raises(ShapeError, match="is an axis that others depend on in their size"):
        check_schedule(nest, Schedule(vector=0))
    with pytest.raises(ShapeError, match="several points of an axis that sizes depend on"):
        check_schedule(nest, Schedule(tile=(2,)))
    check_schedule(nest, Schedule(tile=(1,)))


def product_of_row(lines: int) -> Nest:
    column, line = Var("column", 8), Var("line", lines)
    row, matrix = Buffer("row", (lines,), dtypes.F32), Buffer("matrix", (lines, 8), dtypes.F32)
    out, total = Buffer("out", (8,), dtypes.F32), Buffer("total", (), dtypes.F32)
    value = build.mul(Load(row, (line,)), Load(matrix, (line, column)))
    stages = (
        Stage((), (line,), "add", value, total, ()),
        Stage((), (), None, Load(total, ()), out, (column,)),
    )
    return Nest("product", (column,), stages, (total,))


def test_lines_of_a_row_times_a_matrix() -> None:
    nest = product_of_row(12)
    check_schedule(nest, Schedule(lines=4, chunks=3))
    check_schedule(nest, Schedule(lines=MOST_LINES))
    with pytest.raises(LimitError, match="lines is beyond the limit"):
        check_schedule(nest, Schedule(lines=MOST_LINES + 1))
    with pytest.raises(ShapeError, match="chunks=5 do not divide the 12 lines"):
        check_schedule(nest, Schedule(lines=4, chunks=5))


def test_tiles_through_workgroup_memory() -> None:
    i, j, k = Var("i", 8), Var("j", 8), Var("k", 16)
    a, b = Buffer("a", (8, 16), dtypes.F32), Buffer("b", (16, 8), dtypes.F32)
    out, total = Buffer("out", (8, 8), dtypes.F32), Buffer("total", (), dtypes.F32)
    stages = (
        Stage((), (k,), "add", build.mul(Load(a, (i, k)), Load(b, (k, j))), total, ()),
        Stage((), (), None, Load(total, ()), out, (i, j)),
    )
    nest = Nest("matmul", (i, j), stages, (total,))
    good = Schedule(tile=(4, 4), workgroup=(2, 2), stage_tile=8)
    check_schedule(nest, good, invocations=64)
    with pytest.raises(ShapeError, match="stage_tile=-8 is for contractions"):
        check_schedule(nest, replace(good, stage_tile=-8), invocations=64)
    for wrong in ((4,), (4, 2), (4, 6), (0, 4)):
        with pytest.raises(ShapeError, match="is not two multiples of 4"):
            check_schedule(nest, replace(good, tile=wrong), invocations=64)
    for workgroup in ((4,), (2, 2, 1)):
        with pytest.raises(ShapeError, match="is not two sizes, which stage_tile needs"):
            check_schedule(nest, replace(good, workgroup=workgroup), invocations=64)


def sum_nest(value_of: Callable[[Expr, Expr], Expr]) -> Nest:
    i, j, k = Var("i", 8), Var("j", 8), Var("k", 18)
    a, b = Buffer("a", (8, 18), dtypes.F32), Buffer("b", (18, 8), dtypes.F32)
    out = Buffer("out", (8, 8), dtypes.F32)
    value = value_of(Load(a, (i, k)), Load(b, (k, j)))
    return Nest("sum", (i, j), (Stage((), (k,), "add", value, out, (i, j)),), ())


def test_parts_of_a_sum() -> None:
    nest = sum_nest(build.mul)
    check_schedule(nest, Schedule(split_reduce=9), invocations=64)
    for wrong, why in ((0, "is less than 1"), (4, "does not divide the only"), (18, "does not")):
        with pytest.raises(ShapeError, match=f"split_reduce={wrong} {why}"):
            check_schedule(nest, Schedule(split_reduce=wrong), invocations=64)
    with pytest.raises(ShapeError, match="split_reduce=2 does not divide"):
        check_schedule(NEST, Schedule(split_reduce=2), invocations=64)
    with pytest.raises(LimitError, match="split_reduce is beyond the limit of 64"):
        check_schedule(nest, Schedule(split_reduce=128), invocations=64)
    with pytest.raises(ShapeError, match="split_reduce=2 is for targets with workgroups"):
        check_schedule(nest, Schedule(split_reduce=2))
    with pytest.raises(ShapeError, match="split_reduce='2' is not an integer"):
        check_schedule(nest, Schedule(split_reduce="2"), invocations=64)  # type: ignore[arg-type]


def test_slices_cut_only_sums_that_vanish() -> None:
    staged = Schedule(tile=(4, 4), workgroup=(2, 2), stage_tile=4)
    check_schedule(sum_nest(build.mul), staged, invocations=64)
    distance = sum_nest(lambda a, b: build.mul(build.sub(a, b), build.sub(a, b)))
    with pytest.raises(ShapeError, match="stage_tile=4 cuts the 18 terms of a sum"):
        check_schedule(distance, staged, invocations=64)
    check_schedule(distance, replace(staged, stage_tile=9), invocations=64)
    with pytest.raises(ShapeError, match="stage_tile=6 cuts the 9 terms"):
        check_schedule(distance, replace(staged, stage_tile=6, split_reduce=2), invocations=64)


def test_sizes_of_workgroups() -> None:
    check_schedule(NEST, Schedule(workgroup=(8, 4, 2)), invocations=64)
    for wrong in ((8, 2, 2, 1), (0,), (8, -1)):
        with pytest.raises(ShapeError, match="is not one to three sizes from 1 up"):
            check_schedule(NEST, Schedule(workgroup=wrong), invocations=64)
    check_schedule(NEST, Schedule(tile=(1, 13), vector=1, width=4, workgroup=(8,)), invocations=64)


def test_workgroups() -> None:
    check_schedule(NEST, Schedule(workgroup=(256,)), invocations=256)
    with pytest.raises(LimitError, match="workgroup is beyond the limit of 128"):
        check_schedule(NEST, Schedule(workgroup=(256,)), invocations=128)
    with pytest.raises(ShapeError, match="vector=1 is an axis of 13 points, which tiles cut"):
        check_schedule(NEST, Schedule(tile=(1, 4), vector=1, width=4), invocations=128)


def test_vectors_along_the_only_axis_may_leave_a_rest() -> None:
    source, out = Buffer("a", (13,), dtypes.F32), Buffer("out", (13,), dtypes.F32)
    stage = Stage((), (), None, Load(source, (COLUMNS,)), out, (COLUMNS,), "copy")
    given = Schedule(tile=(4,), vector=0, width=4, workgroup=(8,))
    check_schedule(Nest("copy", (COLUMNS,), (stage,), ()), given, invocations=8)
    i = Var("i", 64)
    rows = Buffer("a", (13, 64), dtypes.F32)
    total = Stage((), (i,), "add", Load(rows, (COLUMNS, i)), out, (COLUMNS,), "sum")
    summed = Nest("sum", (COLUMNS,), (total,), ())
    check_schedule(summed, given, invocations=8)
    with pytest.raises(ShapeError, match="vector=0 is an axis of 13 points, which tiles cut"):
        check_schedule(summed, replace(given, split_reduce=2), invocations=8)


def test_what_runs_in_order_is_not_spread_over_lanes() -> None:
    running = replace(
        NEST, outer=(ROWS,), stages=(replace(STAGE, axes=(COLUMNS,), combiner="scan:add"),)
    )
    with pytest.raises(ShapeError, match="vector='inner' is an axis along which values run in ord"):
        check_schedule(running, Schedule(vector="inner", width=4))


def test_an_axis_that_decides_the_size_of_others_is_not_spread_over_lanes() -> None:
    short = Var("j", build.add(ROWS, build.index(1)))
    triangle = replace(NEST, outer=(ROWS,), stages=(replace(STAGE, axes=(short,)),))
    with pytest.raises(ShapeError, match="vector=0 is an axis that others depend on"):
        check_schedule(triangle, Schedule(tile=(1,), vector=0, width=4))


def test_invocations_do_not_cut_an_axis_of_unknown_length_into_vectors() -> None:
    i, j = Var("i", 6), Var("j", Var("N", least=1))
    source, out = (Buffer(name, (6, Var("N", least=1)), dtypes.F32) for name in ("x", "y"))
    nest = Nest("copy", (i, j), (Stage((), (), None, Load(source, (i, j)), out, (i, j)),), ())
    given = Schedule(tile=(1, 4), vector=1, width=4, workgroup=(8,))
    with pytest.raises(ShapeError, match="vector=1 is an axis of N points, which tiles cut"):
        check_schedule(nest, given, invocations=64)
