"""Whole programs on the device against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, buffer_like, compute, mapped, program_of, reduced, run
from tilewright.codegen_glsl.backend import build
from tilewright.codegen_glsl.device import GlDevice
from tilewright.codegen_glsl.options import GlslOptions
from tilewright.ir import build as b
from tilewright.ir import ops
from tilewright.ir.artifact import CopyBuffer, ShaderLaunch
from tilewright.ir.dtypes import BOOL, F16, F32, F64, I32, I64, U8
from tilewright.ir.errors import UnsupportedError
from tilewright.ir.expr import Apply, Var
from tilewright.ir.interpret.program import interpret_program
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

pytestmark = pytest.mark.glsl

Array = np.ndarray[Any, Any]
UNIT = 2.0**-24


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def assert_sum(actual: Array, terms: Array, axis: int | tuple[int, ...] | None = None) -> None:
    """numerics.md: a tree of height at most 24 + log2(n)."""
    wide = terms.astype(np.float64)
    exact, size = wide.sum(axis), np.abs(wide).sum(axis)
    count = terms.size // max(1, np.asarray(exact).size)
    bound = (25 + math.ceil(math.log2(max(2, count)))) * UNIT * size
    assert (np.abs(actual - exact) <= bound).all()


# Maps.


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (1001,), (33, 65), (5, 3, 8), (2, 1, 7)])
def test_broadcasting_over_any_shape(device: GlDevice, shape: tuple[int, ...]) -> None:
    x, row = normal(*shape), normal(*shape[-1:], seed=1)

    def step(y: Buffer, a: Buffer, c: Buffer) -> Nest:
        return mapped(y, lambda *i: b.sub(at(a, *i), at(c, *i[-1:])))

    np.testing.assert_array_equal(compute(device, [x, row], shape, F32, step), x - row)


@pytest.mark.parametrize("shape", [(4, 8), (5, 7), (64, 32), (3, 100)])
def test_transposed(device: GlDevice, shape: tuple[int, int]) -> None:
    x = normal(*shape)
    actual = compute(
        device, [x], shape[::-1], F32, lambda y, a: mapped(y, lambda i, j: at(a, j, i))
    )
    np.testing.assert_array_equal(actual, x.T)


@pytest.mark.parametrize("step", [-3, -1, 2, 3, 5])
def test_strided_slices(device: GlDevice, step: int) -> None:
    x = normal(61)
    wanted = x[::step]
    first = b.index(60 if step < 0 else 0)
    actual = compute(
        device,
        [x],
        wanted.shape,
        F32,
        lambda y, a: mapped(y, lambda i: at(a, b.add(b.mul(i, b.index(step)), first))),
    )
    np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("shape", [(6, 8, 3), (5, 7, 3)])
def test_bytes_to_normalised_planes(device: GlDevice, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    mean = np.array([0.5, 0.25, 0.125], np.float32)
    height, width, channels = shape

    def step(y: Buffer, a: Buffer, m: Buffer) -> Nest:
        def body(c: Var, i: Var, j: Var) -> Apply:
            return Apply(
                ops.SUB,
                (Apply(ops.MUL, (b.cast(at(a, i, j, c), F32), b.const(1 / 256, F32))), at(m, c)),
            )

        return mapped(y, body)

    actual = compute(device, [image, mean], (channels, height, width), F32, step)
    wanted = np.moveaxis(image / np.float32(256) - mean, -1, 0)
    np.testing.assert_array_equal(actual, wanted)


def test_positions_are_data(device: GlDevice) -> None:
    actual = compute(
        device,
        [],
        (3, 5),
        I32,
        lambda y: mapped(y, lambda i, j: b.cast(b.add(b.mul(i, b.index(10)), j), I32)),
    )
    np.testing.assert_array_equal(actual, np.arange(3)[:, None] * 10 + np.arange(5))


def test_gathered_rows(device: GlDevice) -> None:
    table, rows = normal(9, 6), np.array([8, 0, 3, 3], np.int64)

    def step(y: Buffer, t: Buffer, r: Buffer) -> Nest:
        return mapped(y, lambda i, j: at(t, b.cast(at(r, i), dtype=b.index(0).dtype), j))

    np.testing.assert_array_equal(compute(device, [table, rows], (4, 6), F32, step), table[rows])


def test_a_view_reads_the_storage_of_its_base(device: GlDevice) -> None:
    x = normal(6, 4)

    def step(y: Buffer, a: Buffer) -> Nest:
        view = Buffer("view", (3, 8), F32, base=a)
        return mapped(y, lambda i, j: at(view, j, i))

    np.testing.assert_array_equal(compute(device, [x], (8, 3), F32, step), x.reshape(3, 8).T)


def test_an_empty_output(device: GlDevice) -> None:
    x = normal(0, 3)
    actual = compute(
        device,
        [x],
        (0, 3),
        F32,
        lambda y, a: mapped(y, lambda i, j: b.add(at(a, i, j), at(a, i, j))),
    )
    assert actual.shape == (0, 3)


def test_constants_come_before_outputs(device: GlDevice) -> None:
    x, weights = normal(5), np.array([1, 2, 3, 4, 5], np.float32)
    a, w, y = buffer_like("a", x), buffer_like("w", weights), Buffer("y", (5,), F32)
    program = program_of([a], [y], [mapped(y, lambda i: b.mul(at(a, i), at(w, i)))], [(w, weights)])
    np.testing.assert_array_equal(run(device, program, [x])[0], x * weights)


def test_narrow_textures_give_the_same(device: GlDevice) -> None:
    """The layout of texels is no one's business."""
    x = normal(1000)
    a, y = buffer_like("a", x), Buffer("y", (1000,), F32)
    program = program_of([a], [y], [mapped(y, lambda i: at(a, b.sub(b.index(999), i)))])
    (actual,) = run(device, program, [x], GlslOptions(texture_width=4))
    np.testing.assert_array_equal(actual, x[::-1])


