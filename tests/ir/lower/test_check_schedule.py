"""Schedules that a user gave against the nests that they are for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tilewright.ir import build, dtypes
from tilewright.ir.errors import LimitError, ShapeError
from tilewright.ir.expr import Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.check_schedule import check_schedule
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
    ],
)
def test_what_does_not_fit_is_named(schedule: Schedule, said: str) -> None:
    with pytest.raises(ShapeError, match=f"^schedule of double: {said}"):
        check_schedule(NEST, schedule)


def test_limits() -> None:
    for schedule in (Schedule(unroll_reduce=1 << 20), Schedule(tile=(1 << 10, 1 << 10))):
        with pytest.raises(LimitError, match="is beyond the limit of 4096"):
            check_schedule(NEST, schedule)


def test_workgroups() -> None:
    check_schedule(NEST, Schedule(workgroup=(256,)), invocations=256)
    with pytest.raises(LimitError, match="workgroup is beyond the limit of 128"):
        check_schedule(NEST, Schedule(workgroup=(256,)), invocations=128)
    with pytest.raises(ShapeError, match="vector=1 is an axis of 13 points, which tiles cut"):
        check_schedule(NEST, Schedule(tile=(1, 4), vector=1, width=4), invocations=128)


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
        check_schedule(triangle, Schedule(tile=(4,), vector=0, width=4))
