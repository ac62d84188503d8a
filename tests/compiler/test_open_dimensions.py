"""Dimensions declared with `tw.dim`: one kernel for all sizes, or one for those of each call."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw

N = tw.dim("N")
X = np.random.default_rng(0).random((100, 3), np.float32) + 1


@tw.kernel(x=tw.f32[N, 3], y=tw.f32[N])
def scaled(x, y):
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True)) + y[:, None], np.cumsum(y)


TARGETS = [
    "cpu",
    pytest.param("wasm", marks=pytest.mark.wasm),
    pytest.param("wgsl", marks=pytest.mark.wgsl),
    pytest.param("glsl", marks=pytest.mark.glsl),
]


@pytest.mark.parametrize("target", TARGETS)
def test_every_size_on_every_target(target: str) -> None:
    kernel = tw.kernel(x=tw.f32[N, 3], y=tw.f32[N])(scaled.python).on(target)
    for size in (1, 5, 0, 100, 5):
        tw.testing.check(kernel, [X[:size], X[:size, 0]], targets=[target])
        np.testing.assert_allclose(kernel(X[:size], X[:size, 0])[1], np.cumsum(X[:size, 0]), 1e-6)
    # GPU shaders hold sizes: they are compiled once for each.
    assert len(kernel.specializations) == (1 if target in ("cpu", "wasm") else 4)


@pytest.mark.parametrize("target", TARGETS)
def test_one_name_is_one_size(target: str) -> None:
    with pytest.raises(tw.ShapeError, match=r"dimension N is 4 .* and 5"):
        scaled.on(target)(X[:4], X[:5, 0])
    with pytest.raises(tw.ShapeError, match=r"declared as f32\[N, 3\]"):
        scaled.on(target)(X[:4, :2], X[:4, 0])


@pytest.mark.wgsl
def test_arrays_on_a_device_have_sizes_too() -> None:
    x, y = (tw.device_array(a, "wgsl") for a in (X[:4], X[:4, 0].copy()))
    np.testing.assert_allclose(scaled.on("wgsl")(x, y)[1].numpy(), np.cumsum(X[:4, 0]), rtol=1e-6)


@pytest.mark.glsl
def test_many_sizes_are_warned_about_with_what_helps() -> None:
    kernel = tw.kernel(x=tw.f32[N])(lambda x: x + 1).on("glsl")
    for size in range(1, 32):
        kernel(np.zeros(size, np.float32))
    with pytest.warns(tw.RespecializationWarning, match="pad the array to few sizes"):
        kernel(np.zeros(32, np.float32))
