"""Arrays of integers and bools compared with Python ints: by value, whatever the array can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check, run, traced
from tilewright.ir.dtypes import I64, U8, U64, DType
from tilewright.ir.expr import Apply
from tilewright.ir.graph import Compute

ARRAYS = {
    "bool": np.array([False, True]),
    "int8": np.array([-128, -1, 0, 127], np.int8),
    "uint8": np.array([0, 1, 255], np.uint8),
    "int64": np.array([-(2**63), -1, 0, 2**63 - 1]),
    "uint64": np.array([0, 2**63 - 1, 2**63, 2**64 - 1], np.uint64),
}
COMPARISONS = [np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal]
NUMBERS = [0, 1, -1, 127, 128, -128, -129, 255, 256, 2**32, 2**32 + 1, 2**63, -(2**63), 2**64]
ONLY_64_BITS = [n for n in NUMBERS if -(2**63) <= n < 2**63]


def numbers_for(array: np.ndarray) -> tuple[int, ...]:
    """NumPy compares bools with what fits in 64 bits only."""
    return tuple(ONLY_64_BITS if array.dtype == np.bool_ else NUMBERS)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_known_ints_on_either_side(ufunc: np.ufunc, array: np.ndarray) -> None:
    check(lambda x, n: [(ufunc(x, k), ufunc(k, x)) for k in n], array, numbers_for(array))


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_ints_that_are_arguments(ufunc: np.ufunc, array: np.ndarray) -> None:
    for number in ONLY_64_BITS:
        check(lambda x, n: (ufunc(x, n), ufunc(n, x)), array, number)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_into_an_array(ufunc: np.ufunc, array: np.ndarray) -> None:
    def into(x: Any, numbers: Any) -> Any:
        made = []
        for number in numbers:
            out = np.zeros(x.shape, np.bool_)
            ufunc(x, number, out=out)
            made.append(out)
        return made

    check(into, array, numbers_for(array))


@pytest.mark.parametrize("number", [-1, 300])
def test_where_a_mask_holds(number: int) -> None:
    """Not asked of NumPy 2.4: with such a number and a mask it may crash."""

    def function(x: Any) -> Any:
        out = np.array([True, False, False])
        np.greater(x, number, out=out, where=x > 3)
        return out

    x = np.array([0, 5, 255], np.uint8)
    found = run(traced(function, x), function, (x,))
    np.testing.assert_array_equal(found, [True, number < 0, number < 0])


@pytest.mark.parametrize(("dtype", "compared"), [("uint8", U8), ("uint64", U64), ("bool", I64)])
def test_an_array_is_not_widened_for_a_number_that_fits(dtype: str, compared: DType) -> None:
    (node,) = traced(lambda x: x == 1, ARRAYS[dtype]).graph.outputs
    assert isinstance(node, Compute)
    assert isinstance(node.body, Apply)
    assert {o.dtype for o in node.body.operands} == {compared}


@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_numbers_among_themselves(ufunc: np.ufunc) -> None:
    for n in (0, -1, 2**32, 2**63 - 1):
        check(lambda n: (ufunc(n, 2**32), ufunc(0, n), ufunc(n, n + 0)), n)
