"""``numerics="fast"``: its own code and keys, within its promises on every target."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw

TARGETS = [
    "cpu",
    pytest.param("wasm", marks=pytest.mark.wasm),
    pytest.param("wgsl", marks=pytest.mark.wgsl),
    pytest.param("glsl", marks=pytest.mark.glsl),
]
X = np.random.default_rng(7).standard_normal((5, 37)).astype(np.float32)


def powers(x: Any) -> Any:
    return np.exp(x), np.exp2(x), tw.sigmoid(x * 30), np.abs(x) ** np.float32(2.4)


def angles(x: Any) -> Any:
    return np.sin(x), np.cos(x * 300), np.tanh(x), tw.gelu(x), tw.silu(x)


def logarithms(x: Any) -> Any:
    above = np.exp(x * 9)
    return np.log(above), np.log2(1 + x * x), np.log10(above), x / np.sqrt(above)


def rows(x: Any) -> Any:
    hidden = np.where(x > 1, -np.inf, x)
    shifted = np.exp(hidden - hidden.max(axis=-1, keepdims=True))
    scaled = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return shifted / shifted.sum(axis=-1, keepdims=True), scaled, tw.logsumexp(x, axis=-1)


def pooled(x: Any) -> Any:
    return np.maximum(x[:, :-1], x[:, 1:]), x.min(axis=0), np.clip(x, -0.5, 0.5)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("function", [powers, angles, logarithms, rows, pooled])
def test_promises_are_kept(function: Any, target: str) -> None:
    kernel = tw.kernel(numerics="fast")(function)
    report = tw.testing.check(kernel, (X,), (target,))
    assert report.worst[target] <= 1
    assert report.checked[target] > 10 * report.free[target]


@pytest.mark.parametrize("target", TARGETS)
def test_integers_and_positions_are_exact(target: str) -> None:
    def resized(x: Any) -> Any:
        return tw.compute((5, 74), lambda y, k: x[y, ((k + 0.5) / 2.0).astype(np.int32)])

    kernel = tw.kernel(numerics="fast", target=target)(resized)
    np.testing.assert_array_equal(kernel(X), X[:, np.arange(1, 149, 2) // 4])


@pytest.mark.parametrize("target", TARGETS)
def test_the_code_is_its_own(target: str) -> None:
    """In every cache too: whichever of the two is compiled first."""
    modes = ("accurate", "fast", "accurate", "fast")
    compiled = [
        tw.kernel(numerics=mode)(rows).compile(tw.f32[5, 37], target=target) for mode in modes
    ]
    sources = [c.source for c in compiled]
    assert sources[0] == sources[2] != sources[1] == sources[3]
    assert [c.numerics for c in compiled] == list(modes)


@pytest.mark.wgsl
def test_shaders_call_built_in_functions() -> None:
    source = tw.kernel(numerics="fast")(powers).compile(tw.f32[64], target="wgsl").source
    for name in ("exp(", "exp2(", "log2("):
        assert name in source


def test_it_says_what_it_is(tmp_path: Path) -> None:
    kernel = tw.kernel(numerics="fast")(angles)
    assert repr(kernel) == "<tilewright kernel angles(x: 'Any') -> 'Any' on cpu, numerics fast>"
    assert "fast" not in repr(tw.kernel(angles))
    made = kernel.compile(tw.f32[9])
    assert repr(made) == "<compiled angles(x: f32[9]) for cpu, numerics fast>"
    assert "numerics fast" in made._repr_html_()
    made.save(tmp_path / "angles.tw")
    loaded = tw.load(tmp_path / "angles.tw")
    assert loaded.numerics == "fast"
    x = X[0, :9].copy()
    for got, wanted in zip(loaded(x), made(x), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert pickle.loads(pickle.dumps(made)).numerics == "fast"


@pytest.mark.parametrize("target", TARGETS)
def test_zero_to_a_power_is_zero(target: str) -> None:
    pixels = np.arange(256, dtype=np.uint8)
    kernel = tw.kernel(numerics="fast")(lambda x: (x / np.float32(255)) ** np.float32(2.2))
    assert kernel.on(target)(pixels)[0] == 0
    assert tw.testing.check(kernel, (pixels,), (target,)).checked[target] >= 255


def test_float64_keeps_its_digits() -> None:
    x = X.astype(np.float64)
    for got, wanted in zip(tw.kernel(numerics="fast")(angles)(x), angles(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-14, atol=1e-15)