# Reductions.


@pytest.mark.parametrize("shape", [(8, 64), (33, 65), (5, 3), (7, 1000), (128, 129)])
def test_row_and_column_sums(device: GlDevice, shape: tuple[int, int]) -> None:
    x = normal(*shape)
    rows, columns = shape
    by_row = compute(
        device,
        [x],
        (rows,),
        F32,
        lambda y, a: reduced(y, (columns,), "add", lambda i, k: at(a, i, k)),
    )
    assert_sum(by_row, x, 1)
    by_column = compute(
        device,
        [x],
        (columns,),
        F32,
        lambda y, a: reduced(y, (rows,), "add", lambda j, k: at(a, k, j)),
    )
    assert_sum(by_column, x, 0)


@pytest.mark.parametrize("size", [1, 5, 31, 513, 4111, 100_000, 1_000_000, 999_983])
@pytest.mark.parametrize("ones", [True, False])
def test_full_sum(device: GlDevice, size: int, ones: bool) -> None:
    """On equal values a long run would show its rounding errors at once."""
    x = np.full(size, 0.1, np.float32) if ones else normal(size)
    actual = compute(
        device, [x], (), F32, lambda y, a: reduced(y, (size,), "add", lambda k: at(a, k))
    )
    assert_sum(actual, x)


@pytest.mark.parametrize("extents", [(9, 512), (3, 3, 700), (100, 5), (7, 11, 13)])
def test_sums_over_several_axes(device: GlDevice, extents: tuple[int, ...]) -> None:
    x = np.full((3, *extents), 0.1, np.float32)
    actual = compute(
        device,
        [x],
        (3,),
        F32,
        lambda y, a: reduced(y, extents, "add", lambda i, *k: at(a, i, *reversed(k[::-1]))),
    )
    assert_sum(actual, x, tuple(range(1, x.ndim)))


@pytest.mark.parametrize("combiner", ["min", "max", "fmin", "fmax"])
@pytest.mark.parametrize("with_nan", [False, True])
def test_extremes(device: GlDevice, combiner: str, with_nan: bool) -> None:
    x = normal(6, 70)
    if with_nan:
        x[2, 40] = x[3, 0] = np.nan
    actual = compute(
        device, [x], (6,), F32, lambda y, a: reduced(y, (70,), combiner, lambda i, k: at(a, i, k))
    )
    wanted = {"min": np.min, "max": np.max, "fmin": np.nanmin, "fmax": np.nanmax}[combiner](x, 1)
    np.testing.assert_array_equal(actual, wanted)


