"""Programs that the fuzzer found to be miscompiled or refused by LLVM."""

from __future__ import annotations

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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_next_number_of_zeros_of_both_signs(dtype: type[np.floating]) -> None:
    """NumPy returns the first of equal numbers in float16, and the second in the other dtypes."""
    x, y = (np.array(v, dtype) for v in ([0.0, -0.0, 0.0, -0.0], [-0.0, 0.0, 1.0, -1.0]))
    found = tw.kernel(lambda x, y: np.nextafter(x, y))(x, y)
    assert found.tobytes() == np.nextafter(x, y).tobytes()
