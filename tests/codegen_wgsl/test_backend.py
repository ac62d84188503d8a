"""Whole programs: every kind of step, limits, and the errors that name a way out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen_wgsl.nests import axes, compile_program, elementwise, operation, program, run
from tilewright.codegen_wgsl.backend import build
from tilewright.codegen_wgsl.device import Device
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir import artifact, dtypes, ops
from tilewright.ir import build as b
from tilewright.ir.artifact import ShaderLaunch
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I32, I64, INDEX, U8
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Expr, Load, Var
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import (
    Copy,
    Nest,
    Ordered,
    Program,
    Repeat,
    RepeatWhile,
    SortRows,
    Stage,
)
from tilewright.ir.schedule import Schedule


def add_counter(state: Buffer, counter: Var, scale: int) -> Nest:
    """``state = state * 3 + counter * scale``."""
    (i,) = axes(i=4)
    step = b.mul(b.cast(counter, I32), b.const(scale, I32))
    value = b.add(b.mul(Load(state, (i,)), b.const(3, I32)), step)
    return Nest("step", (i,), (Stage((), (), None, value, state, (i,)),), ())


@pytest.mark.wgsl
def test_repeat(device: Device) -> None:
    x, state = Buffer("x", (4,), I32), Buffer("state", (4,), I32)
    outer, inner = Var("outer", 3), Var("inner", 5)
    steps = (
        Copy(x, state),
        Repeat(
            outer,
            (add_counter(state, outer, 7), Repeat(inner, (add_counter(state, inner, 1),))),
        ),
    )
    given = np.array([1, -2, 3, 0], np.int32)
    (got,) = run(device, program([x], [state], steps), [given])
    want = given
    for one in range(3):
        want = want * 3 + one * 7
        for two in range(5):
            want = want * 3 + two
    np.testing.assert_array_equal(got, want)


def test_an_outer_counter_cannot_reach_an_inner_loop() -> None:
    x, state = Buffer("x", (4,), I32), Buffer("state", (4,), I32)
    outer, inner = Var("outer", 3), Var("inner", 5)
    steps = (Copy(x, state), Repeat(outer, (Repeat(inner, (add_counter(state, outer, 1),)),)))
    with pytest.raises(UnsupportedError, match="step depends on outer"):
        build(program([x], [state], steps))


def test_a_loop_that_data_end_is_refused() -> None:
    flag = Buffer("flag", (), BOOL)
    with pytest.raises(UnsupportedError, match="read the condition back"):
        build(program([flag], [flag], [RepeatWhile((), flag, ())]))


@pytest.mark.wgsl
@pytest.mark.parametrize("dtype", [F32, U8, F16, I64], ids=str)
@pytest.mark.parametrize("alone", [True, False])
def test_copies_between_packed_and_plain(device: Device, dtype: dtypes.DType, alone: bool) -> None:
    """An input is packed, an array with an element that is written alone is not: a copy from one
    to the other takes a shader where the dtype is narrow."""
    x, out = Buffer("x", (3, 5), dtype), Buffer("out", (3, 5), dtype)
    (i,) = axes(i=1)
    place = (b.add(i, b.index(1)), b.index(2))
    stage = Stage((), (), None, Load(x, (i, b.index(0))), out, place, "one")
    single = [] if alone else [Nest("one", (i,), (stage,), ())]
    made = program([x], [out], [Copy(x, out), *single])
    copy, *_ = compile_program(made).program.steps
    assert isinstance(copy, ShaderLaunch) == (dtype.bits < 32 and not alone)
    given = np.arange(-7, 8).astype(dtype.numpy).reshape(3, 5)
    wanted = given.copy()
    if not alone:
        wanted[1, 2] = given[0, 0]
    np.testing.assert_array_equal(run(device, made, [given])[0], wanted)


@pytest.mark.wgsl
@pytest.mark.parametrize("combiner", [None, "add", "max"])
@pytest.mark.parametrize("updates", [10, 1])
def test_scatter(
    device: Device, rng: np.random.Generator, combiner: str | None, updates: int
) -> None:
    x, places = Buffer("x", (6,), I32), Buffer("places", (updates,), I32)
    values, out = Buffer("values", (updates,), I32), Buffer("out", (6,), I32)
    (k,) = axes(k=updates)
    target = b.cast(Load(places, (k,)), INDEX)
    step = Ordered("scatter", (k,), out, (target,), Load(values, (k,)), combiner)
    made = program([x, places, values], [out], [Copy(x, out), step])
    given = [rng.integers(0, 6, size).astype(np.int32) for size in (6, updates, updates)]
    want = given[0].copy()
    if combiner is None:
        for place, value in zip(given[1], given[2], strict=True):
            want[place] = value
    else:
        (np.add if combiner == "add" else np.maximum).at(want, given[1], given[2])
    np.testing.assert_array_equal(run(device, made, given)[0], want)


@pytest.mark.wgsl
def test_a_scatter_of_many_updates_runs_in_order(device: Device) -> None:
    x, out = Buffer("x", (20_000,), I32), Buffer("out", (20_000,), I32)
    (k,) = axes(k=20_000)
    last = b.sub(b.index(19_999), k)
    step = Ordered("reverse", (k,), out, (last,), Load(x, (k,)), None)
    given = np.arange(20_000, dtype=np.int32)
    (got,) = run(device, program([x], [out], [step]), [given])
    np.testing.assert_array_equal(got, given[::-1])


@pytest.mark.wgsl
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (2, 300), (1, 513), (2, 1000), (1, 5000)])
def test_sort(
    device: Device, rng: np.random.Generator, shape: tuple[int, int], positions: bool
) -> None:
    x = Buffer("x", shape, F32)
    out = Buffer("out", shape, I64 if positions else F32)
    made = program([x], [out], [SortRows("sort", x, out, 1, positions)])
    given = rng.integers(-9, 9, shape).astype(np.float32)
    given[0, 0] = np.nan
    want = given.argsort(axis=1, kind="stable") if positions else np.sort(given, axis=1)
    np.testing.assert_array_equal(run(device, made, [given])[0], want)


def test_long_sorts_compile_few_kernels() -> None:
    """Launches of the same distance are one kernel, whatever runs they merge."""
    x, out = Buffer("x", (1, 200_000), F32), Buffer("out", (1, 200_000), F32)
    made = compile_program(program([x], [out], [SortRows("sort", x, out, 1, False)]))
    sources = [step.source for step in made.program.steps if isinstance(step, ShaderLaunch)]
    assert len(sources) == 1 + 1 + 9 * 10 // 2 + 9 + 1
    assert len(set(sources)) <= 1 + 1 + 9 + 8 + 2 + 1


@pytest.mark.wgsl
def test_empty_arrays(device: Device) -> None:
    x = Buffer("x", (0, 3), F32)
    (got,) = run(
        device, elementwise("nothing", [x], lambda v: v, F32), [np.zeros((0, 3), np.float32)]
    )
    assert got.shape == (0, 3)


def test_buffers_say_how_they_are_stored() -> None:
    specs = compile_program(operation(ops.ADD, [U8, U8], 10)).program.buffers
    assert [(s.dtype, s.storage, s.packed) for s in specs] == [
        ("uint8", "uint32", 4),
        ("uint8", "uint32", 4),
        ("uint8", "uint32", 4),
    ]
    wide = compile_program(operation(ops.ADD, [I64, I64], 10)).program.buffers
    assert [(s.dtype, s.storage) for s in wide] == [("int64", "int32")] * 3


def test_float64_is_refused_by_name() -> None:
    x = Buffer("x", (4,), F32)
    made = elementwise("np.mean", [x], lambda v: b.cast(b.cast(v, F64), F32), F32)
    with pytest.raises(UnsupportedError) as error:
        build(made)
    assert str(error.value) == (
        "WebGPU has no float64, but np.mean has that dtype\n"
        "help: convert to float32 (x.astype(np.float32), np.float32(0.5)), or compile with "
        'f64="f32", which computes it in float32'
    )
    assert build(made, WgslOptions(f64="f32")).notes == ("float64 is computed in float32: np.mean",)


@pytest.mark.wgsl
def test_float64_in_float32(device: Device) -> None:
    from tilewright.codegen_wgsl.run import LoadedProgram

    x = Buffer("x", (4,), F64)
    made = elementwise("double", [x], lambda v: b.add(v, v), F64)
    built = build(made, WgslOptions(f64="f32"))
    (got,) = LoadedProgram(device, built.program)([np.arange(4.0)])
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, np.arange(4) * 2)


def _read_through(count: int) -> Program:
    """One read with an index array for each axis: `count` arrays and two more in one launch."""
    x = Buffer("x", (2,) * count, F32)
    positions = [Buffer(f"p{k}", (4,), I32) for k in range(count)]
    target = Buffer("y", (4,), F32)
    (i,) = axes(i=4)
    value = Load(x, tuple(b.cast(Load(p, (i,)), INDEX) for p in positions))
    nest = Nest("read", (i,), (Stage((), (), None, value, target, (i,)),), ())
    return program([x, *positions], [target], [nest])


def test_too_many_arrays() -> None:
    assert len(build(_read_through(6)).program.steps) == 1  # as many as every device binds
    with pytest.raises(UnsupportedError, match="read uses 9 arrays at once, but WebGPU binds at"):
        build(_read_through(7))


def test_open_dimensions_are_refused() -> None:
    n = Var("N", least=0)
    x, out = Buffer("x", (n,), F32), Buffer("out", (n,), F32)
    with pytest.raises(UnsupportedError, match="x has open dimension N"):
        build(Program("open", (n,), (x,), (out,), (), (), ()))


def test_an_open_number_of_rounds_is_refused() -> None:
    state = Buffer("state", (4,), I32)
    counter = Var("k", Var("n", least=0))
    with pytest.raises(UnsupportedError) as caught:
        build(program([state], [state], [Repeat(counter, (add_counter(state, counter, 1),))]))
    assert str(caught.value) == (
        "the WebGPU target needs a fixed number of loop steps, not n\n"
        'help: pass the number as a Python int, or use target="cpu"'
    )


def test_wide_constants_are_refused() -> None:
    x = Buffer("x", (4,), I64)
    made = elementwise("mask", [x], lambda v: b.add(v, b.const(1 << 40, I64)), I64)
    with pytest.raises(UnsupportedError, match="the constant 1099511627776 needs 64-bit integers"):
        build(made)


def test_nextafter_of_halves_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="nextafter of float16"):
        build(operation(ops.NEXTAFTER, [F16, F16], 4))


def test_a_program_is_plain_data() -> None:
    import pickle

    made = compile_program(operation(ops.ADD, [F32, F32], 10)).program
    assert pickle.loads(pickle.dumps(made)) == made
    assert isinstance(made, artifact.GpuProgram)


@pytest.mark.wgsl
@pytest.mark.parametrize("uses", [1, 2])
def test_casts_that_are_none_keep_their_brackets(device: Device, uses: int) -> None:
    """``index(x + 1) * 20`` was spelled ``x + 1 * 20``."""

    def value(x: Expr) -> Expr:
        position = b.cast(b.add(x, b.const(1, I32)), INDEX)
        product = b.mul(position, b.index(20))
        return b.cast(product if uses == 1 else b.add(product, position), I32)

    x = np.arange(5, dtype=np.int32)
    made = elementwise("positions", [Buffer("x", (5,), I32)], value, I32)
    (got,) = run(device, made, [x])
    np.testing.assert_array_equal(got, (x + 1) * (20 if uses == 1 else 21))


@pytest.mark.parametrize(("length", "ranked"), [(256, True), (257, False)])
def test_long_rows_are_sorted_by_exchanges(length: int, ranked: bool) -> None:
    """Up to the limit every element is compared with all others."""
    x, out = Buffer("x", (2, length), F32), Buffer("out", (2, length), F32)
    made = build(program([x], [out], [SortRows("sort", x, out, 1, False)])).program
    names = [step.name for step in made.steps if isinstance(step, ShaderLaunch)]
    assert ("sort_rank" in names) == ranked


def test_what_does_nothing_is_not_launched() -> None:
    """Loops of no rounds or no steps, and nests over no points."""
    x, state = Buffer("x", (4,), I32), Buffer("state", (4,), I32)
    counter = Var("k", 0)
    steps = (Copy(x, state), Repeat(counter, (add_counter(state, counter, 1),)))
    (only,) = build(program([x], [state], steps)).program.steps
    assert isinstance(only, artifact.CopyBuffer)
    (only,) = build(program([x], [state], [Copy(x, state), Repeat(Var("k", 3), ())])).program.steps
    assert isinstance(only, artifact.CopyBuffer)
    empty = elementwise("none", [Buffer("x", (0, 3), F32)], lambda v: v, F32)
    assert build(empty).program.steps == ()


def test_options_and_schedules_are_used() -> None:
    x = Buffer("x", (4,), F32)
    doubled = elementwise("twice", [x], lambda v: b.add(b.cast(b.cast(v, F64), F32), v), F32)
    with pytest.raises(UnsupportedError, match="float64"):
        build(doubled)
    assert build(doubled, WgslOptions(f64="f32")).notes
    plain = elementwise("twice", [x], lambda v: b.add(v, v), F32)
    ((name, schedule),) = build(plain, None, {"twice": Schedule(workgroup=(2,))}).schedules
    assert (name, schedule.workgroup) == ("twice", (2,))
