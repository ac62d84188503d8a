"""Python ints that meet narrower integers, and negative powers of integers, fail as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

U8 = np.arange(3, dtype=np.uint8)


def first_set(a: Any, n: Any) -> Any:
    b = a.copy()
    b[0] = n
    return b


MEETINGS: dict[str, Callable[..., Any]] = {
    "add": lambda a, n: a + n,
    "maximum": lambda a, n: np.maximum(a, n),
    "where": lambda a, n: np.where(a > 1, a, n),
    "full": lambda a, n: a + np.full(3, n, np.uint8),
    "assign": first_set,
    "computed": lambda a, n: a + (n - 0),
    "twice": lambda a, n: a * 0 + (n + 0) + n,
    "compute": lambda a, n: tw.compute(3, lambda i: a[i] + n),
    "loop": lambda a, n: tw.loop(1, lambda i, s: s + n, a),
}


@pytest.mark.parametrize("name", MEETINGS)
@pytest.mark.parametrize("wrong", [300, 256, -1])
def test_an_int_argument_must_fit_the_dtype_that_it_meets(name: str, wrong: int) -> None:
    kernel = tw.kernel(MEETINGS[name])
    for _ in range(3):  # the later calls may take the path in machine code
        kernel(U8, 100)
    with pytest.raises(OverflowError, match=f"Python integer {wrong} ") as caught:
        kernel(U8, wrong)
    assert isinstance(caught.value, tw.IntegerRangeError)
    kernel(U8, 100)
    assert len(kernel.specializations) == 1


@pytest.mark.parametrize(
    ("dtype", "value"), [("i4", 1 << 40), ("u8", -1), ("i2", -40_000), ("u4", 1 << 32)]
)
def test_the_range_is_that_of_the_dtype(dtype: str, value: int) -> None:
    kernel = tw.kernel(lambda a, n: a + n)
    kernel(np.zeros(2, dtype), 5)
    with pytest.raises(OverflowError, match="argument 'n'"):
        kernel(np.zeros(2, dtype), value)
    with pytest.raises(OverflowError):
        np.zeros(2, dtype) + value


@pytest.mark.parametrize("dtype", ["i8", "f4", "f8"])
def test_wide_dtypes_hold_every_int(dtype: str) -> None:
    kernel = tw.kernel(lambda a, n: a + n)
    x = np.arange(3).astype(dtype)
    np.testing.assert_array_equal(kernel(x, 1 << 40), x + (1 << 40))


def test_an_int_inside_of_a_dict_is_tested_too() -> None:
    kernel = tw.kernel(lambda a, d: a * d["n"])
    np.testing.assert_array_equal(kernel(U8, {"n": 3}), U8 * 3)
    with pytest.raises(OverflowError):
        kernel(U8, {"n": 300})


def test_a_comparison_takes_every_int() -> None:
    kernel = tw.kernel(lambda a, n: a < n)
    assert kernel(U8, 300).all()
    assert not kernel(U8, -1).any()


@pytest.mark.parametrize("exponent", [-1, -2])
def test_a_negative_literal_exponent_of_integers_is_an_error(exponent: int) -> None:
    kernel = tw.kernel(lambda i: i**exponent)
    with pytest.raises(ValueError, match="negative integer powers") as caught:
        kernel(np.arange(1, 4))
    assert isinstance(caught.value, tw.NegativePowerError)
    assert caught.value.loc is not None


@pytest.mark.parametrize("target", ["cpu", "wasm"])
def test_negative_exponents_of_integers_are_found_at_run_time(target: str) -> None:
    kernel = tw.kernel(target=target)(lambda i, n: i**n)
    i = np.arange(1, 5, dtype=np.int32)
    np.testing.assert_array_equal(kernel(i, i), i**i)
    np.testing.assert_array_equal(kernel(i, 3), i**3)
    for wrong in (np.array([1, 2, -1, 0], np.int32), -2):
        with pytest.raises(ValueError, match="negative integer powers"):
            kernel(i, wrong)
