"""Kernels that call other kernels, with arguments bound to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw

X = np.arange(3, dtype=np.float32)
W = np.array([2, 3, 5], np.float32)


@tw.kernel
def scaled(x: Any, w: Any, by: float = 2.0, *, plus: float = 1) -> Any:
    return x * w * by + plus


BOUND = scaled.bind(w=W)
LAYERS = [BOUND, scaled.bind(w=W, by=np.float32(3)), scaled.bind(w=W).bind(plus=-1)]


def through_layers(x: Any) -> Any:
    for layer in LAYERS:
        x = layer(x)
    return x


class Model:
    def __init__(self) -> None:
        self.layer = BOUND
        self.weights = W

    @tw.kernel
    def run(self, x: Any) -> Any:
        return self.layer(x) + self.other(x)

    @tw.kernel
    def other(self, x: Any) -> Any:
        return x * self.weights


MODEL = Model()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: scaled(x, W),
        lambda x: BOUND(x) + 1,
        lambda x: BOUND(x, 3.0, plus=2),
        lambda x: scaled.bind(w=x)(x),
        lambda x: scaled.python(x, W) + BOUND.python(x, x),
        lambda x: tw.loop(3, lambda i, y: BOUND(y), x)[0],
        lambda x: MODEL.run(x),
        through_layers,
    ],
)
def test_they_become_a_part_of_it(function: Callable[..., Any]) -> None:
    np.testing.assert_allclose(tw.kernel(function)(X), function(X), rtol=1e-6)


def test_what_is_bound_is_frozen() -> None:
    weights = W.copy()
    bound = scaled.bind(w=weights)
    kernel = tw.kernel(lambda x: bound(x))
    first = kernel(X)
    weights[:] = 0
    np.testing.assert_array_equal(kernel(X), first)


@pytest.mark.parametrize("name", ["on", "compile", "specializations", "misspelt"])
def test_the_rest_of_a_kernel_is_refused_at_its_line(name: str) -> None:
    with pytest.raises(tw.TraceError, match=rf"scaled\.{name} cannot be used inside of a kernel"):
        tw.kernel(lambda x: getattr(scaled, name)("wgsl")(x, x))(X)


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match=r"scaled\(\) too many positional arguments"):
        tw.kernel(lambda x: BOUND(x, 1, 2, 3))(X)
    with pytest.raises(TypeError, match=r"scaled\(\) missing a required argument: 'x'"):
        tw.kernel(lambda x: BOUND())(X)