def test_any_and_all(device: GlDevice) -> None:
    x = np.random.default_rng(3).random((40, 9)) < 0.1
    for combiner, wanted in (("or", x.any(1)), ("and", ~x.any(1))):

        def step(y: Buffer, a: Buffer, combiner: str = combiner) -> Nest:
            def body(i: Var, k: Var) -> Apply:
                found = at(a, i, k)
                return found if combiner == "or" else Apply(ops.NOT, (found,))  # type: ignore[return-value]

            return reduced(y, (9,), combiner, body)

        np.testing.assert_array_equal(compute(device, [x], (40,), BOOL, step), wanted)


def test_integer_sums_are_exact(device: GlDevice) -> None:
    x = np.random.default_rng(4).integers(-1000, 1000, (3, 5000), np.int32)
    actual = compute(
        device,
        [x],
        (3,),
        I64,
        lambda y, a: reduced(y, (5000,), "add", lambda i, k: b.cast(at(a, i, k), I64)),
    )
    np.testing.assert_array_equal(actual, x.sum(1))


def test_half_sums_are_rounded_once(device: GlDevice) -> None:
    x = np.full((2, 3000), 0.1, np.float16)
    actual = compute(
        device, [x], (2,), F16, lambda y, a: reduced(y, (3000,), "add", lambda i, k: at(a, i, k))
    )
    np.testing.assert_array_equal(actual, x.astype(np.float64).sum(1).astype(np.float16))


@pytest.mark.parametrize("shape", [(16, 64), (7, 33), (2, 1000)])
def test_softmax_in_three_nests(device: GlDevice, shape: tuple[int, int]) -> None:
    x = normal(*shape) * 5
    rows, columns = shape

    def steps(y: Buffer, a: Buffer) -> list[Nest]:
        most, total = Buffer("most", (rows,), F32), Buffer("total", (rows,), F32)

        def power(i: Var, j: Var) -> Apply:
            return Apply(ops.EXP, (b.sub(at(a, i, j), at(most, i)),))

        return [
            reduced(most, (columns,), "max", lambda i, k: at(a, i, k)),
            reduced(total, (columns,), "add", power),
            mapped(y, lambda i, j: Apply(ops.DIV, (power(i, j), at(total, i)))),
        ]

    wide = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    actual = compute(device, [x], shape, F32, steps)
    np.testing.assert_allclose(actual, wide / wide.sum(1, keepdims=True), rtol=3e-6)


MATMULS = [(16, 32, 24), (15, 33, 7), (8, 600, 12), (5, 1100, 9), (64, 70, 64), (128, 40, 67)]


@pytest.mark.parametrize("sizes", MATMULS)
def test_matmul_bias_relu(device: GlDevice, sizes: tuple[int, int, int]) -> None:
    m, depth, n = sizes
    a, c, bias = normal(m, depth), normal(depth, n, seed=1), normal(n, seed=2)

    def step(y: Buffer, p: Buffer, q: Buffer, r: Buffer) -> Nest:
        return reduced(
            y,
            (depth,),
            "add",
            lambda i, j, k: b.mul(at(p, i, k), at(q, k, j)),
            lambda total, i, j: b.maximum(b.add(total, at(r, j)), b.const(0, F32)),
        )

    actual = compute(device, [a, c, bias], (m, n), F32, step)
    wide = a.astype(np.float64) @ c
    bound = (516 * np.abs(a.astype(np.float64)) @ np.abs(c) + 2 * np.abs(bias)) * UNIT
    assert (np.abs(actual - np.maximum(wide + bias, 0)) <= bound).all()


@pytest.mark.parametrize("shape", [(34, 36), (20, 21), (5, 5)])
def test_stencil(device: GlDevice, shape: tuple[int, int]) -> None:
    x, w = normal(*shape), normal(3, 3, seed=1)
    rows, columns = shape[0] - 2, shape[1] - 2

    def step(y: Buffer, a: Buffer, k: Buffer) -> Nest:
        return reduced(
            y,
            (3, 3),
            "add",
            lambda i, j, u, v: b.mul(at(a, b.add(i, u), b.add(j, v)), at(k, u, v)),
        )

    actual = compute(device, [x, w], (rows, columns), F32, step)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3))
    np.testing.assert_allclose(actual, np.einsum("ijuv,uv->ij", windows, w), atol=1e-5)


