"""What users see of integers that GPU targets carry in 32 bits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tilewright as tw


def total(x):
    return x.sum(axis=0)


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_sums_that_may_wrap_are_said_at_their_line(target: str) -> None:
    with pytest.warns(
        tw.NarrowingWarning, match=f"64-bit integers, which target '{target}'"
    ) as said:
        tw.kernel(total).compile(tw.i32[10, 3], target=target)
    (warning,) = said
    assert warning.filename == __file__
    assert warning.lineno == total.__code__.co_firstlineno + 1


@pytest.mark.parametrize("target", ["cpu", "wgsl", "glsl"])
def test_what_is_proven_to_fit_is_silent(target: str) -> None:
    dtype = tw.i32 if target == "cpu" else tw.u8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tw.kernel(total).compile(dtype[10, 3], target=target)


@pytest.mark.wgsl
@pytest.mark.glsl
@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_values_that_do_fit_are_right_all_the_same(target: str) -> None:
    x = np.arange(30, dtype=np.int32).reshape(10, 3)
    with pytest.warns(tw.NarrowingWarning):
        found = tw.kernel(total).on(target)(x)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, x.sum(axis=0))
