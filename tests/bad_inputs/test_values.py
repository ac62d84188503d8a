"""Rows 38 to 56: values at the edges of their types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import WIDTHS, X, as_numpy, call

SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-45, -1e-40, 3e38, 0.5, -2.5], np.float32
)
PAIRS = tuple(np.array(side, np.float32) for side in np.meshgrid(SPECIAL, SPECIAL))


@pytest.mark.parametrize(
    "function",
    [np.maximum, np.minimum, np.fmax, np.fmin, lambda a, b: np.clip(a, -1, b)],
    ids=["maximum", "minimum", "fmax", "fmin", "clip"],
)
def test_row_38_nan_in_extremes(function: Any) -> None:
    a, b = PAIRS
    wanted = function(a, b)
    got = call(lambda p, q: function(p, q), a, b)
    np.testing.assert_array_equal(got, wanted)


def test_row_38_nan_in_reductions_and_sorting() -> None:
    with_nan = np.array([[1, np.nan, 3], [4, 5, 6]], np.float32)
    for function in (np.max, np.min, np.argmax, np.argmin, np.sort, np.argsort, np.nanmax):
        as_numpy(lambda a: function(a, axis=1), with_nan)


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a != a,
        lambda a: (a < 1) | (a > 1),
        lambda a: np.where(a, 1, 2),
        lambda a: a.astype(bool),
        np.sign,
        np.isnan,
        np.signbit,
    ],
)
def test_row_39_nan_in_tests(function: Any) -> None:
    as_numpy(lambda a: function(a), SPECIAL)


def test_row_40_limits_of_exponentials() -> None:
    ends = np.array([np.inf, -np.inf, 1e4, -1e4], np.float32)
    np.testing.assert_array_equal(call(lambda a: np.exp(a), ends), [np.inf, 0, np.inf, 0])
    np.testing.assert_array_equal(call(lambda a: np.tanh(a), ends), [1, -1, 1, -1])
    np.testing.assert_array_equal(call(lambda a: tw.sigmoid(a), ends), [1, 0, 1, 0])


def test_row_41_stable_formulas() -> None:
    large = np.full(8, 1e4, np.float32)
    np.testing.assert_allclose(call(lambda a: tw.softmax(a), large), 0.125)
    near = (1e8 + np.arange(64)).astype(np.float64)
    np.testing.assert_allclose(call(lambda a: a.var(), near), np.arange(64.0).var())
    np.testing.assert_allclose(call(lambda a: np.hypot(a, a), large * 1e30), np.hypot(1, 1) * 1e34)
    ones = np.ones(70000, np.float16)
    assert call(lambda a: a.mean(), ones) == 1


def test_rows_42_43_subnormals_and_the_sign_of_zero_are_kept() -> None:
    for function in (np.negative, np.sqrt, np.abs, lambda a: a * 1, lambda a: a + -0.0):
        as_numpy(lambda a: function(a), SPECIAL)
    zeros = np.array([-0.0, 0.0, 1e-45, -1e-45], np.float32)
    for function in (np.tanh, np.sin, np.tan, np.arctan, np.sinh, np.expm1, np.log1p):
        got = call(lambda a: function(a), zeros)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(zeros))
        np.testing.assert_allclose(got, zeros, atol=3e-45)  # two units of the last place


def test_row_44_powers() -> None:
    base = np.array([0, -8, -2, 0, 1, 1, 2, 0.5, -0.0, -1, np.nan, np.inf], np.float32)
    exponent = np.array(
        [0, 1 / 3, 3, -1, np.nan, np.inf, np.inf, np.inf, -3, np.inf, 0, -1], np.float32
    )
    as_numpy(lambda a, b: np.power(a, b), base, exponent)


def test_row_45_domain_edges_do_not_trap() -> None:
    edges = np.array([0, -0.0, -1, 2, np.inf], np.float32)
    for function in (np.log, np.sqrt, np.arcsin, np.log2, np.arccosh, lambda a: 1 / a):
        got, wanted = call(lambda a: function(a), edges), None
        with np.errstate(all="ignore"):
            wanted = function(edges)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(wanted))


@pytest.mark.parametrize("dtype", [*WIDTHS, np.uint8, np.uint32, np.uint64])
def test_rows_46_49_integers_wrap_and_never_trap(dtype: Any) -> None:
    info = np.iinfo(dtype)
    corners = np.array([info.min, info.min + 1, 0, 1, 7, info.max - 1, info.max], dtype)
    a, b = (np.ascontiguousarray(side) for side in np.meshgrid(corners, corners))
    if info.min < 0:
        a, b = np.append(a, dtype(-1)), np.append(b, dtype(-1))
    for function in (np.floor_divide, np.remainder, np.add, np.subtract, np.multiply):
        as_numpy(lambda p, q: function(p, q), a.ravel(), b.ravel())
    as_numpy(lambda p: np.abs(p), corners)
    as_numpy(lambda p: p.sum(), corners)
    as_numpy(lambda p: -p, corners)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_row_48_shifts_beyond_the_width(dtype: Any) -> None:
    values = np.array([1, -1, 5, -100], dtype)[:, None]
    amounts = np.array([0, 1, 7, 8, 31, 32, 33, 63, 64, 100], dtype)
    as_numpy(lambda a, n: a << n, values, amounts)
    as_numpy(lambda a, n: a >> n, values, amounts)


def test_row_50_floats_that_no_integer_can_hold() -> None:
    wild = np.array([1e20, -1e20, np.nan, np.inf, -np.inf, 300, -1], np.float32)
    for dtype in (*WIDTHS, np.uint8, np.uint32):
        got = call(lambda a: a.astype(dtype), wild)
        again = call(lambda a: (a + 0).astype(dtype)[::-1], wild)[::-1]
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, again)  # one rule, in vectors and alone


@pytest.mark.parametrize("index", [6, -7, 1 << 31, 1 << 62, -(1 << 63)])
def test_row_52_indices_out_of_bounds(index: int) -> None:
    indices = np.array([0, index, 1])
    out = np.full(3, 9, np.float32)
    kernel = tw.kernel(lambda a, i: a[i])
    with pytest.raises(tw.BoundsError, match="out of bounds for axis 0 with size 6") as caught:
        call(kernel, X, indices, out=out)
    assert f"index {index} " in str(caught.value)
    assert (out == 9).all()
    with pytest.raises(IndexError):
        call(lambda a: a[7], X)


def test_row_53_duplicate_indices() -> None:
    def put(a: Any, i: Any) -> Any:
        out = np.zeros(4, a.dtype)
        out[i] = a
        return out

    indices = np.array([0, 1, 1, 3, 3, 3])
    as_numpy(put, X, indices)


def test_row_55_ties() -> None:
    ties = np.array([[1, 3, 3], [np.nan] * 3, [2, 2, 2]], np.float32)
    as_numpy(lambda a: a.argmax(axis=1), ties)
    as_numpy(lambda a: a.argmin(axis=1), ties)
    as_numpy(lambda a: a.argmax(), np.full(1000, 7, np.float32))


def test_row_56_far_arguments() -> None:
    far = np.array([1e22, -1e22, 1e308, 3.0], np.float64)
    np.testing.assert_allclose(call(lambda a: np.sin(a), far), np.sin(far), rtol=1e-15)
    ends = np.array([88.8, -104, 88.7, -103.9], np.float32)
    wanted = np.exp(ends.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(call(lambda a: np.exp(a), ends), wanted, rtol=3e-7)
    tiny = np.array([1e-20], np.float32)
    np.testing.assert_allclose(call(lambda a: np.tanh(a), tiny), tiny, rtol=2.4e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_row_42_powers_of_two_scale_into_and_out_of_the_subnormals(dtype: Any) -> None:
    info = np.finfo(dtype)
    edges = np.array([0.0, np.inf, np.nan, 1, 1.375, info.max, info.tiny, info.smallest_subnormal])
    values = np.concatenate([edges, -edges, edges * 0.7, np.full(8, 3 * info.smallest_subnormal)])
    values = values.astype(dtype)
    span = info.maxexp - info.minexp + info.nmant
    for exponent in (1, 2, 3, 17, info.nmant, info.maxexp, span - 1, span, span + 1, 5 * span):
        as_numpy(lambda a, n=exponent: np.ldexp(a, n), values)
        as_numpy(lambda a, n=exponent: np.ldexp(a, -n), values)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_row_49_divisors_and_multiples_of_the_least_integer(dtype: Any) -> None:
    info = np.iinfo(dtype)
    edges = np.array([info.min, info.min + 1, -6, -1, 0, 1, 2, 6, info.max], dtype)
    left, right = (a.ravel().copy() for a in np.meshgrid(edges, edges))
    as_numpy(lambda a, b: np.gcd(a, b), left, right)
    as_numpy(lambda a, b: np.lcm(a, b), left, right)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_row_45_the_cardinal_sine_of_zero(dtype: Any) -> None:
    as_numpy(lambda a: np.sinc(a), np.array([0.0, -0.0], dtype))


def fetched(a: Any, i: Any) -> Any:
    return a[i]


def stored(a: Any, i: Any) -> Any:
    out = np.zeros_like(a)
    out[i] = 1
    return out


def clamped(a: Any, i: Any) -> Any:
    return tw.compute(i.shape, lambda k: tw.at(a, (i[k],), boundary="clamp"))


def filled(a: Any, i: Any) -> Any:
    return tw.compute(i.shape, lambda k: tw.at(a, (i[k],), boundary="constant", fill=9))


@pytest.mark.parametrize("target", ["cpu", "wasm", "wgsl", "glsl"])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint32])
def test_row_52_indices_whose_low_bits_are_an_index(target: str, dtype: Any) -> None:
    info = np.iinfo(dtype)
    low_bits = (1 << min(info.bits, 33) - 1) + 1
    for index in (low_bits, 2**31, info.max if dtype is np.uint32 else -low_bits):
        indices = np.array([0, index]).astype(dtype)
        for function in (fetched, stored):
            with pytest.raises((tw.BoundsError, tw.LimitError)):
                call(tw.kernel(function).on(target), X, indices)
        for function in (clamped, filled):
            try:
                got = call(tw.kernel(function).on(target), X, indices)
            except tw.LimitError:  # refused at upload
                assert target in ("wgsl", "glsl")
                assert dtype is not np.uint32
                continue
            np.testing.assert_array_equal(got, function(X, indices))


def test_row_52_modes_of_take() -> None:
    for mode in ("clip", "wrap"):
        as_numpy(lambda a, i, mode=mode: np.take(a, i, mode=mode), X, np.array([7, -9]))
    around: Any = "around"
    with pytest.raises(ValueError, match="'raise', 'clip' and 'wrap', not 'around'"):
        call(lambda a: np.take(a, [1], mode=around), X)
