"""A schedule decides how a nest runs, never what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import tilewright as tw
from tests.codegen_cpu.kernel_runner import Compiled
from tests.ir.lower.traced_programs import numbers, program_of
from tilewright.codegen_cpu import backend
from tilewright.codegen_cpu.schedule import default_schedule
from tilewright.codegen_cpu.target import cpu_target, host_target
from tilewright.ir.errors import ShapeError
from tilewright.ir.lower.check_schedule import MOST_EXPANDED, is_legal
from tilewright.ir.lower.collapse import collapse_axes
from tilewright.ir.program import Nest, nests
from tilewright.ir.schedule import Schedule

CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    # Sums of small integers are exact in every order: any difference is a bug.
    "map": (lambda a, b: a * 2 + b, (numbers(7, 19), numbers(19))),
    "transpose": (lambda a: a.T - 1, (numbers(9, 21),)),
    "shifted": (lambda a: a[:, 1:-1] + a[:, 2:] - a[:, :-2], (numbers(5, 37),)),
    "row sums": (lambda a: a.sum(axis=1), (numbers(6, 83),)),
    "column sums": (lambda a: a.sum(axis=0), (numbers(83, 21),)),
    "rows used twice": (lambda a: a - a.max(axis=1, keepdims=True), (numbers(6, 37),)),
    "matrix product": (lambda a, b: a @ b, (numbers(9, 33), numbers(33, 21))),
    "batched product": (lambda a, b: a @ b, (numbers(2, 5, 17), numbers(2, 17, 19))),
    "bytes": (lambda a: np.maximum(a[1:], a[:-1]), (numbers(9, 40, dtype=np.int8),)),
    "argmax": (lambda a: a.argmax(axis=1), (numbers(5, 45),)),
    "window": (lambda a: sliding_window_view(a, (3, 3)).sum(axis=(2, 3)), (numbers(9, 43),)),
    "colours": (
        lambda a, b: np.stack([a * (b * 2)[:, None], a, a - 1], axis=-1),
        (numbers(5, 37), numbers(5)),
    ),
    "parts": (
        lambda a: np.concatenate([a[:, :2] * a.max(axis=1, keepdims=True), a[:, 1:]], axis=1),
        (numbers(6, 45),),
    ),
    "places": (
        lambda a, p: a[p, 1] + a[p, 0],
        (numbers(40, 2, dtype=np.uint8), np.abs(numbers(50)).astype(np.uint8)),
    ),
    "running sum": (lambda a: a.cumsum(axis=1), (numbers(6, 21),)),
}


@st.composite
def schedules(draw: Any, nest: Nest) -> Schedule:
    """Any schedule that is legal for a nest."""
    rank = len(nest.outer)
    scans = any((s.combiner or "").startswith("scan:") for s in nest.stages)
    inner = any(s.axes or s.reduce_axes for s in nest.stages) and not scans
    kinds: list[Any] = [None, *range(rank), *(["inner"] if inner else [])]
    vector = draw(st.sampled_from(kinds))
    width = 1 if vector is None else draw(st.sampled_from((1, 2, 4, 8, 16)))
    unroll = draw(st.sampled_from((1, 2, 4))) if vector == "inner" else 1
    lanes = width * unroll if vector == "inner" else 1
    tile = tuple(draw(st.integers(1, 20)) for _ in range(rank))
    assume(math.prod(tile) * lanes <= MOST_EXPANDED)
    drawn = Schedule(
        tile=tile,
        vector=vector,
        width=width,
        unroll=unroll,
        order=tuple(draw(st.permutations(range(rank)))),
        chunks=draw(st.sampled_from((1, 2, 3, 7, 64))),
        reduce_block=draw(st.sampled_from((0, 2, 5, 16))),
        unroll_reduce=draw(st.sampled_from((0, 8, 32))),
    )
    assume(is_legal(nest, drawn))  # together they may be too much code
    return drawn


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_any_legal_schedule_gives_the_same_result(name: str, data: st.DataObject) -> None:
    function, arrays = CASES[name]
    program = program_of(function, arrays)
    chosen = {n.name: data.draw(schedules(collapse_axes(n))) for n in nests(program.steps)}
    lowered = backend.lower(program, host_target(), chosen)
    wanted = np.asarray(function(*arrays))
    outputs = [
        np.empty([int(n) for n in b.shape if isinstance(n, int)], b.dtype.numpy)
        for b in program.outputs
    ]
    Compiled(lowered.program).run(list(arrays), outputs)
    np.testing.assert_array_equal(outputs[0], wanted)


@pytest.mark.parametrize("tile", [(0, 4), (-1, 4), (4,), (4, 4, 4)])
def test_tiles_that_do_not_fit(tile: tuple[int, ...]) -> None:
    program = program_of(lambda a: a.T - 1, (numbers(9, 21),))
    (nest,) = nests(program.steps)
    with pytest.raises(ShapeError, match=r"tile=.* (does not fit 2 outer axes|has a size below 1)"):
        backend.lower(program, host_target(), {nest.name: Schedule(tile=tile)})


def scheduled(function: Callable[..., Any], *arrays: np.ndarray, target: str) -> Schedule:
    program = program_of(function, arrays)
    return default_schedule(collapse_axes(nests(program.steps)[-1]), cpu_target(target))


@pytest.mark.parametrize(
    ("target", "width"), [("x86-64-v2", 4), ("x86-64-v3", 8), ("x86-64-v4", 16)]
)
def test_vectors_are_as_wide_as_the_machine(target: str, width: int) -> None:
    assert scheduled(lambda a: a + 1, numbers(1000), target=target).width == width
    doubles = numbers(1000, dtype=np.float64)
    assert scheduled(lambda a: a + 1, doubles, target=target).width == width // 2


def test_the_vector_axis_is_the_contiguous_one() -> None:
    rows, columns = numbers(64, 256), numbers(256, 64)
    assert scheduled(lambda a: a.sum(axis=1), rows, target="x86-64-v3").vector == "inner"
    assert scheduled(lambda a: a.sum(axis=0), columns, target="x86-64-v3").vector == 0


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64-neon"])
def test_accumulators_of_a_product_fit_into_registers(target: str) -> None:
    machine = cpu_target(target)
    chosen = scheduled(lambda a, b: a @ b, numbers(256, 256), numbers(256, 256), target=target)
    rows, columns = chosen.tile
    assert chosen.vector == 1
    assert rows > 1
    assert rows * columns // chosen.width + columns // chosen.width < machine.vector_registers


@pytest.mark.parametrize(
    ("shape", "vector"),
    [
        ((2048, 1024, 256), 1),
        ((2048, 1024, 8), "inner"),  # few columns, and long sums in each
        ((2048, 64, 8), 1),  # to combine the lanes would cost more than half empty vectors
        ((4, 1024, 2048), 1),
        ((256, 256), "inner"),  # a matrix and a vector
    ],
)
def test_the_lanes_of_a_product_go_where_they_are_full(
    shape: tuple[int, ...], vector: int | str
) -> None:
    m, k, *n = shape
    given = numbers(m, k), numbers(k, *n)
    assert scheduled(lambda a, b: a @ b, *given, target="x86-64-v4").vector == vector


def test_matrices_that_stay_in_the_cache_are_not_packed_together() -> None:
    """Many small products are not one large one."""
    large, batch = (numbers(512, 512),) * 2, (numbers(64, 256, 64), numbers(64, 64, 256))
    assert scheduled(lambda a, b: a @ b, *large, target="x86-64-v4").pack
    assert not scheduled(lambda a, b: a @ b, *batch, target="x86-64-v4").pack


def test_a_product_of_few_rows_reads_the_other_matrix_once_as_it_lies() -> None:
    """It was copied to columns, which took longer than the product."""
    given = numbers(8, 1024), numbers(2048, 1024)
    chosen = scheduled(lambda a, b: a @ b.T, *given, target="x86-64-v4")
    assert (chosen.vector, chosen.order) == ("inner", (1, 0))


def test_reproducible_products_have_no_lanes_to_combine() -> None:
    machine = cpu_target("x86-64-v4").with_numerics("reproducible")
    program = program_of(lambda a, b: a @ b, (numbers(2048, 1024), numbers(1024, 8)))
    nest = collapse_axes(nests(program.steps)[-1])
    assert default_schedule(nest, machine).vector != "inner"


def test_pixels_lie_across_lanes_and_their_colours_do_not() -> None:
    image, places = numbers(20, 90, 3, dtype=np.uint8), np.arange(64, dtype=np.int32) % 7

    def moved(image, places):
        def pixel(y, x, c):
            return tw.at(image, (y, places[x], c), boundary="clamp") * np.float32(2)

        return tw.compute((20, 64, 3), pixel)

    chosen = scheduled(moved, image, places, target="x86-64-v4")
    assert chosen.vector == 1
    assert chosen.tile[2] == 3


def test_pixels_lie_across_lanes_of_a_product_with_a_small_matrix() -> None:
    def converted(image, matrix):
        return image.astype(np.float32) @ matrix

    image, matrix = numbers(64, 90, 3, dtype=np.uint8), numbers(3, 3)
    chosen = scheduled(converted, image, matrix, target="x86-64-v4")
    assert chosen.vector == 0
    assert chosen.tile == (chosen.tile[0], 3)


@pytest.mark.parametrize(("taps", "size"), [(1, 64), (2, 32), (3, 32)])
def test_several_scattered_loads_are_little_code(taps: int, size: int) -> None:
    """Two vectors of them at a time; of one load, and of none, as many as hide latencies."""

    def summed(x: Any, p: Any) -> Any:
        read = [tw.at(x, p + np.int32(k), boundary="clamp") for k in range(taps)]
        return sum(read[1:], np.float32(2) * read[0])

    x, places = np.zeros(4000, np.float32), np.zeros(512, np.int32)
    assert scheduled(summed, x, places, target="x86-64-v4").tile == (size,)


def test_index_arithmetic_scatters_nothing() -> None:
    def summed(x: Any) -> Any:
        return tw.compute(512, lambda i: x[i // 2] + x[i // 3])

    assert scheduled(summed, np.zeros(512, np.float32), target="x86-64-v4").tile == (64,)


def test_an_axis_without_points_is_not_taken_whole() -> None:
    def picked(a, places):
        return tw.compute((0, 9), lambda i, j: tw.at(a, (i, places[j]), boundary="clamp"))

    arrays = numbers(1, 64), np.arange(9, dtype=np.int32)
    assert min(scheduled(picked, *arrays, target="x86-64-v4").tile) == 1


def test_rows_of_a_few_elements_lie_side_by_side() -> None:
    """Combining the lanes of so many rows would take longer than loading them apart."""

    def best(a):
        return a.max(axis=1), a.argmin(axis=1)

    assert scheduled(best, numbers(4000, 9), target="x86-64-v4").vector == 0
    assert scheduled(best, numbers(4000, 200), target="x86-64-v4").vector == "inner"


def test_small_work_stays_on_one_thread() -> None:
    assert scheduled(lambda a: a + 1, numbers(1000), target="x86-64-v3").chunks == 1
    assert scheduled(lambda a: a + 1, numbers(1 << 20), target="x86-64-v3").chunks > 1
    assert scheduled(lambda a: a + 1, numbers(1 << 20), target="wasm32-simd128").chunks == 1


def test_work_is_counted_in_vectors() -> None:
    """So many bytes take a quarter of the time that floats do."""
    floats, small = numbers(1 << 17), numbers(1 << 17, dtype=np.uint8)
    assert scheduled(lambda a: a * 2 + 1, floats, target="x86-64-v4").chunks > 1
    assert scheduled(lambda a: a | 1, small, target="x86-64-v4").chunks == 1
    assert scheduled(lambda a: a * 2 + 1, floats[: 1 << 15], target="x86-64-v4").chunks == 1
    assert scheduled(lambda a: a * 2 + 1, floats[: 1 << 15], target="x86-64-v2").chunks > 1


def test_products_are_shared_by_threads() -> None:
    def energies(a):
        return (a * a).mean(axis=1)

    chosen = scheduled(energies, numbers(997, 512), target="x86-64-v4")
    assert chosen.chunks >= 4  # of two tasks one thread may take both
    square = numbers(96, 96)
    assert scheduled(lambda a, b: a @ b, square, square, target="x86-64-v4").chunks >= 4


@pytest.mark.parametrize(
    ("function", "vectors"),
    [
        (lambda a: a + 1, 1),
        (lambda a: np.exp(a) * np.tanh(a), 8),
        (lambda a: np.sin(a), 4),  # with a branch
        (lambda a: np.tanh(a[::-1]), 1),  # not neighbours in order
        (lambda a: np.arctan2(a, a + 1), 2),  # holds many values
        (lambda a: np.hypot(a, a + 1), 4),
        (lambda a: np.tanh(np.exp(a)).sum(axis=0), 1),
    ],
)
def test_long_formulas_keep_vectors_in_step(function: Callable[..., Any], vectors: int) -> None:
    chosen = scheduled(function, numbers(4096), target="x86-64-v4")
    assert chosen.width == 16 * vectors
    few_registers = scheduled(function, numbers(4096), target="x86-64-v3")
    assert few_registers.width == 8


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_parts_of_different_sizes_share_no_tile(dtype: str) -> None:
    """Sums of squares are products, whose tiles take several results at a time."""
    a = np.random.default_rng(0).integers(0, 9, (257, 1021)).astype(dtype)

    def squares(a: Any) -> Any:
        return (a.astype(np.float64) ** 2).sum()

    nest = nests(program_of(squares, [a]).steps)[0]
    assert any(not isinstance(x.extent, int) for s in nest.stages for x in s.reduce_axes)
    for target in (host_target(), cpu_target("x86-64-v2"), cpu_target("wasm32-simd128")):
        assert default_schedule(nest, target).tile == (1,)
    assert tw.kernel(squares)(a) == squares(a)
