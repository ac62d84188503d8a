"""argmin and argmax along a row: one pass that finds the value and its first position."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_cpu.schedule import default_schedule
from tilewright.codegen_cpu.target import cpu_target
from tilewright.ir import build, ops
from tilewright.ir.dtypes import F32, I8, I32, I64, U8, U32, DType
from tilewright.ir.expr import Apply, Expr, Load, Var, post_order
from tilewright.ir.interpret.kernel import interpret_kernel
from tilewright.ir.kernel import Buffer, For, Kernel, statements
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.lower.first_extreme import match_first_extreme
from tilewright.ir.lower.nest import lower_nest
from tilewright.ir.program import Nest, Stage, nests
from tilewright.ir.schedule import INNER, Schedule

DTYPES = (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.uint32, np.int64)
SHAPES = [(1, 1), (3, 5), (64, 1), (4, 64), (4, 65), (4, 1000)]


def argmax_rows(x: Any) -> Any:
    return np.argmax(x, axis=1)


def argmin_rows(x: Any) -> Any:
    return np.argmin(x, axis=1)


def argmax_all(x: Any) -> Any:
    return np.argmax(x)


def argmin_columns(x: Any) -> Any:
    return np.argmin(x, axis=0)


def both(x: Any) -> Any:
    return np.max(x, axis=1), np.argmax(x, axis=1)


def of_computed(x: Any) -> Any:
    return np.argmax(x * 3 - 1, axis=1)


def lowered(function: Callable[..., Any], shape: tuple[int, ...]) -> list[Kernel]:
    target = cpu_target("x86-64-v4")
    program = program_of(function, [np.zeros(shape, np.float32)])
    found = [collapse_axes(n) for n in nests(program.steps)]
    return [lower_nest(n, default_schedule(n, target), n.name) for n in found]


def passes_over(kernel: Kernel, elements: int) -> int:
    """Loops over most of a row that run for every row."""
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.kind == "serial"]
    return sum(s.extent == elements // 64 for s in loops)


@pytest.mark.parametrize("function", [argmax_rows, argmin_rows, of_computed])
def test_one_pass_and_another_only_for_nan(function: Callable[..., Any]) -> None:
    (kernel,) = lowered(function, (8, 1024))
    assert "best" in {b.name for b in kernel.locals}
    assert passes_over(kernel, 1024) == 2  # the second stands under `if odd`


def test_parts_of_a_whole_array_are_done_in_one_pass() -> None:
    parts, _ = lowered(argmax_all, (1000, 100))
    assert "best" in {b.name for b in parts.locals}


def data(shape: tuple[int, ...], dtype: Any, kind: str) -> np.ndarray:
    rng = np.random.default_rng(len(kind))
    x = rng.integers(0, 4 if kind == "ties" else 120, shape).astype(dtype)
    if kind == "least":
        x[...] = -np.inf if x.dtype.kind == "f" else np.iinfo(dtype).min
    if kind == "most":
        x[...] = np.inf if x.dtype.kind == "f" else np.iinfo(dtype).max
    if kind == "zeros" and x.dtype.kind == "f":
        x = rng.choice(np.array([0.0, -0.0], dtype), shape)
    if kind == "some nan" and x.dtype.kind == "f":
        x[rng.random(shape) < 0.02] = np.nan
        x[rng.random(shape) < 0.02] = -np.nan
    if kind == "all nan" and x.dtype.kind == "f":
        x[...] = np.nan
    return x


KINDS = ("ties", "many", "least", "most", "zeros", "some nan", "all nan")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [argmax_rows, argmin_rows, argmin_columns])
def test_as_numpy(function: Callable[..., Any], dtype: Any) -> None:
    kernel = tw.kernel(function)
    for shape in SHAPES:
        for kind in KINDS:
            x = data(shape, dtype, kind)
            np.testing.assert_array_equal(kernel(x), function(x), f"{shape} {kind}")


@pytest.mark.parametrize("shape", [(70_000,), (65_537,), (300, 301), (64, 2048)])
def test_whole_arrays_in_parts(shape: tuple[int, ...]) -> None:
    kernel = tw.kernel(argmax_all)
    for kind in KINDS:
        x = data(shape, np.float32, kind)
        assert kernel(x) == argmax_all(x), kind


def test_the_extreme_of_a_row_with_nan_is_nan() -> None:
    x = data((4, 1000), np.float32, "some nan")
    value, position = tw.kernel(both)(x)
    np.testing.assert_array_equal(value, x.max(axis=1))
    np.testing.assert_array_equal(position, x.argmax(axis=1))


@pytest.mark.wasm
def test_on_wasm() -> None:
    kernel = tw.kernel(argmax_rows).on("wasm")
    for kind in KINDS:
        x = data((4, 100), np.float32, kind)
        np.testing.assert_array_equal(kernel(x), argmax_rows(x), kind)


@pytest.mark.wasm
@pytest.mark.parametrize("target", ["cpu", "wasm"])
@pytest.mark.parametrize("function", [argmax_all, lambda x: np.argmin(x)])
def test_parts_of_rows_do_not_hold_the_first_extreme_in_order(
    function: Callable[..., Any], target: str
) -> None:
    """Of parts along columns the first with the best value was taken, and not the one whose
    position is the smallest."""
    x = np.random.default_rng(0).integers(0, 9, (257, 1000)).astype(np.int16)
    x[:5] = 4
    x[3, 500:502] = x[4, 2:4] = (0, 8)
    assert tw.kernel(function).on(target)(x) == function(x)


# What is recognised.


def stages(axes: tuple[Var, ...], dtype: DType = F32, combiner: str = "max") -> tuple[Stage, Stage]:
    """The extreme of a row over `axes`, and the smallest row-major position that has it."""
    source = Buffer("x", tuple(a.extent for a in axes if a.extent is not None), dtype)
    others = tuple(Var(a.name, a.extent) for a in axes)
    best, first = Buffer("best", (), dtype, "scratch"), Buffer("first", (), I32, "scratch")
    extreme = Stage((), others, combiner, Load(source, others), best, ())
    position: Expr = build.index(0)
    for axis in axes:
        position = build.add(build.mul(position, build.index(axis.extent or 1)), axis)
    found = equal_or_nan(Load(source, axes), Load(best, ()))
    chosen = build.select(found, build.cast(position, I32), build.const(I32.max, I32))
    return extreme, Stage((), axes, "min", chosen, first, ())


def equal_or_nan(value: Expr, best: Expr) -> Expr:
    equal = Apply(ops.EQ, (value, best))
    if not value.dtype.is_float:
        return equal
    return Apply(ops.OR, (equal, Apply(ops.AND, tuple(is_nan(v) for v in (value, best)))))


def is_nan(value: Expr) -> Expr:
    return Apply(ops.ISNAN, (value,))


ROW = Var("r", 19)
EXTREME, FIRST = stages((ROW,))
VALUE, BEST = Load(EXTREME.value.source, (ROW,)), Load(EXTREME.target, ())  # type: ignore[attr-defined]
FOUND, POSITION, ABSENT = FIRST.value.operands


def first_with(found: Expr = FOUND, position: Expr = POSITION, absent: Expr = ABSENT) -> Stage:
    return replace(FIRST, value=Apply(ops.SELECT, (found, position, absent)))


def found_with(equal: Expr, *nan: Expr, op: ops.Op = ops.AND) -> Stage:
    return first_with(Apply(ops.OR, (equal, Apply(op, nan))))


EQUAL = Apply(ops.EQ, (VALUE, BEST))
BOTH_NAN = (is_nan(VALUE), is_nan(BEST))


@pytest.mark.parametrize("combiner", ["max", "min"])
@pytest.mark.parametrize("dtype", [F32, I32])
def test_a_pair_is_recognised(dtype: DType, combiner: str) -> None:
    for axes in ((ROW,), (Var("a", 3), Var("b", 4)), (Var("a", 1), Var("b", 4), Var("c", 1))):
        extreme, first = stages(axes, dtype, combiner)
        pair = match_first_extreme(extreme, first)
        assert pair is not None
        assert (pair.extreme, pair.first) == (extreme, first)
        assert [pair.value, pair.position, pair.absent] == [
            next(n for n in post_order((first.value,)) if isinstance(n, Load)),
            *first.value.operands[1:],
        ]


OTHER = Buffer("other", (), F32, "scratch")
OPEN_AXIS = Var("r", Var("N"))


@pytest.mark.parametrize(
    ("extreme", "first"),
    [
        (replace(EXTREME, axes=(Var("i", 2),)), FIRST),
        (EXTREME, replace(FIRST, axes=(Var("i", 2),))),
        (replace(EXTREME, reduce_axes=()), FIRST),
        (EXTREME, replace(FIRST, reduce_axes=())),
        (replace(EXTREME, reduce_axes=(OPEN_AXIS,)), FIRST),
        (EXTREME, replace(FIRST, reduce_axes=(OPEN_AXIS,))),
        (replace(EXTREME, combiner="add"), FIRST),
        (EXTREME, replace(FIRST, combiner="max")),
        (EXTREME, replace(FIRST, value=POSITION)),
        (EXTREME, replace(FIRST, value=Apply(ops.LIKELY, FIRST.value.operands))),
        (EXTREME, first_with(absent=build.const(I32.max - 1, I32))),
        (EXTREME, first_with(absent=POSITION)),
        (EXTREME, first_with(EQUAL)),
        (EXTREME, first_with(is_nan(VALUE))),
        (EXTREME, found_with(Apply(ops.NE, (VALUE, BEST)), *BOTH_NAN)),
        (EXTREME, found_with(Apply(ops.EQ, (VALUE, VALUE)), *BOTH_NAN)),
        (EXTREME, found_with(Apply(ops.EQ, (VALUE, Load(OTHER, ()))), *BOTH_NAN)),
        (EXTREME, found_with(Apply(ops.EQ, (VALUE, build.const(1, F32))), *BOTH_NAN)),
        (EXTREME, found_with(EQUAL, *BOTH_NAN, op=ops.OR)),
        (EXTREME, found_with(EQUAL, BOTH_NAN[0], BOTH_NAN[0])),
        (EXTREME, found_with(EQUAL, BOTH_NAN[1], BOTH_NAN[1])),
        (EXTREME, found_with(EQUAL, BOTH_NAN[0], is_nan(Load(OTHER, ())))),
        (EXTREME, found_with(EQUAL, BOTH_NAN[0], Apply(ops.ISINF, (BEST,)))),
        (replace(EXTREME, value=build.const(1, F32)), FIRST),
        (replace(EXTREME, reduce_axes=(Var("r", 18),)), FIRST),
        (EXTREME, first_with(position=build.cast(build.sub(build.index(18), ROW), I32))),
        (EXTREME, first_with(position=build.cast(build.mod(ROW, build.index(4)), I32))),
        (EXTREME, first_with(position=build.const(0, I32))),
    ],
)
def test_what_is_no_such_pair(extreme: Stage, first: Stage) -> None:
    assert match_first_extreme(EXTREME, FIRST) is not None
    assert match_first_extreme(extreme, first) is None


@pytest.mark.parametrize(
    ("size", "first_place", "dtypes"),
    [
        (128, 0, (I8, U8, I32, U32, I64)),
        (129, 0, (U8, I32, U32, I64)),
        (257, 0, (I32, U32, I64)),
        (9, -1, (I8, I32, I64)),
        (9, I32.max, (U32, I64)),
    ],
)
def test_positions_that_wrap_do_not_grow(
    size: int, first_place: int, dtypes: tuple[DType, ...]
) -> None:
    axis = Var("r", size)
    extreme, first = stages((axis,), I32)
    place = build.add(axis, build.index(first_place))
    for dtype in (I8, U8, I32, U32, I64):
        operands = (build.cast(place, dtype), build.const(dtype.max, dtype))
        chosen = Apply(ops.SELECT, (first.value.operands[0], *operands))
        pair = match_first_extreme(extreme, replace(first, value=chosen))
        assert (pair is not None) is (dtype in dtypes)


@pytest.mark.parametrize("first_place", [0, -4000])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_the_least_of_narrow_positions_is_no_first_one(dtype: Any, first_place: int) -> None:
    def run(x: Any) -> Any:
        places = np.arange(first_place, first_place + 5000).astype(dtype)
        absent = np.array(np.iinfo(dtype).max, dtype)
        return np.min(np.where(x == x.max(axis=1)[:, None], places, absent), axis=1)

    x = np.zeros((4, 5000), np.int32)
    x[1, 300:] = x[2, 3000:] = x[3, 4999] = 1
    np.testing.assert_array_equal(tw.kernel(run)(x), run(x))


@pytest.mark.parametrize("sizes", [(2, 3), (3, 1), (1, 2)])
def test_positions_grow_as_elements_are_visited(sizes: tuple[int, int]) -> None:
    """Exactly if each is larger than the one before."""
    axes = (Var("a", sizes[0]), Var("b", sizes[1]))
    extreme, first = stages(axes, I32)
    found, _, absent = first.value.operands
    for outer, inner in itertools.product(range(-2, 6), repeat=2):
        places = [outer * a + inner * b for a in range(sizes[0]) for b in range(sizes[1])]
        position = build.add(
            *(build.mul(a, build.index(f)) for a, f in zip(axes, (outer, inner), strict=True))
        )
        chosen = build.select(found, build.cast(position, I32), absent)
        pair = match_first_extreme(extreme, replace(first, value=chosen))
        assert (pair is not None) == all(x < y for x, y in itertools.pairwise(places))


def test_a_row_that_was_merged_is_the_same_row() -> None:
    """The extreme goes over 12 elements at once, the position over 3 x 4 of them."""
    a, b, row = Var("a", 3), Var("b", 4), Var("r", 12)
    source = Buffer("x", (40,), I32)
    _, first = stages((a, b), I32)
    for stride, start, same in ((1, 5, True), (2, 5, False), (1, 6, False)):
        place = build.add(build.add(build.mul(a, build.index(4)), b), build.index(5))
        whole = build.add(build.mul(row, build.index(stride)), build.index(start))
        best = Buffer("best", (), I32, "scratch")
        extreme = Stage((), (row,), "max", Load(source, (whole,)), best, ())
        equal = Apply(ops.EQ, (Load(source, (place,)), Load(best, ())))
        chosen = build.select(equal, *first.value.operands[1:])
        pair = match_first_extreme(extreme, replace(first, value=chosen))
        assert (pair is not None) == same
        shorter = replace(extreme, reduce_axes=(Var("r", 11),))
        assert match_first_extreme(shorter, replace(first, value=chosen)) is None
        other = replace(extreme, value=Load(Buffer("y", (40,), I32), (whole,)))
        assert match_first_extreme(other, replace(first, value=chosen)) is None


@pytest.mark.parametrize("combiner", ["max", "min"])
@pytest.mark.parametrize("extents", [(2, 3, 5), (3, 2, 8), (2, 1, 2, 3), (4, 9), (1, 1, 4)])
def test_elements_are_visited_in_the_order_of_their_positions(
    extents: tuple[int, ...], combiner: str
) -> None:
    """However many axes a row has: the first of equal ones is kept."""
    axes = tuple(Var(f"a{k}", n) for k, n in enumerate(extents))
    extreme, first = stages(axes, I32, combiner)
    out = Buffer("out", (), I32)
    store = Stage((), (), None, Load(first.target, ()), out, ())
    nest = Nest("n", (), (extreme, first, store), (extreme.target, first.target))
    kernel = lower_nest(nest, Schedule(vector=INNER, width=4), "k")
    assert "best" in {b.name for b in kernel.locals}
    source = next(n.source for n in post_order((extreme.value,)) if isinstance(n, Load))
    assert isinstance(source, Buffer)
    for seed in range(12):
        x = np.random.default_rng(seed).integers(0, 3, extents).astype(np.int32)
        found = np.zeros((), np.int32)
        interpret_kernel(kernel, {source: x, out: found})
        assert found == (np.argmax if combiner == "max" else np.argmin)(x)
