"""Dimensions declared with `tw.dim`: one kernel for all sizes, or one for those of each call."""

from __future__ import annotations

import numpy as np
import pytest

import tilewright as tw
from tilewright.ir.signature import ArraySpec

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


def halves(x):
    h, w = x.shape
    pooled = tw.compute((h // 2, w // 2), lambda i, j: x[2 * i, 2 * j] + x[2 * i + 1, 2 * j + 1])
    return x[:, ::2], x[::-1, ::-2], x[: h // 2, : w // 2], pooled, np.cumsum(x[:, 0])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("spec", [tw.f32[N, tw.dim("M")], tw.f32[9, N], tw.f32[N, 7]], ids=str)
def test_halves_of_open_axes(spec: ArraySpec, target: str) -> None:
    kernel = tw.kernel(x=spec)(halves).on(target)
    for columns in (7,) if spec.shape[1] == 7 else (1, 7, 40):
        # Small whole numbers: every target's sums of them are exact.
        x = np.random.default_rng(0).integers(0, 9, (9, columns)).astype(np.float32)
        h, w = 9 // 2, columns // 2
        pooled = x[: 2 * h : 2, : 2 * w : 2] + x[1 : 2 * h : 2, 1 : 2 * w : 2]
        expected = (x[:, ::2], x[::-1, ::-2], x[:h, :w], pooled, np.cumsum(x[:, 0]))
        for found, right in zip(kernel(x), expected, strict=True):
            np.testing.assert_array_equal(found, right)


def test_declared_arguments_may_be_left_out_of_compile() -> None:
    kernel = tw.kernel(x=tw.f32[N, 3], y=tw.f32[3])(lambda x, s, y: x * s + y)
    x, y = np.ones((4, 3), np.float32), np.ones(3, np.float32)
    for compiled in (kernel.compile(s=float), kernel.compile(tw.f32[N, 3], float)):
        np.testing.assert_array_equal(compiled(x, 2.0, y), kernel(x, 2.0, y))
    assert kernel.bind(y=y).compile(s=float)(x, 2.0).shape == (4, 3)
    with pytest.raises(TypeError, match="missing a required argument: 's'"):
        kernel.compile()
