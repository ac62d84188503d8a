"""Shaders as `show` prints them: what each launch computes, and on which arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.shader_listing import shader_listing


def comments(function: Callable[..., Any], *specs: Any, target: str) -> list[str]:
    made = tw.kernel(function).compile(*specs, target=target)
    text = shader_listing(made.specialization)
    return [line.removeprefix("// ") for line in text.splitlines() if line.startswith("//")]


def two_results(x, y):
    return x * y, x.astype(np.float32).sum(axis=0)


def test_arrays_by_their_names_in_wgsl() -> None:
    found = comments(lambda x, y: x * 2 + y, tw.u8[512], tw.u8[512], target="wgsl")
    assert found[0].endswith(": np.multiply, np.add") or found[0].endswith(": np.add")
    assert found[1].endswith(("workgroup", "workgroups"))
    assert found[2] == "b0 = x: u8[512], 4 to a word"
    assert found[3] == "b1 = y: u8[512], 4 to a word"
    assert found[4].startswith("b2 = result: u8[512]")
    assert found[4].endswith("(written)")


def test_textures_in_glsl() -> None:
    found = comments(lambda x, y: x + y, tw.f32[64], tw.f32[64], target="glsl")
    assert found[0] == "k0_t1: np.add"
    assert found[1:] == [
        "4 × 4 texels",
        "t0 = x: f32[64] in 4 × 4 texels",
        "t1 = y: f32[64] in 4 × 4 texels",
        "o0 = result: f32[64] in 4 × 4 texels",
    ]


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_several_results(target: str) -> None:
    text = "\n".join(comments(two_results, tw.f32[8, 8], tw.f32[8, 8], target=target))
    assert "= result 0: f32[8, 8]" in text
    assert "= result 1: f32[8]" in text


@pytest.mark.parametrize("target", ["wgsl", "glsl"])
def test_rounds_and_shaders_that_are_run_again(target: str) -> None:
    def rounds(x):
        return tw.loop(7, lambda _, s: (s.T * 2,), x)

    found = comments(rounds, tw.f32[8, 8], target=target)
    assert any(line.startswith("repeat ") and line.endswith(" times:") for line in found)
    first = next(line.split(":")[0].strip() for line in found if ": np.multiply" in line)
    assert f"the shader of {first}" in [line.strip() for line in found]
    assert any("temporary 0: f32[8, 8]" in line for line in found)


def test_every_shader_is_there_once() -> None:
    def chain(x):
        for _ in range(4):
            x = np.sort(x + 1, axis=1)
        return x

    made = tw.kernel(chain).compile(tw.f32[8, 8], target="wgsl").specialization
    text = shader_listing(made)
    sources = {launch.source for launch in made.artifact.program.steps}
    assert text.count("@compute") == len(sources) < len(made.artifact.program.steps)
