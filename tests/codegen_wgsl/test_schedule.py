"""Default schedules and spaces: what they take from the device, and that all of it is legal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.codegen_wgsl.nests import axes, linear_relu, program, reduction, softmax
from tilewright.codegen_wgsl.adapter import DeviceInfo, DeviceLimits
from tilewright.codegen_wgsl.backend import build, tunable_nests
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.codegen_wgsl.schedule_space import schedule_space
from tilewright.compiler.runtime import runtime
from tilewright.ir import ops
from tilewright.ir.dtypes import F32
from tilewright.ir.errors import LimitError, ShapeError
from tilewright.ir.expr import Apply, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.lower.check_schedule import check_schedule
from tilewright.ir.program import Nest, Program, Stage
from tilewright.ir.schedule import INNER, Schedule
from tilewright.ir.schedule_space import ScheduleSpace

PROCESSOR = WgslOptions(is_processor=True)
LARGE = DeviceInfo(
    name="card",
    driver="driver",
    api="Vulkan",
    kind="DiscreteGPU",
    features=frozenset({"subgroup", "shader-f16"}),
    limits=DeviceLimits(
        workgroup_invocations=1024,
        workgroup_size=(1024, 1024, 64),
        workgroup_storage=49152,
        workgroups_per_dimension=65535,
        storage_buffers=16,
        storage_binding_bytes=1 << 31,
        buffer_bytes=1 << 31,
        uniform_alignment=64,
    ),
    subgroup_sizes=(32, 64),
)


def default(made: Program, options: WgslOptions | None = None) -> Schedule:
    ((_, schedule),) = tunable_nests(made, options)
    return schedule


def space(made: Program, options: WgslOptions | None = None) -> tuple[Nest, ScheduleSpace]:
    ((nest, schedule),) = tunable_nests(made, options)
    return nest, schedule_space(nest, schedule, options or WgslOptions())


def values(found: ScheduleSpace, name: str) -> tuple[Any, ...]:
    (known,) = (k.values for k in found.knobs if k.name == name)
    return known


def test_options_on_a_device_have_its_limits() -> None:
    assert WgslOptions(f64="f32", fast=True).on(LARGE) == WgslOptions(
        f64="f32",
        fast=True,
        storage_buffers=16,
        workgroup_invocations=1024,
        workgroup_bytes=49152,
        subgroup_sizes=(32, 64),
    )
    narrow = replace(LARGE, limits=replace(LARGE.limits, workgroup_size=(128, 1024, 64)))
    assert WgslOptions().on(narrow).workgroup_invocations == 128
    assert WgslOptions().on(replace(LARGE, kind="CPU")).is_processor


def test_rows_have_a_workgroup_each_except_on_processors() -> None:
    assert default(softmax(1024, 1000)) == Schedule(vector=INNER, width=4, workgroup=(128,))
    assert default(softmax(1024, 999)) == Schedule(vector=INNER, workgroup=(256,))
    assert default(softmax(1024, 99), PROCESSOR) == Schedule(workgroup=(32,))
    # Local arrays of a thousand elements take Mesa's compiler half a minute.
    assert default(softmax(1024, 999), PROCESSOR) == Schedule(vector=INNER, workgroup=(4, 1))
    assert default(softmax(4, 1000), PROCESSOR) == Schedule(vector=INNER, workgroup=(16,))


def matvec(rows: int, length: int) -> Program:
    a, v = Buffer("a", (rows, length), F32), Buffer("v", (length,), F32)
    out = Buffer("out", (rows,), F32)
    i, k = axes(i=rows, k=length)
    product = Apply(ops.MUL, (Load(a, (i, k)), Load(v, (k,))))
    nest = Nest("matvec", (i,), (Stage((), (k,), "add", product, out, (i,)),), ())
    return program([a, v], [out], [nest])


def test_a_row_of_a_processor_has_one_invocation() -> None:
    """If it is one of whole vectors."""
    alone = Schedule(vector=INNER, width=4, workgroup=(16, 1))
    assert default(softmax(4096, 64), PROCESSOR) == alone
    assert default(softmax(1024, 1000), PROCESSOR).workgroup == (4, 1)  # memory for no more
    assert default(softmax(4096, 63), PROCESSOR).vector is None
    assert default(softmax(4096, 16), PROCESSOR).vector is None
    assert default(reduction((4096, 64), 0, "add"), PROCESSOR).vector != INNER
    assert default(matvec(4096, 1024), PROCESSOR) == replace(alone, tile=(4,))


def test_a_product_with_a_vector_reads_it_for_several_rows() -> None:
    """As long as enough invocations are left."""
    four = Schedule(tile=(4,), vector=INNER, width=4, workgroup=(128,))
    assert default(matvec(4096, 1024)) == four
    assert default(matvec(64, 4096)).tile == (2,)
    assert default(matvec(16, 4096)).tile == ()
    assert default(matvec(4096, 1023)).width == 1
    assert default(reduction((4096, 1024), 1, "add")).tile == ()  # nothing in common
    assert values(space(matvec(4096, 1024))[1], "row tile") == (1, 2, 4, 8)


def test_rows_beyond_the_memory_of_a_workgroup_are_a_limit() -> None:
    rows = Schedule(vector=INNER, workgroup=(8, 1))
    with pytest.raises(
        LimitError, match="shares 32000 bytes of memory, which is beyond the limit of 16384"
    ):
        build(softmax(64, 1000), None, {"softmax": rows})
    build(softmax(64, 1000), None, {"softmax": replace(rows, workgroup=(4, 1))})


def test_more_invocations_are_tried_but_not_the_default() -> None:
    options = WgslOptions(workgroup_invocations=1024)
    assert default(softmax(64, 2000), options).workgroup == (256,)
    assert max(values(space(softmax(64, 2000), options)[1], "threads")) == 1024
    assert max(values(space(softmax(64, 2000))[1], "threads")) == 256


def test_products_have_tiles_in_registers_on_processors() -> None:
    made = default(linear_relu(256, 256, 64), PROCESSOR)
    assert (made.tile, made.vector, made.stage_tile) == ((8, 8), 1, 0)
    assert made.workgroup == (16,)
    small = default(linear_relu(64, 64, 64), PROCESSOR)  # enough workgroups for all cores
    assert (small.tile, small.workgroup) == ((8, 4), (8,))
    assert default(linear_relu(256, 255, 64), PROCESSOR).stage_tile > 0  # no whole vectors


@pytest.mark.parametrize("options", [WgslOptions(), PROCESSOR, WgslOptions().on(LARGE)])
@pytest.mark.parametrize("made", [softmax(70, 300), linear_relu(40, 36, 24), linear_relu(33, 7, 5)])
def test_every_schedule_of_a_space_is_legal_and_within_the_limits(
    made: Program, options: WgslOptions
) -> None:
    nest, found = space(made, options)
    assert found.schedule(found.default) == default(made, options)
    rng = np.random.default_rng(5)
    legal = 0
    for _ in range(60):
        schedule = found.schedule(tuple(int(rng.integers(len(k.values))) for k in found.knobs))
        if schedule is not None:
            legal += 1
            check_schedule(nest, schedule, options.workgroup_invocations, options.subgroup_sizes)
            assert math.prod(schedule.workgroup) <= options.workgroup_invocations
            build(made, options, {nest.name: schedule})
    assert legal > 10


def test_subgroups_are_tried_where_there_are_some_and_no_default() -> None:
    """Of rows, whose workgroups are whole subgroups of any size that the device has."""
    options = WgslOptions().on(LARGE)
    assert not default(softmax(64, 2000), options).subgroups
    _, found = space(softmax(64, 2000), options)
    made = [found.schedule(point) for point in found.points()]
    assert {s.workgroup for s in made if s and s.subgroups} == {
        (threads,) for threads in (64, 128, 256, 512, 1024)
    }
    several = found.near(Schedule(vector=INNER, workgroup=(4, 64)))
    names = [knob.name for knob in found.knobs]
    changed = tuple(1 if n == "subgroups" else k for n, k in zip(names, several, strict=True))
    assert found.schedule(changed) == Schedule(vector=INNER, workgroup=(256,), subgroups=True)
    _, without = space(softmax(64, 2000), WgslOptions().on(replace(LARGE, subgroup_sizes=None)))
    assert "subgroups" not in [k.name for k in without.knobs]
    with pytest.raises(ShapeError, match="subgroups=True is for devices that have them"):
        build(
            softmax(64, 2000),
            WgslOptions(subgroup_sizes=None),
            {"softmax": Schedule(vector=INNER, workgroup=(128,), subgroups=True)},
        )


def test_long_sums_of_few_results_are_split() -> None:
    """With tiles in workgroup memory, and of a row; not on processors, nor where results are many
    or sums short."""
    assert default(linear_relu(64, 64, 4096)).split_reduce == 16
    assert default(linear_relu(1, 128, 4096)).split_reduce == 16
    assert default(linear_relu(1, 128, 4096), PROCESSOR).split_reduce == 1
    assert default(linear_relu(1, 1024, 1024)).split_reduce == 1
    assert default(linear_relu(512, 512, 4096)).split_reduce == 1
    assert default(linear_relu(64, 64, 100)).split_reduce == 1
    assert values(space(linear_relu(64, 64, 100))[1], "parts") == (1, 2, 4)


def test_workgroups_of_rows_read_whole_pieces_of_memory() -> None:
    """Of columns 32 side by side; of short rows as many as make a workgroup of a good size; of
    long ones one each."""
    column_sums, row_sums = reduction((1024, 1000), 0, "add"), reduction((4000, 100), 1, "add")
    assert default(column_sums) == Schedule(vector=INNER, workgroup=(32, 8))
    many = Schedule(tile=(4,), vector=0, width=4, workgroup=(64,))
    assert default(reduction((64, 20000), 0, "add")) == many
    assert default(row_sums) == Schedule(vector=INNER, width=4, workgroup=(8, 16))
    assert default(reduction((4000, 99), 1, "add")) == Schedule(vector=INNER, workgroup=(4, 32))
    assert default(reduction((100, 99), 1, "add")) == Schedule(vector=INNER, workgroup=(32,))
    assert default(reduction((4000, 3000), 1, "add")).workgroup == (256,)
    few = default(reduction((4096, 64), 0, "add"))
    assert (few.workgroup, few.split_reduce) == ((32, 8), 32)


@pytest.mark.parametrize(
    ("shape", "tile", "threads"),
    [
        ((1024, 512), 8, 16),
        ((4096, 64), 8, 4),  # few invocations: two workgroups of them
        ((300, 132), 4, 8),
        ((20, 512), 1, 16),  # short sums are written out
        ((1000, 999), 1, 16),
    ],
)
def test_columns_are_summed_in_vectors_on_processors(
    shape: tuple[int, int], tile: int, threads: int
) -> None:
    found = default(reduction(shape, 0, "add"), PROCESSOR)
    assert (math.prod(found.tile), found.workgroup) == (tile, (threads,))
    assert found.width == (4 if tile > 1 else 1)


def test_teams_share_the_memory_of_a_workgroup() -> None:
    """Local rows of 1000 elements: as many teams as 16 KiB hold."""
    columns = softmax(512, 1000, axis=0)
    assert default(columns) == Schedule(vector=INNER, workgroup=(4, 16))
    _, found = space(columns)
    made = [found.schedule(point) for point in found.points()]
    assert {s.workgroup[0] for s in made if s and len(s.workgroup) == 2} == {2, 4}


def test_points_of_other_sizes_keep_their_tiles() -> None:
    _, large = space(linear_relu(256, 256, 64), PROCESSOR)
    _, small = space(linear_relu(64, 32, 64), PROCESSOR)
    schedule = large.schedule(large.default)
    assert schedule is not None
    assert small.schedule(small.near(schedule)) == schedule


def test_maps_have_tiles_along_rows_and_columns() -> None:
    x, out = Buffer("x", (256, 64), F32), Buffer("out", (64, 256), F32)
    i, j = axes(i=64, j=256)
    nest = Nest("turn", (i, j), (Stage((), (), None, Load(x, (j, i)), out, (i, j)),), ())
    _, found = space(program([x], [out], [nest]))
    assert values(found, "tile rows") == values(found, "tile columns") == (1, 2, 4, 8)


@tw.kernel(target="wgsl")
def rows(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_ahead_of_time_the_limits_are_those_of_any_device() -> None:
    made = rows.compile(tw.f32[512, 700])
    assert list(made.schedule.values()) == [Schedule(vector=INNER, width=4, workgroup=(128,))]


@pytest.mark.wgsl
def test_calls_use_what_the_device_has() -> None:
    rows(np.ones((512, 700), np.float32))
    options = WgslOptions().on(runtime().webgpu.info)
    ((_, schedule),) = rows.specializations[-1].artifact.schedules
    assert schedule == default(softmax(512, 700), options)


@tw.kernel
def depthwise(x: Any, w: Any) -> Any:
    (height, width, channels), (down, across, _) = x.shape, w.shape
    return tw.compute(
        (height - down + 1, width - across + 1, channels),
        lambda i, j, c: tw.sum(lambda p, q: x[i + p, j + q, c] * w[p, q, c], (down, across)),
    )


@tw.kernel
def sharpened(x: Any) -> Any:
    return 3 * x[1:-1] - x[:-2] - x[2:]


def only_schedule(kernel: Any, *specs: Any) -> Schedule:
    (found,) = kernel.compile(*specs, target="wgsl").schedule.values()
    assert isinstance(found, Schedule)
    return found


def test_overlapping_windows_are_read_once() -> None:
    """Four outputs of a depthwise convolution along the width, for four channels each, read
    three rows of six places and nine weights."""
    made = depthwise.compile(tw.f32[114, 114, 64], tw.f32[3, 3, 64], target="wgsl")
    (schedule,) = made.schedule.values()
    assert (schedule.tile, schedule.vector) == ((1, 4, 4), 2)
    assert made.source.count("b0[") == 18
    assert made.source.count("b1[") == 9
    assert only_schedule(sharpened, tw.f32[514, 1024]).tile[0] == 4
    assert len(only_schedule(sharpened, tw.f32[514, 511]).tile) < 2  # rows are no vectors


def long(x: Any) -> Any:
    return np.sin(np.exp(np.tan(np.sin(np.exp(np.tan(np.sin(x)))))))


@pytest.mark.parametrize(
    ("kernel", "specs"),
    [
        (sharpened, (tw.f32[34, 64],)),  # too few points
        (sharpened, (tw.f32[9, 16384],)),  # too short for tiles that do not fit
        (depthwise, (tw.f32[120, 120, 64], tw.f32[7, 7, 64])),  # a loop shares nothing
        (tw.kernel(lambda x: x[:-1, :] + 1), (tw.f32[513, 512],)),  # no overlap
        (tw.kernel(lambda x: x[:-4, :] + x[4:, :]), (tw.f32[516, 512],)),  # nor within four
        (tw.kernel(lambda x: x[:, 1:] - x[:, :-1]), (tw.f32[512, 513],)),  # along the last axis
        (tw.kernel(lambda x: long(x[1:] - x[:-1])), (tw.f32[513, 512],)),
    ],
)
def test_where_windows_are_not_shared(kernel: Any, specs: Any) -> None:
    tile = only_schedule(kernel, *specs).tile
    assert max(tile[:-1], default=1) == 1


@pytest.mark.wgsl
@pytest.mark.parametrize("shape", [(67, 1100), (66, 1100), (65, 1100)])
def test_tiles_that_do_not_fit_are_moved(shape: tuple[int, int], rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape, np.float32)
    assert only_schedule(sharpened, x).tile[0] == 4
    tw.testing.check(sharpened, (x,), targets=["wgsl"])
    x = rng.standard_normal((21, 18, 100), np.float32)
    tw.testing.check(depthwise, (x, x[:3, :3].copy()), targets=["wgsl"])


@tw.kernel
def turned(x: Any) -> Any:
    return 2 * x.T


@tw.kernel
def to_planes(image: Any) -> Any:
    return (image * np.float32(0.5)).transpose(2, 0, 1)


@tw.kernel
def to_pixels(planes: Any) -> Any:
    return (planes * np.float32(0.5)).transpose(1, 2, 0)


TURNS = [
    (turned, tw.f32[256, 512], (4, 4), 1),
    (turned, tw.f32[257, 511], (4, 4), None),  # tiles that do not fit are moved
    (tw.kernel(lambda x: x.T + x), tw.f32[256, 256], (4, 4), 1),
    (to_planes, tw.f32[200, 200, 3], (3, 4), 1),
    (to_pixels, tw.f32[3, 200, 200], (4, 3), None),
    (tw.kernel(lambda x: x.reshape(64, 32, 64).transpose(0, 2, 1)), tw.f32[2048, 64], (1, 4, 4), 2),
]


@pytest.mark.parametrize(("kernel", "spec", "tile", "vector"), TURNS)
def test_turns_read_and_store_whole_pieces(
    kernel: Any, spec: Any, tile: tuple[int, ...], vector: int | None
) -> None:
    schedule = only_schedule(kernel, spec)
    assert (schedule.tile, schedule.vector) == (tile, vector)


@pytest.mark.wgsl
@pytest.mark.parametrize(("kernel", "spec"), [row[:2] for row in TURNS])
def test_turns_are_right(kernel: Any, spec: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal(spec.shape, np.float32)
    tw.testing.check(kernel, (x,), targets=["wgsl"])


@pytest.mark.parametrize(
    ("kernel", "spec"),
    [
        (turned, tw.f32[32, 32]),  # too few points
        (turned, tw.f32[0, 32]),
        (tw.kernel(lambda x: x[:, ::-1] + 1), tw.f32[256, 512]),  # not along another axis
        (tw.kernel(lambda x: long(x).T), tw.f32[256, 512]),
    ],
)
def test_what_is_not_turned(kernel: Any, spec: Any) -> None:
    assert max(only_schedule(kernel, spec).tile[:-1], default=1) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((0, 300), (300, 40)),
        ((3, 300), (300, 0)),
        ((0, 16, 32), (32, 16)),
        ((4, 0), (0, 5)),
        ((0,), (0, 7)),
    ],
)
@pytest.mark.parametrize("is_processor", [False, True])
def test_products_without_results_or_terms(left: Any, right: Any, is_processor: bool) -> None:
    a, b = (Buffer(name, shape, F32) for name, shape in (("a", left), ("b", right)))
    *outer, depth = (Var(f"i{k}", n) for k, n in enumerate(left))
    column = Var("j", right[1])
    out = Buffer("out", (*left[:-1], right[1]), F32)
    value = Apply(ops.MUL, (Load(a, (*outer, depth)), Load(b, (depth, column))))
    stage = Stage((), (depth,), "add", value, out, (*outer, column))
    made = program([a, b], [out], [Nest("product", (*outer, column), (stage,), ())])
    assert build(made, WgslOptions(is_processor=is_processor)).schedules


@pytest.mark.parametrize(
    ("kernel", "spec", "tile"),
    [
        (tw.kernel(lambda x: x[:, ::-1]), tw.u8[9, 12, 3], (1, 4, 3)),
        (tw.kernel(lambda x: x[..., ::-1]), tw.u8[9, 12, 3], (4, 3)),
        (tw.kernel(lambda x: x[:, ::-1]), tw.u8[9, 13, 3], (4,)),  # rows end inside of words
        (tw.kernel(lambda x: x[:, ::-1]), tw.u8[9, 12, 4], (1, 1, 4)),
        (tw.kernel(lambda x: x[:, ::-1]), tw.f32[9, 12, 3], ()),
        (tw.kernel(lambda x: x[1:]), tw.u8[9, 13], (4,)),
        (tw.kernel(lambda x: x > 3), tw.f32[7], (4,)),
    ],
)
def test_narrow_results_are_whole_words(kernel: Any, spec: Any, tile: tuple[int, ...]) -> None:
    assert only_schedule(kernel, spec).tile == tile