def test_an_odd_row_read_by_later_nests(device: GlDevice) -> None:
    """A box filter in two nests: the one between is padded, the last one packed."""
    x = normal(12, 13)

    def window(source: Buffer, down: int, right: int, i: Var, j: Var) -> Apply:
        total = at(source, i, j)
        for k in range(1, 5):
            place = b.add(i, b.index(k * down)), b.add(j, b.index(k * right))
            total = b.add(total, at(source, *place))  # type: ignore[assignment]
        return total  # type: ignore[return-value]

    def steps(y: Buffer, a: Buffer) -> list[Nest]:
        between = Buffer("between", (12, 9), F32)
        return [
            mapped(between, lambda i, j: window(a, 0, 1, i, j)),
            mapped(y, lambda i, j: window(between, 1, 0, i, j)),
        ]

    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (5, 5))
    actual = compute(device, [x], (8, 9), F32, steps)
    np.testing.assert_allclose(actual, windows.sum((2, 3)), atol=1e-5)


# Steps that are not nests.


@pytest.mark.parametrize("size", [1, 2, 9, 100, 1001])
def test_running_sums(device: GlDevice, size: int) -> None:
    x = normal(3, size)

    def step(y: Buffer, a: Buffer) -> Nest:
        row, column = Var("row", 3), Var("column", size)
        stage = Stage((column,), (), "scan:add", at(a, row, column), y, (row, column))
        return Nest("scan", (row,), (stage,), ())

    actual = compute(device, [x], x.shape, F32, step)
    np.testing.assert_allclose(actual, np.cumsum(x.astype(np.float64), 1), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("positions", [False, True])
def test_sorted_rows_are_stable_with_nan_last(device: GlDevice, axis: int, positions: bool) -> None:
    x = np.round(normal(7, 50) * 3).astype(np.float32)
    x[2, 3] = x[2, 20] = x[4, 3] = np.nan
    actual = compute(
        device,
        [x],
        x.shape,
        I64 if positions else F32,
        lambda y, a: SortRows("sort", a, y, axis, positions),
    )
    order = np.argsort(x, axis, kind="stable")
    np.testing.assert_array_equal(actual, order if positions else np.sort(x, axis))


@pytest.mark.parametrize("combiner", [None, "add", "max"])
def test_updates_are_gathered(device: GlDevice, combiner: str | None) -> None:
    base = np.zeros((4, 5), np.float32)
    rows = np.array([3, 0, 3, 1, 3, 0], np.int32)
    values = normal(6)

    def steps(y: Buffer, a: Buffer, r: Buffer, v: Buffer) -> list[Any]:
        axis = Var("u", 6)
        column = b.mod(axis, b.index(2))
        where = (b.cast(at(r, axis), column.dtype), column)
        return [Copy(a, y), Ordered("scatter", (axis,), y, where, at(v, axis), combiner)]

    wanted = base.copy()
    for k, (row, value) in enumerate(zip(rows, values, strict=True)):
        old = wanted[row, k % 2]
        wanted[row, k % 2] = {None: value, "add": old + value, "max": max(old, value)}[combiner]
    actual = compute(device, [base, rows, values], base.shape, F32, steps)
    np.testing.assert_allclose(actual, wanted, rtol=1e-6)


def test_the_counter_of_a_repeat(device: GlDevice) -> None:
    """y = y * 2 + step, with the old and the new state in one buffer."""
    x = normal(6)

    def steps(y: Buffer, a: Buffer) -> list[Any]:
        step = Var("step", 5)

        def body(i: Var) -> Apply:
            return Apply(
                ops.ADD, (b.mul(at(y, i), b.const(2, F32)), b.cast(b.cast(step, I32), F32))
            )

        return [mapped(y, lambda i: at(a, i)), Repeat(step, (mapped(y, body),))]

    wanted = x.astype(np.float64)
    for k in range(5):
        wanted = wanted * 2 + k
    np.testing.assert_allclose(compute(device, [x], (6,), F32, steps), wanted, rtol=1e-5)


def test_the_counter_of_an_outer_repeat_is_refused() -> None:
    y = Buffer("y", (4,), I32)
    outer, inner = Var("outer", 2), Var("inner", 3)
    step = mapped(y, lambda i: b.cast(outer, I32))
    program = program_of([], [y], [Repeat(outer, (Repeat(inner, (step,)),))])
    with pytest.raises(UnsupportedError, match="depends on outer, the counter of an outer loop"):
        build(program)


# Structure and refusals.


def test_a_shader_that_reads_what_it_writes_goes_through_a_twin() -> None:
    y = Buffer("y", (4,), F32)
    first = mapped(y, lambda i: b.const(1, F32))
    program = build(program_of([], [y], [first, mapped(y, lambda i: b.add(at(y, i), at(y, i)))]))
    _, launch, copy = program.steps
    assert isinstance(launch, ShaderLaunch)
    assert isinstance(copy, CopyBuffer)
    assert not set(launch.bindings) & set(launch.outputs)
    assert copy.destination in program.outputs


def test_a_loop_on_data_is_refused() -> None:
    flag, y = Buffer("flag", (), BOOL), Buffer("y", (4,), F32)
    step = RepeatWhile((), flag, ())
    with pytest.raises(UnsupportedError, match="loops until a condition on data holds"):
        build(program_of([flag], [y], [step]))


def test_open_dimensions_are_refused_by_name() -> None:
    size = Var("N", least=1)
    x = Buffer("x", (size,), F32)
    program = Program("p", (size,), (x,), (), (), (), ())
    with pytest.raises(UnsupportedError, match=r"p has open dimensions \(N\)"):
        build(program)


def test_float64_arrays_are_refused_also_where_nothing_is_computed() -> None:
    x, y = Buffer("x", (4,), F64), Buffer("y", (4,), F64)
    copied = program_of([x], [y], [Copy(x, y)])
    with pytest.raises(UnsupportedError) as caught:
        build(copied)
    assert str(caught.value) == (
        "test has the float64 input x, and target 'glsl' has no float64\n"
        'help: use float32, or pass f64="f32" to compute in float32'
    )
    assert len(build(copied, None, GlslOptions(f64="f32")).steps) == 1


def test_float64_arguments_are_refused() -> None:
    x, y = Buffer("x", (4,), F64), Buffer("y", (4,), F32)
    with pytest.raises(UnsupportedError, match="float64"):
        build(program_of([x], [y], [mapped(y, lambda i: b.cast(at(x, i), F32))]))


def test_uint8_wraps(device: GlDevice) -> None:
    x = np.arange(256, dtype=np.uint8)
    actual = compute(
        device,
        [x],
        x.shape,
        U8,
        lambda y, a: mapped(y, lambda i: b.mul(b.add(at(a, i), b.const(200, U8)), at(a, i))),
    )
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(actual, (x + np.uint8(200)) * x)


# Not a number.


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: b.select(Apply(ops.GT, (x, y)), x, y),
        lambda x, y: b.select(Apply(ops.LE, (x, y)), y, x),
        lambda x, y: b.select(Apply(ops.NOT, (b.ge(x, y),)), x, y),
        lambda x, y: b.cast(b.logical_and(b.lt(x, y), b.lt(x, Apply(ops.NEG, (y,)))), F32),
        lambda x, y: b.cast(b.lt(b.add(x, y), x), F32),
        lambda x, y: b.sub(x, x),
        lambda x, y: b.sub(b.add(x, y), x),
    ],
    ids=["greater", "less", "not", "and", "moved", "difference", "cancelled"],
)
def test_compilers_keep_to_what_nan_does(device: GlDevice, function: Any) -> None:
    """Mesa made ``fmax`` of a select, and took differences of equal numbers for 0."""
    points = np.array([np.nan, 1, -1, 0, np.inf, -np.inf, 3], np.float32)
    x, y = (np.ascontiguousarray(g) for g in np.meshgrid(points, points))

    def step(target: Buffer, p: Buffer, q: Buffer) -> Nest:
        return mapped(target, lambda i, j: function(at(p, i, j), at(q, i, j)))

    inputs = [buffer_like("p", x), buffer_like("q", y)]
    target = Buffer("z", x.shape, F32)
    program = program_of(inputs, [target], [step(target, *inputs)])
    (wanted,) = interpret_program(program, [x, y])
    (actual,) = run(device, program, [x, y])
    np.testing.assert_array_equal(actual, wanted)
