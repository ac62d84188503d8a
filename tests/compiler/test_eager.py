"""The index form in plain NumPy, against NumPy expressions that say the same thing."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tilewright.compiler import index_form as tw
from tilewright.compiler.eager.reductions import _chunk_length
from tilewright.ir.errors import BoundsError, DTypeError, KernelError, ShapeError, TraceError

RNG = np.random.default_rng(7)
F32 = RNG.standard_normal((6, 7)).astype(np.float32)
U8 = RNG.integers(0, 256, (6, 7), dtype=np.uint8)


def test_compute_of_a_stencil_matches_slices() -> None:
    w = RNG.standard_normal((3, 3)).astype(np.float32)
    got = tw.compute((4, 5), lambda y, x: tw.sum(lambda i, j: F32[y + i, x + j] * w[i, j], (3, 3)))
    want = sum(F32[i : i + 4, j : j + 5] * w[i, j] for i in range(3) for j in range(3))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_compute_broadcasts_what_ignores_an_index() -> None:
    got = tw.compute((6, 4), lambda y, x: F32[y, 0])
    np.testing.assert_array_equal(got, np.repeat(F32[:, :1], 4, axis=1))
    np.testing.assert_array_equal(tw.compute((), lambda: np.float32(3)), np.float32(3))
    assert tw.compute(3, lambda i: 2.5).dtype == np.float64
    assert tw.compute((0, 4), lambda y, x: F32[y, x]).shape == (0, 4)


def test_compute_returns_memory_of_its_own() -> None:
    source = np.zeros(3)
    result = tw.compute(3, lambda i: source[i])
    result[...] = 1
    assert not source.any()


@pytest.mark.parametrize(
    ("fn", "dtype"),
    [
        (lambda i: F32[0, i] * i, np.float32),
        (lambda i: i * F32[0, i], np.float32),
        (lambda i: F32[0, i] * (i * 0.5 + 1), np.float32),
        (lambda i: F32[0, i] / (i + 1), np.float32),
        (lambda i: np.maximum(F32[0, i], i), np.float32),
        (lambda i: np.where(i > 2, F32[0, i], i), np.float32),
        (lambda i: np.float32(2) * i, np.float32),
        (lambda i: np.float64(2) * i, np.float64),
        (lambda i: U8[0, i] + i, np.uint8),
        (lambda i: U8[0, i] / (i + 1), np.float64),
        (lambda i: U8[0, i] * (i / 2), np.float64),
        (lambda i: np.sqrt(i) * F32[0, i], np.float64),
        (lambda i: np.minimum(i, 3), np.int64),
        (lambda i: i < 3, np.bool_),
        (lambda i: (i < 3) & (F32[0, i] > 0), np.bool_),
        (lambda i: -i // 2 % 3 - 7 * i + (5 - i) ** 2, np.int64),
        (lambda i: (i << 2 | 1) ^ (255 >> i) & ~i, np.int64),
        (lambda i: np.hypot(i, 2.0), np.float64),
        (lambda i: divmod(20, i + 1)[1] + divmod(i, 3)[0], np.int64),
        (lambda i: abs(i - 3) * np.clip(i, 1, 4), np.int64),
    ],
)
def test_an_index_promotes_like_a_python_int(fn: Any, dtype: Any) -> None:
    got = tw.compute(7, fn)
    want = [fn(i) for i in range(7)]
    assert got.dtype == dtype
    assert {np.asarray(w).dtype for w in want} == {np.dtype(dtype)}
    np.testing.assert_array_equal(got, want)


def test_an_index_compares_with_a_narrow_array_by_value() -> None:
    values = np.full(300, 44, np.uint8)
    got = tw.compute(300, lambda i: values[i] == i)
    np.testing.assert_array_equal(np.flatnonzero(got), [44])


def test_an_index_that_a_dtype_cannot_hold_is_an_error() -> None:
    zeros = np.zeros(300, np.uint8)
    with pytest.raises(DTypeError, match="an index of value 299 does not fit uint8"):
        tw.compute(300, lambda i: zeros[i] + i)
    with pytest.raises(DTypeError, match="an index of value 300 does not fit uint8"):
        tw.compute(300, lambda i: zeros[i] + (300 - 2 * abs(i - 150)))  # at both ends it does
    with pytest.raises(DTypeError, match="an index of value -20 does not fit uint8"):
        tw.compute(300, lambda i: zeros[i] + (abs(i - 20) - 20))
    with pytest.raises(DTypeError, match="an index of value -1 does not fit uint8"):
        tw.compute(300, lambda i: zeros[i] + (i - 1))  # 298 does not fit either
    with pytest.raises(DTypeError, match="an index of value 128 does not fit int8"):
        tw.compute(129, lambda i: zeros.view(np.int8)[i] + i)
    with pytest.raises(DTypeError, match="an index of value -129 does not fit int8"):
        tw.compute(2, lambda i: zeros.view(np.int8)[i] + (-129 + i))


@pytest.mark.parametrize(
    ("dtype", "first", "count"),
    [(np.uint8, 0, 256), (np.int8, -128, 256), (np.int8, -128, 1), (np.int8, 127, 1)],
)
def test_all_indices_that_a_dtype_can_hold_are_combined(dtype: Any, first: int, count: int) -> None:
    zeros = np.zeros(count, dtype)
    got = tw.compute(count, lambda i: zeros[i] + (i + first))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.arange(first, first + count))


def test_no_index_at_all_fits_any_dtype() -> None:
    assert tw.compute(0, lambda i: np.zeros(1, np.uint8)[i] + (i - 1)).dtype == np.uint8


def test_python_branches_on_an_index_are_refused() -> None:
    with pytest.raises(TraceError, match=r"np\.where"):
        tw.compute(3, lambda i: 1 if i else 0)
    with pytest.raises(ValueError, match="ambiguous"):  # NumPy's own refusal
        tw.compute(3, lambda i: 1 if i > 1 else 0)


def test_partial_indexing_is_refused() -> None:
    with pytest.raises(ShapeError, match="index every axis"):
        tw.compute(6, lambda y: F32[y])
    with pytest.raises(ShapeError, match="index every axis"):
        tw.sum(lambda y: F32[y], 6)


def test_compute_inside_an_index_function_is_refused() -> None:
    with pytest.raises(TraceError, match="compute cannot be called inside"):
        tw.compute(3, lambda i: tw.compute(2, lambda j: i + j)[0])


@pytest.mark.parametrize("extents", [-1, (2, -3)])
def test_negative_extents_are_refused(extents: Any) -> None:
    with pytest.raises(ShapeError, match="negative"):
        tw.compute(extents, lambda *i: 0)


def test_fractional_extents_are_refused() -> None:
    with pytest.raises(DTypeError, match=r"2\.5"):
        tw.sum(lambda i: i, 2.5)


DTYPES = ["bool", "int8", "uint8", "int32", "uint32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "argmax", "argmin"])
def test_reductions_give_the_dtype_and_value_of_numpy(name: str, dtype: str) -> None:
    a = RNG.integers(0, 3, (4, 3, 5)).astype(dtype)
    reduction, reference = getattr(tw, name), getattr(np, name)
    over_last = tw.compute((4,), lambda i: reduction(lambda j, k: a[i, j, k], (3, 5)))
    want = reference(a.reshape(4, 15), axis=1)
    assert over_last.dtype == want.dtype
    np.testing.assert_array_equal(over_last, want)
    whole = reduction(lambda *index: a[index], a.shape)
    assert np.ndim(whole) == 0
    assert whole == reference(a)


def test_reductions_nest() -> None:
    a = RNG.standard_normal((4, 5, 6))
    got = tw.compute(4, lambda i: tw.max(lambda j: tw.sum(lambda k: a[i, j, k] * j, 6) + i, 5))
    want = (a.sum(2) * np.arange(5)).max(1) + np.arange(4)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_reduction_of_a_constant_counts_its_points() -> None:
    assert tw.sum(lambda i, j: 1, (3, 4)) == 12
    assert tw.sum(lambda i: 1, 200_000) == 200_000
    np.testing.assert_array_equal(tw.compute(3, lambda y: tw.sum(lambda i: y, 4)), [0, 4, 8])


def test_empty_reductions() -> None:
    empty = np.zeros((3, 0), np.float32)
    got = tw.compute(3, lambda y: tw.sum(lambda i: empty[y, i], 0))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [0, 0, 0])
    assert tw.prod(lambda i: empty[0, i], 0) == 1
    with pytest.raises(ValueError, match="max over the empty extents"):
        tw.max(lambda i: empty[0, i], 0)


def test_nan_propagates_and_wins() -> None:
    a = np.array([1.0, np.nan, 5.0, np.nan])
    assert np.isnan(tw.max(lambda i: a[i], 4))
    assert np.isnan(tw.min(lambda i: a[i], 4))
    assert tw.argmax(lambda i: a[i], 4) == 1
    assert tw.argmin(lambda i: a[i], 4) == 1


def test_argmax_takes_the_first_of_equals_across_chunks() -> None:
    long = np.zeros(200_000, np.int8)
    long[[70_000, 150_000]] = 1
    assert tw.argmax(lambda i: long[i], long.size) == 70_000
    with_nan = long.astype(np.float32)
    with_nan[[140_000, 160_000]] = np.nan
    assert tw.argmax(lambda i: with_nan[i], long.size) == 140_000


def test_sums_round_like_a_tree() -> None:
    tenth = np.full(1 << 20, 0.1, np.float32)
    exact = tenth.astype(np.float64).sum()
    assert abs(tw.sum(lambda i: tenth[i], tenth.size) - exact) <= 44 * 2.0**-24 * exact
    columns = tw.compute(2, lambda c: tw.sum(lambda i: tenth[i * 2 + c], tenth.size // 2))
    np.testing.assert_allclose(columns, exact / 2, rtol=44 * 2.0**-24)


def test_half_sums_do_not_overflow_on_the_way() -> None:
    a = np.array([60000, 60000, -60000, -60000, 7], np.float16)
    got = tw.sum(lambda i: a[i], 5)
    assert got.dtype == np.float16
    assert got == 7


def test_reductions_need_memory_for_their_result_only() -> None:
    a, b = (RNG.standard_normal((256, 256)).astype(np.float32) for _ in range(2))
    tracemalloc.start()
    tw.compute((256, 256), lambda i, j: tw.sum(lambda k: a[i, k] * b[k, j], 256))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 256 * 256 * 4 * 20  # the whole product would be 256 times the result


PAD_MODES = {"clamp": "edge", "reflect": "reflect", "wrap": "wrap", "constant": "constant"}


@pytest.mark.parametrize("boundary", PAD_MODES)
@pytest.mark.parametrize("size", [2, 3, 6])
def test_boundaries_match_pad(boundary: str, size: int) -> None:
    a = F32[:size, :2]
    pad = 3 * size
    got = tw.compute(
        (size + 2 * pad, 4), lambda y, x: tw.at(a, (y - pad, x - 1), boundary=boundary)
    )
    mode: Any = PAD_MODES[boundary]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.pad(a, ((pad, pad), (1, 1)), mode=mode))


def test_boundaries_of_an_axis_of_one() -> None:
    a = np.array([5], np.uint8)
    for boundary in ("clamp", "reflect", "wrap"):
        assert tw.at(a, 9, boundary=boundary) == 5


def test_constant_boundary_keeps_the_dtype() -> None:
    got = tw.at(U8, (-1, 0), boundary="constant", fill=np.float64(9))
    assert got == 9
    assert got.dtype == np.uint8
    nothing = np.zeros((0, 3), np.float32)
    assert tw.at(nothing, (0, 0), boundary="constant", fill=2) == 2


def test_proven_reads_are_checked() -> None:
    assert tw.at(F32, (1, 2)) == F32[1, 2]
    with pytest.raises(IndexError, match="index -1 lies outside of an axis of 6 elements"):
        tw.compute(6, lambda y: tw.at(F32, (y - 1, 0)))
    with pytest.raises(BoundsError, match="no element"):
        tw.at(np.zeros(0), 0, boundary="clamp")


def test_misuse_of_at() -> None:
    with pytest.raises(KernelError, match="unknown boundary 'edge'"):
        tw.at(F32, (0, 0), boundary="edge")
    with pytest.raises(ShapeError, match="1 indices for an array of 2 axes"):
        tw.at(F32, 0)
    with pytest.raises(DTypeError, match="float64"):
        tw.at(F32, (0, 0.5))


def test_loop_carries_its_state() -> None:
    a, b = tw.loop(10, lambda i, a, b: (b, a + b), 0, 1)
    assert (a, b) == (55, 89)
    assert tw.loop(0, lambda i, a: (a + 1,), 4) == (4,)
    (total,) = tw.loop(3, lambda i, t: t + F32[i, 0], np.float32(0))
    assert total == F32[0, 0] + F32[1, 0] + F32[2, 0]


def test_loop_inside_of_compute() -> None:
    a = np.abs(F32) + 1

    def newton(i: int, root: Any, y: Any, x: Any) -> Any:
        return (root + a[y, x] / root) / 2, y, x

    got = tw.compute(a.shape, lambda y, x: tw.loop(8, newton, a[y, x], y, x)[0])
    np.testing.assert_allclose(got, np.sqrt(a), rtol=1e-6)


def test_loop_misuse() -> None:
    with pytest.raises(TraceError, match="returned 1 values for a state of 2"):
        tw.loop(2, lambda i, a, b: (a,), 0, 0)
    with pytest.raises(DTypeError, match="one integer"):
        tw.loop(F32[0], lambda i, a: a, 0)


def test_while_loop_outside_of_compute() -> None:
    assert tw.while_loop(lambda n: n < 100, lambda n: n * 3, 1) == (243,)
    with pytest.raises(ShapeError, match=r"\.any\(\)"):
        tw.while_loop(lambda v: v < 1, lambda v: v, F32)


def test_while_loop_runs_each_element_until_its_own_end() -> None:
    def steps(i: Any) -> Any:
        """Collatz steps from i + 1 down to 1."""
        return tw.while_loop(
            lambda n, count: n != 1,
            lambda n, count: (np.where(n % 2 == 0, n // 2, 3 * n + 1), count + 1),
            i + 1,
            0,
        )[1]

    np.testing.assert_array_equal(tw.compute(9, steps), [0, 1, 7, 2, 5, 8, 16, 3, 19])


def test_a_stopped_element_reads_nothing_out_of_range() -> None:
    text = np.array([1, 1, 0, 1, 1, 1, 1], np.int8)

    def run_length(start: Any) -> Any:
        (end,) = tw.while_loop(
            lambda at: (at < 7) & (text[np.minimum(at, 6)] == 1),
            lambda at: at + text[at],
            start,
        )
        return end - start

    np.testing.assert_array_equal(tw.compute(7, run_length), [2, 1, 0, 4, 3, 2, 1])


@pytest.mark.parametrize(
    "function",
    [
        lambda: tw.compute((7,), lambda i: (F32[0] * i).sum()),
        lambda: tw.compute((7,), lambda i: (F32[0] * i)[0]),
        lambda: tw.compute((6,), lambda i: F32[i].sum()),
        lambda: tw.compute((6,), lambda i: F32[i, 0].max()),
        lambda: tw.compute((3, 7), lambda y, x: F32[y, x] + (F32[0] * x).sum()),
        lambda: tw.compute((7,), lambda i: F32[0] * i),
        lambda: tw.sum(lambda i: (F32[0] * i).sum(), 7),
        lambda: tw.argmax(lambda i: (F32[0] * i).sum(), (7,)),
        lambda: tw.compute((5,), lambda k: tw.sum(lambda i: (F32[0] * i).sum(), 7)),
    ],
)
def test_whole_arrays_are_not_taken_for_the_grid(function: Any) -> None:
    """Compiled, the whole array is used at each point."""
    with pytest.raises(ShapeError, match="uses an array as a whole, whose axes NumPy takes"):
        function()


def test_whole_arrays_that_no_index_meets_are_values() -> None:
    got = tw.compute((6,), lambda i: F32[i, 0] * F32.max() + U8[0].sum())
    np.testing.assert_array_equal(got, F32[:, 0] * F32.max() + U8[0].sum())
    got = tw.compute((6, 7), lambda y, x: F32[y].mean(-1) * 0 + F32[y, x])
    np.testing.assert_array_equal(got, F32)


def test_rounding_is_not_taken_for_another_value() -> None:
    """What nearly cancels differs in every digit between one point and all of them."""
    x = RNG.standard_normal((300, 40)).astype(np.float32)
    x = np.concatenate([x, -x[::-1]])
    got = tw.compute((40,), lambda j: tw.sum(lambda i: x[i, j] * np.float32(1.1), 600))
    assert np.abs(got).max() < 1e-4


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (2, 3)])
def test_points_are_evaluated_alone_if_there_are_others(count: int, calls: int) -> None:
    seen = []

    def element(i: Any) -> Any:
        seen.append(i)
        return F32[0, i]

    tw.sum(element, count)
    assert len(seen) == calls


@pytest.mark.parametrize(
    ("points", "length"),
    [(0, 1 << 16), (1, 1 << 16), (2, 32), (2048, 32), (2049, 31), (1 << 16, 1), (1 << 20, 1)],
)
def test_runs_of_reduced_points(points: int, length: int) -> None:
    assert _chunk_length(points) == length
