"""Functions of NumPy at the edges: special values, extreme integers, few elements, axes from either
end. Each is traced, interpreted and compared with NumPy itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.trace_oracle import check

Function = Callable[..., Any]
numpy: Any = np  # for calls that NumPy's annotations do not allow

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")


def integers(dtype: str) -> np.ndarray:
    """The ends of the range, what is near them, and numbers around zero and around tens."""
    info = np.iinfo(dtype)
    near = [*range(-6, 7), -26, -25, -15, 15, 25, 26, 45, 95, 105, 115, 120]
    ends = [info.min + k for k in range(3)] + [info.max - k for k in range(3)]
    return np.array(sorted({n for n in near + ends if info.min <= n <= info.max}), dtype)


def floats(dtype: str) -> np.ndarray:
    """Infinities, NaN, both zeros, halves, numbers near whole ones, the ends of the range."""
    info = np.finfo(dtype)
    one, below = np.array(1, dtype), np.array(0, dtype)
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, info.max, info.min, info.tiny, -info.tiny]
    steps = [np.nextafter(one, below), np.nextafter(one, below + 2)]
    return np.array([*special, *(np.arange(-9, 10) / 2), 0.25, -0.75, *steps], dtype)


def values(dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.array([False, True, True, False])
    return floats(dtype) if dtype in FLOATS else integers(dtype)


pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of rows of NaN
EVERY = pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_rounding_of_integers(dtype: str) -> None:
    x = integers(dtype)
    if x.dtype.itemsize >= 4:  # what rounding takes out of the range differs between machines
        inner = x[np.abs(x.astype(float)) < 2.0 ** (8 * x.dtype.itemsize - 2)]
        x = np.concatenate([inner, np.array([2**20 + 5, 2 ** (7 * x.dtype.itemsize) + 55], dtype)])
    for digits in (-3, -2, -1, 0, 1, 2):
        check(lambda x, n=digits: np.round(x, n), x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_rounding_of_floats(dtype: str) -> None:
    x = floats(dtype)
    x = np.concatenate([x[np.abs(x) < 100], np.array([np.inf, -np.inf, np.nan, 126, -374], dtype)])
    for digits in (-2, -1, 0, 1, 2):
        check(lambda x, n=digits: np.round(x, n), x)
    check(lambda x: (np.rint(x), np.fix(x), np.trunc(x), np.floor(x), np.ceil(x)), x)


@EVERY
def test_limits(dtype: str) -> None:
    x = values(dtype)
    for low, high in ((1, 3), (None, 2), (1, None), (-3, 1000), (3, 1)):
        if dtype.startswith("u") and low is not None and low < 0:
            continue  # NumPy refuses it, and so do kernels
        if dtype in ("int8", "uint8", "bool") and high == 1000:
            continue
        check(lambda x, a=low, b=high: np.clip(x, a, b), x)
    check(lambda x: np.clip(x, x[::-1], 2), x)
    check(lambda x: np.minimum(np.maximum(x, x[::-1]), x[2]), x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_for_what_is_none(dtype: str) -> None:
    check(
        lambda x: (
            np.nan_to_num(x),
            np.nan_to_num(x, nan=7.0),
            np.nan_to_num(x, posinf=5.0),
            np.nan_to_num(x, neginf=-4.0),
            np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0),
            np.isposinf(x),
            np.isneginf(x),
            np.isnan(x),
            np.isinf(x),
            np.isfinite(x),
            np.signbit(x),
            np.sign(x),
        ),
        floats(dtype),
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("equal_nan", [False, True])
def test_closeness(dtype: str, equal_nan: bool) -> None:
    pool = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, 1.001, 1.5, -1.0, 100.0, 101.0], dtype)
    a, b = np.repeat(pool, len(pool)), np.tile(pool, len(pool))
    check(
        lambda a, b: (
            np.isclose(a, b, equal_nan=equal_nan),
            np.isclose(a, b, 0.01, 0.0, equal_nan),
            np.isclose(a, b, 0.0, 0.5, equal_nan),
            np.isclose(b, a, atol=1.0, rtol=0.5, equal_nan=equal_nan),
        ),
        a,
        b,
    )


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_equality_of_arrays(dtype: str) -> None:
    pool = [[0, 1, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]]
    arrays = [np.array(a, dtype) for a in pool]
    if dtype == "float32":
        nan = np.nan
        arrays += [np.array(a, dtype) for a in ([nan, 1, 1], [0, nan, 1], [nan, nan, nan])]
    for a in arrays:
        for b in arrays:
            check(
                lambda a, b: (
                    np.array([np.array_equal(a, b), np.array_equal(a, b, equal_nan=True)]),
                    np.array([np.allclose(a, b), np.allclose(a, b, equal_nan=True)]),
                    np.array([np.array_equiv(a, b), np.array_equiv(a[:1], b)]),
                ),
                a,
                b,
            )


def test_interpolation_at_every_edge() -> None:
    knots, levels = np.array([-1.0, 0.0, 0.5, 3.0]), np.array([2.0, -1.0, 4.0, 0.5])
    near = [np.nextafter(k, s) for k in knots for s in (-9, 9)]
    x = np.array([*knots, *near, 0.25, 1.75, -5, 5, np.nan, np.inf, -np.inf])
    check(
        lambda x, xp, fp: (
            np.interp(x, xp, fp),
            np.interp(x, xp, fp, left=-7.0),
            np.interp(x, xp, fp, right=9.0),
            np.interp(x, xp, fp, left=np.nan, right=np.inf),
            np.interp(x, xp[:1], fp[:1]),
            np.interp(x, xp[:2], fp[1:3], 1, 2),
            np.interp(2.0, xp, fp),
        ),
        x,
        knots,
        levels,
    )


@EVERY
def test_membership(dtype: str) -> None:
    x = values(dtype)
    check(
        lambda x: (
            np.isin(x, x[::3]),
            np.isin(x, x[:1], invert=True),
            np.isin(x.reshape(1, -1, 1), x[1:3]),
        ),
        x,
    )


METHODS = (
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "hazen", "weibull"),
    *("interpolated_inverted_cdf", "linear", "median_unbiased", "normal_unbiased"),
    *("lower", "higher", "midpoint", "nearest"),
)


@pytest.mark.parametrize("method", METHODS)
def test_quantiles_of_few_elements(method: Any) -> None:
    """Every place between, on and beyond the elements: twelfths of one to six of them."""
    levels = np.arange(13) / 12
    x = np.array([3.0, -1.0, 4.0, 1.5, -5.0, 9.0])
    for count in range(1, 7):
        check(lambda x, n=count: np.quantile(x[:n], levels, method=method), x)


def test_quantiles_with_nan_and_infinities() -> None:
    rows = np.array(
        [
            [1.0, np.nan, 3.0, 2.0, 5.0],
            [np.nan] * 5,
            [np.inf, -np.inf, 0.0, np.nan, 1.0],
            [2.0, 2.0, -0.0, 0.0, 4.0],
            [np.nan, np.nan, np.nan, np.nan, 7.0],
        ]
    )
    for level in (0.0, 0.2, 0.25, 0.5, 0.75, 1.0):
        check(
            lambda x, q=level: (
                np.nanquantile(x, q, axis=1),
                np.nanquantile(x, q, axis=0, keepdims=True),
                np.nanpercentile(x, q * 100),
                np.quantile(x, q, axis=1),
                np.quantile(x, q, axis=-2),
            ),
            rows[[0, 1, 3, 4]],
        )
    check(
        lambda x: (np.nanmedian(x, 1), np.nanmedian(x, 0), numpy.median(x, 1), np.nanmedian(x)),
        rows,
    )


def test_medians_of_few_elements() -> None:
    for count in range(5):
        x = np.array([3.0, -1.0, 4.0, 1.5])[:count]
        check(lambda x: numpy.median(x), x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("order", [1, 2])
def test_gradients(dtype: str, order: int) -> None:
    """One to three axes, steps other than one, even and uneven places."""
    x = (np.arange(60) ** 2 % 17).reshape(3, 4, 5).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    places = [np.array([0.0, 0.5, 2.0]), np.array([0.0, 1.0, 3.0, 3.5]), np.arange(5) * 3]
    for axis in (0, 1, 2, -1, -2, (0, 2), (-1, 0)):
        check(
            lambda x, a=axis: numpy.gradient(x, 0.25, axis=a, edge_order=order),
            x,
            tolerance=tolerance,
        )
    for axis, place in enumerate(places):
        check(
            lambda x, p=place, a=axis: numpy.gradient(x, p, axis=a, edge_order=order),
            x,
            tolerance=tolerance,
        )
    check(lambda x: numpy.gradient(x, *places, edge_order=order), x, tolerance=tolerance)
    check(lambda x: numpy.gradient(x, 2, 3.0, places[2], edge_order=order), x, tolerance=tolerance)
    check(
        lambda x: numpy.gradient(x[:, : order + 1], axis=1, edge_order=order),
        x,
        tolerance=tolerance,
    )


@EVERY
def test_differences(dtype: str) -> None:
    x = values(dtype)[:12]
    x = np.stack([x, x[::-1], np.roll(x, 3)])
    for axis in (0, 1, -1, -2):
        for n in (0, 1, 2):
            check(lambda x, n=n, a=axis: np.diff(x, n, a), x)
        check(lambda x, a=axis: np.diff(x, axis=a, prepend=x[0, 0], append=x[-1, 0]), x)
    if dtype != "bool":
        check(lambda x: (np.ediff1d(x), np.ediff1d(x, x[0], x[1, :2])), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_phases(dtype: str) -> None:
    """Jumps of exactly half a period either way, of a whole one, and shorter ones."""
    steps = np.array([0, 2, -2, 4, -4, 1, -1, 3, -3, 2, 2, -2, -2, 6, -6, 0.5], dtype)
    x = np.stack([np.cumsum(steps), np.cumsum(steps[::-1])]).astype(dtype)
    for axis in (0, 1, -1):
        for discont in (None, 1.0, 2.0, 3.5):
            check(lambda x, d=discont, a=axis: np.unwrap(x, d, a, period=4.0), x)
    check(lambda x: np.unwrap(x), x, tolerance=1e-5 if dtype == "float32" else None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers(dtype: str) -> None:
    x = np.array([0.0, -0.0, 0.25, 1.0, 9.0, -2.0, np.inf, np.nan], dtype)
    y = np.array([0.5, 2.0, -1.0, 0.0, 3.0, -3.0, 1.0, 0.0], dtype)
    check(lambda x, y: (x**y, y**x, x ** y[0], 2.0**y, x[2] ** y), x, y, tolerance=1e-6)
    check(lambda x: (x**0.5, x**-1, x**-1.0, x**2, x**3, x**0, x**1, x**-2, x**1.5), x)
    check(lambda x: ((x > 0) ** 2, (x > 0) ** True, (x > 0) ** 3, (x[0] > 0) ** 2), x)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_powers(dtype: str) -> None:
    """Every bit of the exponent counts, as products wrap."""
    info = np.iinfo(dtype)
    exponents = [*range(10), *(1 << k for k in range(info.bits - 1)), info.max - 1]
    bases = [n for n in (-5, -3, -1, 0, 1, 2, 3, 7, 10) if n >= info.min]
    x = np.repeat(np.array(bases, dtype), len(exponents))
    y = np.tile(np.array(exponents, dtype), len(bases))
    check(lambda x, y: np.power(x, y), x, y)
    check(lambda x: (x**0, x**1, x**2, x**3, x**5, x**7, x**8), np.array(bases, dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_common_divisors(dtype: str) -> None:
    """Euclid's algorithm takes longest for neighbours of Fibonacci's sequence."""
    info = np.iinfo(dtype)
    numbers = [1, 1]
    while numbers[-1] + numbers[-2] <= info.max:
        numbers.append(numbers[-1] + numbers[-2])
    some = [0, 1, 6, 10, 15, *numbers[-4:], info.max, *([info.min, -6, -15] * (info.min < 0))]
    x = np.repeat(np.array(some, dtype), len(some))
    y = np.tile(np.array(some, dtype), len(some))
    check(lambda x, y: np.gcd(x, y), x, y)
    small = np.array([n for n in (-6, -4, 0, 1, 2, 3, 4, 6, 10) if n >= info.min], dtype)
    check(lambda x, y: np.lcm(x, y), np.repeat(small, len(small)), np.tile(small, len(small)))
