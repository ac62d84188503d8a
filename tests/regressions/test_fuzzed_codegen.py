"""Programs that the fuzzer found to be miscompiled or refused by LLVM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tilewright as tw


def test_interleaved_stores_of_single_lanes() -> None:
    """Columns of a narrow result were joined as vectors although each was one scalar."""
    x = np.arange(17, dtype=np.float32).reshape(17, 1)
    np.testing.assert_array_equal(
        tw.kernel(lambda x: np.stack([x, -x], -1))(x), np.stack([x, -x], -1)
    )
    a = np.arange(62, dtype=np.uint32).reshape(2, 31)
    index = np.arange(8 * 31, dtype=np.int8).reshape(8, 31)
    kernel = tw.kernel(lambda a, i: np.take(a, i % 2, axis=0))
    np.testing.assert_array_equal(kernel(a, index), np.take(a, index % 2, axis=0))
    wide = np.arange(93, dtype=np.float16).reshape(31, 3) / 64
    square = np.arange(9, dtype=np.float16).reshape(3, 3) / 8
    np.testing.assert_allclose(
        tw.kernel(lambda a, b: a @ b)(wide, square), wide @ square, rtol=2e-3
    )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "bool"])
@pytest.mark.parametrize("size", [1, 3, 17, 64, 257])
def test_exponentials_in_more_lanes_than_a_register_holds(dtype: str, size: int) -> None:
    """`vscalef` was declared for 2048 bits where a narrow dtype decided the number of lanes."""
    x = (np.arange(size) % 7).astype(dtype)
    grown, total = tw.kernel(lambda x: (np.exp(x.astype(np.float32)), x + x))(x)
    np.testing.assert_allclose(grown, np.exp(x.astype(np.float32)), rtol=1e-6)
    np.testing.assert_array_equal(total, x + x)


def test_products_of_no_terms() -> None:
    """The window that neighbouring rows share had no elements to divide by."""
    a, b = np.zeros((4, 4, 0), np.int8), np.zeros((0, 2), np.int8)
    np.testing.assert_array_equal(tw.kernel(lambda a, b: a @ b)(a, b), a @ b)


def test_gathers_that_leave_their_loop() -> None:
    """A gather was emitted in the inner loop while what used it was placed before the loop."""

    def moved(a, b):
        rows = tw.compute((33, 7), lambda i, j: a[i, j] + a[32 - i, (j * 3 + 1) % 7])
        return rows @ b

    def smallest(a):
        changed = a.copy()
        changed[14::-2] = 3
        return tw.compute((17,), lambda i: tw.min(lambda k: changed[i, k] * changed[k % 17, k], 64))

    a, b = (np.arange(n * 7, dtype=np.uint64).reshape(n, 7) for n in (33, 3))
    np.testing.assert_array_equal(tw.kernel(moved)(a, b.T.copy()), moved(a, b.T))
    wide = np.arange(17 * 64, dtype=np.uint16).reshape(17, 64)
    np.testing.assert_array_equal(tw.kernel(smallest)(wide), smallest(wide))


def test_products_of_no_rows() -> None:
    """The tile had as many rows as there were: none."""
    rows, columns = np.zeros((0, 7, 15, 64), np.float32), np.ones((64, 17), np.float32)
    assert tw.kernel(lambda a, b: a @ b)(rows, columns).shape == (0, 7, 15, 17)


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32])
@pytest.mark.parametrize(("rows", "depth", "columns"), [(4, 0, 2), (0, 3, 2), (4, 3, 0), (0, 0, 0)])
def test_products_without_points(dtype: type, rows: int, depth: int, columns: int) -> None:
    a: np.ndarray = np.ones((5, rows, depth), dtype)
    b: np.ndarray = np.ones((depth, columns), dtype)
    for numerics in ("accurate", "reproducible"):
        found = tw.kernel(numerics=numerics)(lambda a, b: a @ b)(a, b)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, a @ b)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_next_number_of_zeros_of_both_signs(dtype: type[np.floating]) -> None:
    """NumPy returns the first of equal numbers in float16, and the second in the other dtypes."""
    x, y = (np.array(v, dtype) for v in ([0.0, -0.0, 0.0, -0.0], [-0.0, 0.0, 1.0, -1.0]))
    found = tw.kernel(lambda x, y: np.nextafter(x, y))(x, y)
    assert found.tobytes() == np.nextafter(x, y).tobytes()


@pytest.mark.parametrize(
    "take",
    [
        lambda x, i: x[i],
        lambda x, i: np.take(x, i),
        lambda x, i: np.take(x, i, mode="wrap"),
        lambda x, i: np.take(x, i, mode="clip"),
        lambda x, i: np.take_along_axis(x, i, 0),
    ],
)
def test_the_largest_unsigned_index_is_the_last_element(take: Callable[..., np.ndarray]) -> None:
    """Indices are signed in NumPy; here they were taken for ones far outside, and clamped."""
    x, i = np.arange(5.0), np.array([2**64 - 1, 0, 2**64 - 5], np.uint64)
    np.testing.assert_array_equal(tw.kernel(take)(x, i), take(x, i))


@pytest.mark.wasm
@pytest.mark.parametrize("index", [2**32 + 1, -(2**32), 2**40])
def test_indices_that_wasm_cannot_hold_are_outside(index: int) -> None:
    """The upper half was lost before the test."""
    kernel = tw.kernel(lambda x, i: x[i]).on("wasm")
    x = np.arange(5.0)
    with pytest.raises(tw.BoundsError):
        kernel(x, np.array([0, index]))
    assert kernel(x, np.array([0, -1])).tolist() == [0, 4]


@pytest.mark.wasm
@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_searches_among_an_open_number_of_elements(target: str) -> None:
    """The longest jump was negative in 32 bits."""
    n = tw.dim("n")
    kernel = tw.kernel(a=tw.f32[n], x=tw.f32[4])(lambda a, x: np.searchsorted(a, x)).on(target)
    x = np.array([-1, 0.5, 3, 100], np.float32)
    for size in (1, 2, 5, 64, 100):
        a = np.arange(size, dtype=np.float32)
        np.testing.assert_array_equal(kernel(a, x), np.searchsorted(a, x))


@pytest.mark.glsl
@pytest.mark.wgsl
@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_a_scatter_of_one_update(target: str) -> None:
    """There was no axis to look for updates along."""

    def function(x, i):
        largest, last = x.copy(), x.copy()
        np.maximum.at(largest, i % 6, 3)
        last[i % 6] = 4
        return largest, last

    x, i = np.arange(6, dtype=np.float32).reshape(6, 1), np.array(2, np.int32)
    for found, right in zip(tw.kernel(function).on(target)(x, i), function(x, i), strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.wasm
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8", "int16"])
@pytest.mark.parametrize("size", [2, 3, 5, 8, 17])
def test_narrow_lanes_that_shift_by_amounts_of_their_own(dtype: str, size: int) -> None:
    """LLVM shifts such lanes in 32 bits for wasm, and neighbours came in from above."""

    def function(x, n):
        return x[n % size] >> n, x[n % size] << n, x >> n

    x = (np.arange(size) * 37 + 90).astype(dtype)
    amounts = (np.arange(size) * 5 % 17).astype(dtype)
    found = tw.kernel(function).on("wasm")(x, amounts)
    for got, right in zip(found, function(x, amounts), strict=True):
        np.testing.assert_array_equal(got, right)


@pytest.mark.glsl
@pytest.mark.wgsl
@pytest.mark.parametrize("target", ["wgsl", "glsl"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
def test_sums_of_narrow_integers_wrap_before_they_are_used(target: str, dtype: type) -> None:
    """The four lanes of a texel were added without a cut."""

    def function(a):
        return np.maximum(a, np.sum(a, dtype=a.dtype)), a // np.prod(a, dtype=a.dtype)

    a: np.ndarray = (np.arange(1, 33) * (np.iinfo(dtype).max // 33)).astype(dtype)
    with np.errstate(all="ignore"):
        expected = function(a)
    for found, right in zip(tw.kernel(function).on(target)(a), expected, strict=True):
        np.testing.assert_array_equal(found, right)
