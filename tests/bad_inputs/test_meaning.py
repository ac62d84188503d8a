"""Rows 16 to 18: numbers that do not fit, new types, iterations that meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import X, as_numpy, call, refused


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(np.int32, 1 << 31), (np.int32, -(1 << 31) - 1), (np.uint8, 256), (np.uint8, -1)],
)
def test_row_16_literals_that_do_not_fit(dtype: Any, value: int) -> None:
    message = refused(lambda a: a + value, X.astype(dtype), kind=OverflowError)
    assert f"Python integer {value} out of bounds for {np.dtype(dtype)}" in message


def test_row_16_promotion_is_numpys() -> None:
    as_numpy(lambda a: a + 2**63, X)
    as_numpy(lambda a: True + a, X.astype(np.int8))
    as_numpy(lambda a: (a > 1) + 1, X)
    as_numpy(lambda a: a.astype(np.uint64) + a.astype(np.int64), X)
    with pytest.raises(tw.IntegerRangeError, match="'n': 9223372036854775808 does not fit"):
        call(lambda a, n: a + n, X, 1 << 63)


def test_row_17_new_types_specialise() -> None:
    kernel = tw.kernel(lambda a, flag=False: a * 2 if flag else a + 1)
    for _ in range(3):  # the third round takes the fast path
        for array in (X, X.astype(np.int32), X[:3], X.reshape(2, 3), X.astype(np.float64)):
            got = call(kernel, array)
            assert got.dtype == array.dtype
            np.testing.assert_array_equal(got, array + 1)
            np.testing.assert_array_equal(call(kernel, array, True), array * 2)


def test_row_18_several_iterations_add_to_one_element() -> None:
    def halves(a: Any) -> Any:
        out = np.zeros(a.shape[0] // 2, a.dtype)
        np.add.at(out, np.arange(a.shape[0]) // 2, a)
        return out

    long = np.arange(1 << 16, dtype=np.float32)
    first = as_numpy(halves, long)
    for _ in range(5):
        np.testing.assert_array_equal(call(halves, long), first)
