"""Shaders that differ in whole numbers become one; what they compute stays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen_glsl.nests import at, mapped, program_of
from tests.codegen_glsl.runners import RUNNERS, Device
from tilewright.codegen_glsl import share_shaders as sharing
from tilewright.codegen_glsl.backend import build
from tilewright.codegen_glsl.share_shaders import share_shaders
from tilewright.ir import build as b
from tilewright.ir.artifact import GpuProgram, Repeat, ShaderLaunch
from tilewright.ir.dtypes import F32
from tilewright.ir.kernel import Buffer
from tilewright.ir.program import Nest, Program

HEAD = "#version 300 es\nprecision highp float;\nprecision highp int;\n"


def launches(*texts: str) -> GpuProgram:
    steps = tuple(
        ShaderLaunch(f"k{k}", HEAD + text, "main", (0,), (1,), (1, 1, 1))
        for k, text in enumerate(texts)
    )
    return GpuProgram("glsl", (), (0,), (1,), (*steps[:1], Repeat(3, steps[1:])))


def shared(monkeypatch: pytest.MonkeyPatch, *texts: str) -> list[ShaderLaunch]:
    """The launches once programs of two shaders are many."""
    monkeypatch.setattr(sharing, "MANY", 1)
    first, repeat = share_shaders(launches(*texts)).steps
    assert isinstance(first, ShaderLaunch)
    assert isinstance(repeat, Repeat)
    inside = [step for step in repeat.steps if isinstance(step, ShaderLaunch)]
    return [first, *inside]


def test_numbers_that_differ_become_uniforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all places where the numbers are the same in each shader; number 0 is a counter's."""
    found = shared(monkeypatch, "o = x / 25 + 4 * (x % 25) + 7;", "o = x / 36 + 4 * (x % 36) + 9;")
    text = "uniform int u[3];\no = x / u[1] + 4 * (x % u[1]) + u[2];"
    assert [launch.source for launch in found] == [HEAD + text] * 2
    assert [launch.uniforms for launch in found] == [(0, 25, 7), (0, 36, 9)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("o = v1 + 2.5;", "o = v1 + 2.25;"),
        ("o = v1 + 25.0;", "o = v1 + 26.0;"),
        ("o = v1;", "o = v2;"),
        ("o = 0x3fu;", "o = 0x1fu;"),
        ("o = 12u;", "o = 13u;"),
        ("for (int i = 0; i < 3; ++i) o = i;", "for (int i = 0; i < 4; ++i) o = i;"),
        ("uniform int u[1];\no = u[0] + 1;", "uniform int u[1];\no = u[0] + 2;"),
    ],
)
def test_what_else_differs_stays(monkeypatch: pytest.MonkeyPatch, one: str, other: str) -> None:
    found = shared(monkeypatch, one, other)
    assert [launch.source for launch in found] == [HEAD + one, HEAD + other]
    assert [launch.uniforms for launch in found] == [(), ()]


def test_few_shaders_keep_their_literals() -> None:
    program = launches("o = x / 25;", "o = x / 36;")
    assert share_shaders(program) is program


def test_uniforms_are_not_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (" + ".join(str(k * 40 + start) for k in range(33)) for start in (0, 1))
    assert [s.source for s in shared(monkeypatch, one, other)] == [HEAD + one, HEAD + other]


def many() -> tuple[Program, np.ndarray]:
    """The sum of thirty parts of an array, each at steps of its own."""
    x = Buffer("x", (64 * 35,), F32)
    parts = [Buffer(f"p{k}", (35,), F32) for k in range(30)]
    sums = [Buffer(f"s{k}", (35,), F32) for k in range(30)]

    def part(k: int) -> Nest:
        return mapped(parts[k], lambda i: at(x, b.mul(i, b.index(k + 1))), f"part{k}")

    def added(k: int) -> Nest:
        before = sums[k - 1] if k else parts[0]
        return mapped(sums[k], lambda i: b.add(at(before, i), at(parts[k], i)), f"sum{k}")

    steps = [*map(part, range(30)), *map(added, range(30))]
    values = np.random.default_rng(0).integers(0, 9, 64 * 35).astype(np.float32)
    return program_of([x], [sums[-1]], steps), values


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_results_of_a_large_program_stay(request: pytest.FixtureRequest, runner: str) -> None:
    device: Device = request.getfixturevalue(runner)
    program, x = many()
    sources = {step.source for step in build(program).steps if isinstance(step, ShaderLaunch)}
    assert len(sources) <= 10  # of 61
    (found,) = device.load(build(program))([x])
    rows = np.arange(35)
    expected = x[rows] + sum(x[rows * (k + 1)] for k in range(30))
    np.testing.assert_array_equal(found, expected)
