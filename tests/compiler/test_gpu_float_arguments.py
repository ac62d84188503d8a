"""Python floats as arguments on targets without float64, and what is said of other float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.ir.errors import UnsupportedError

X = np.array([1, -2, 0, np.nan, 3.5], np.float32)
H = np.array([1, -2, 0, 0.3, 3.5], np.float16)
N = np.arange(5, dtype=np.int32)
BOTH = pytest.mark.parametrize(
    "target",
    [pytest.param("wgsl", marks=pytest.mark.wgsl), pytest.param("glsl", marks=pytest.mark.glsl)],
)
COMPILED = pytest.mark.parametrize("target", ["wgsl", "glsl"])

ROUNDED: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x, s: x * s, (X, 0.1)),
    (lambda x, s: x, (X, 0.1)),
    (lambda x, s: x * s, (H, 0.1)),
    (lambda x, a, b, c: np.clip(x * a + b, 0.0, c), (X, 2.0, 1.0, 3.0)),
    (lambda x, s: x > s, (X, 0.5)),
    (lambda x, s: np.where(x > s, x, s), (X, 0.5)),
    (lambda x, s: np.maximum(x, s) / s, (X, 2.5)),
    (lambda x, s: x + np.float32(s), (X, 0.1)),
    (lambda x, s: np.full_like(x, s), (X, 0.1)),
    (lambda x, s: (x * s).sum(), (X[:3], 0.1)),
]
COMPUTED: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x, s: x * (1 - s) + x[::-1] * s, (X, 0.3)),
    (lambda x, s: x * math.sqrt(s), (X, 2.0)),
    (lambda x, s: x * int(s), (X, 2.5)),
    (lambda x, h, s: x * s + h * s, (X, H, 0.1)),
    (lambda x, s: x * np.sqrt(s).astype(np.float32), (X, 0.3)),
]


@BOTH
@pytest.mark.parametrize(("function", "arguments"), [*ROUNDED, *COMPUTED])
def test_python_floats_are_weak(
    function: Callable[..., Any], arguments: tuple[Any, ...], target: str
) -> None:
    want = function(*arguments)
    got = tw.kernel(function).on(target)(*arguments)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=2e-3 if want.dtype == np.float16 else 1e-6)


@BOTH
def test_another_value_needs_no_other_code_unless_it_is_computed_with(target: str) -> None:
    scaled = tw.kernel(lambda x, s: x * s).on(target)
    blended = tw.kernel(lambda x, s: x * (1 - s)).on(target)
    for s in (0.5, 2.0, 0.5):
        np.testing.assert_array_equal(scaled(X, s), X * s)
        np.testing.assert_array_equal(blended(X, s), X * (1 - s))
    assert (len(scaled.specializations), len(blended.specializations)) == (1, 2)
    np.testing.assert_array_equal(scaled.bind(s=3.0)(X), X * 3)
    with np.errstate(invalid="ignore"):
        want = X * np.float32(np.inf)
    np.testing.assert_array_equal(scaled(X, s=1e300), want)


@BOTH
def test_a_loop_captures_a_python_float(target: str) -> None:
    kernel = tw.kernel(lambda x, s: tw.loop(3, lambda i, a: a * s + 1, x)[0])
    np.testing.assert_allclose(kernel.on(target)(X, 0.5), kernel(X, 0.5), rtol=1e-6)


@BOTH
def test_the_index_form_takes_a_python_float(target: str) -> None:
    def huber(x: Any, d: float) -> Any:
        def loss(i: Any) -> Any:
            size = np.abs(x[i])
            return np.where(size <= d, size * size, d * (size - 0.5 * d))

        return tw.compute(x.shape, loss)

    kernel = tw.kernel(huber)
    np.testing.assert_allclose(kernel.on(target)(X, 1.5), kernel(X, 1.5), rtol=1e-6)


@BOTH
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x / 0, lambda x: x / -0.0, lambda x: x // 0, lambda x: x % 0,
        lambda x: np.isinf(x / 0), lambda x: np.nan_to_num(x / 0), lambda x: 1 / (x / 0),
    ],
)  # fmt: skip
def test_division_by_a_literal_zero(function: Callable[..., Any], target: str) -> None:
    with np.errstate(all="ignore"):
        want = function(X)
    np.testing.assert_array_equal(tw.kernel(function).on(target)(X), want)


REFUSED: list[tuple[Callable[..., Any], tuple[Any, ...], str, str]] = [
    (lambda n, s: n * s, (N, 0.5), "np.multiply", "argument 's' is a Python float"),
    (lambda x, s: s, (X, 0.5), "", "argument 's' is a Python float"),
    (lambda n: np.where(n > 2, n / 255.0, 0), (N,), "np.divide", "promotes its int32 operand"),
    (lambda n: n.mean(), (N,), "np.mean", "promotes its int32 operand"),
    (
        lambda x: (x * np.float64(3)).astype(np.float32), (X,),
        "np.multiply", "the constant 3.0 is float64",
    ),
    (lambda x: x * np.array([1.0, 2, 3, 4, 5]), (X,), "np.multiply", "float64 array of shape (5,)"),
    (lambda x: x * np.arange(5.0) ** 2, (X,), "np.multiply", "make that array float32 where it is"),
    (lambda x, k: x * (k / 2), (X, 3), "np.multiply", "float64 with the integer argument 'k'"),
    (lambda x, k: x * (k - 1), (X, np.int64(3)), "np.multiply", "compute that number before the"),
    (lambda x: x + 1, (X.astype(np.float64),), "np.add", "argument 'x' is float64"),
    (lambda x: np.interp(x, x, x).astype(np.float32), (X,), "", "converts float32 to float64"),
    (
        lambda x: tw.loop(3, lambda i, a: a * 2, np.zeros(5))[0] + x, (X,),
        "np.multiply", "a loop carries or reads float64",
    ),
]  # fmt: skip


@COMPILED
@pytest.mark.parametrize(("function", "arguments", "label", "reason"), REFUSED)
def test_the_innermost_float64_is_named(
    function: Callable[..., Any], arguments: tuple[Any, ...], label: str, reason: str, target: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        tw.kernel(function).on(target)(*arguments)
    text = str(caught.value)
    assert f"target {target!r} has no float64, but {label}" in text
    assert reason in text
    assert 'f64="f32"' in text


@COMPILED
@pytest.mark.filterwarnings("ignore::tilewright.ir.errors.NarrowingWarning")
def test_wide_integer_constants_are_refused_alike(target: str) -> None:
    with pytest.raises(UnsupportedError, match=f"constant 1099511627776 .* {target!r} does not"):
        tw.kernel(lambda n: n + 2**40).on(target)(N.astype(np.int64))
