"""Indices that are in range by construction are not limited again, and sizes are literals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.ir.lower.traced_programs import program_of
from tilewright.codegen_wgsl.backend import build, source
from tilewright.codegen_wgsl.options import WgslOptions
from tilewright.ir.artifact import GpuProgram, launches
from tilewright.ir.fuse.options import WORKGROUP

Kernel = Callable[..., Any]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def convolution(x: Any, w: Any) -> Any:
    (height, width, channels), (down, across, _, filters) = x.shape, w.shape
    return tw.compute(
        (height - down + 1, width - across + 1, filters),
        lambda i, j, f: tw.sum(
            lambda p, q, c: x[i + p, j + q, c] * w[p, q, c, f], (down, across, channels)
        ),
    )


KERNELS: dict[str, tuple[Kernel, tuple[tuple[int, ...], ...]]] = {
    "sum of two": (lambda a, b: a + b, ((1001, 13), (1001, 13))),
    "turned": (lambda a: a.T + 1, ((1024, 36),)),
    "softmax": (softmax, ((1024, 1000),)),
    "softmax of short rows": (softmax, ((100, 17),)),
    "softmax of long rows": (softmax, ((2, 70000),)),
    "product": (lambda a, b: a @ b, ((128, 96), (96, 256))),
    "long product": (lambda a, b: a @ b, ((64, 4096), (4096, 64))),
    "matrix and vector": (lambda a, b: a @ b, ((500, 1000), (1000,))),
    "vector and matrix": (lambda a, b: a @ b, ((1024,), (1024, 992))),
    "convolution": (convolution, ((34, 34, 16), (3, 3, 16, 32))),
    "running sum": (lambda a: np.cumsum(a, axis=1), ((64, 3000),)),
}


def compiled(function: Kernel, shapes: tuple[tuple[int, ...], ...], processor: bool) -> GpuProgram:
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    options = WgslOptions(is_processor=processor)
    return build(program_of(function, arrays, WORKGROUP), options).program


def indices(text: str) -> list[str]:
    """The indices of all accesses to storage, with names replaced by what they stand for."""
    defined = dict(re.findall(r"let (v\d+) = (.*);", text))

    def expanded(index: str) -> str:
        return re.sub(r"v\d+", lambda name: expanded(defined[name[0]]), index)

    return [expanded(index) for index in re.findall(r"\bb\d+\[(.*?)\]", text)]


def test_indices_are_told_apart_from_other_uses() -> None:
    text = "let v0 = min(j1, 5);\nlet v2 = v0 + 1;\nlet v3 = b0[v2 * 4] + min(b1[j1], 2.0);\n"
    assert indices(text) == ["min(j1, 5) + 1 * 4", "j1"]


@pytest.mark.parametrize("processor", [False, True])
@pytest.mark.parametrize("name", [n for n in KERNELS if n != "running sum"])
def test_no_index_is_limited_that_is_in_range(name: str, processor: bool) -> None:
    program = compiled(*KERNELS[name], processor)
    found = [i for launch in launches(program.steps) for i in indices(launch.source)]
    assert found
    assert not [i for i in found if re.search(r"min|max|clamp|select", i)]


@pytest.mark.parametrize("processor", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_arrays_have_a_size_and_launches_no_uniforms(name: str, processor: bool) -> None:
    """Shapes are literals; with known sizes compilers can see that indices are in range."""
    program = compiled(*KERNELS[name], processor)
    text = source(program)
    arrays = re.findall(r"array<(?:vec4<)?\w+>?(.*?)>;", text)
    assert arrays
    assert all(re.fullmatch(r", \d+", size) for size in arrays)
    assert "arrayLength" not in text
    assert not any(launch.uniforms for launch in launches(program.steps))


def test_the_number_of_a_round_is_the_one_uniform() -> None:
    def rounds(x: Any) -> Any:
        (y,) = tw.loop(5, lambda i, y: (y * 2 + i,), x)
        return y

    made = tw.kernel(rounds).compile(tw.f32[100], target="wgsl").specialization.artifact
    found = [one for one in launches(made.program.steps) if one.uniforms]
    assert found
    assert {one.uniforms for one in found} == {(0,)}
    assert all("var<uniform>" in one.source for one in found)


@pytest.mark.wgsl
@pytest.mark.parametrize("name", KERNELS)
def test_they_are_right(name: str) -> None:
    function, shapes = KERNELS[name]
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    tw.testing.check(function, arrays, targets=["wgsl"])
