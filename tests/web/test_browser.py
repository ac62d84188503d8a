"""The browser harness itself: it must catch what is wrong, and compute what is right."""

import numpy as np
import pytest

from tests.browser import Browser
from tests.codegen_glsl import programs as glsl
from tests.codegen_wgsl import programs as wgsl
from tilewright.ir.artifact import CopyBuffer, GpuProgram, Repeat, ShaderLaunch

pytestmark = pytest.mark.chromium

GLSL_BAD = glsl.HEADER + "out vec4 o; void main() { o = vec4(1); int x = 1.0; }"
GLSL_GOOD = glsl.HEADER + "out vec4 o; void main() { o = vec4(1); }"


def test_tint_accepts_and_refuses(browser: Browser) -> None:
    too_large = "@compute @workgroup_size(512) fn main() {}"
    good, bad, large = browser.compile_wgsl([wgsl.ADD, wgsl.ADD + "fn f( {", too_large])
    assert good == []
    assert bad[0].startswith("error 8:7: ")
    assert "512" in large[0]


def test_tint_refuses_what_naga_lets_pass(browser: Browser) -> None:
    # A barrier in control flow that is not uniform: naga does not analyse that.
    source = wgsl.SUM.replace("workgroupBarrier();", "if (lane < half) { workgroupBarrier(); }")
    (said,) = browser.compile_wgsl([source])
    assert "uniform control flow" in said[0]


def test_angle_accepts_and_refuses(browser: Browser) -> None:
    good, bad = browser.compile_glsl([GLSL_GOOD, GLSL_BAD])
    assert good == ""
    assert "ERROR: 0:7" in bad


def test_webgpu_runs_a_program(browser: Browser, rng: np.random.Generator) -> None:
    a, b = rng.random((2, 100), np.float32)
    (total,) = browser.run_program(wgsl.add_program(100), [a, b])
    np.testing.assert_array_equal(total, a + b)


def test_webgpu_runs_a_loop_with_its_counter(browser: Browser) -> None:
    program = wgsl.loop_program((Repeat(10, (wgsl.accumulate(7),)),))
    expected = 5
    for k in range(10):
        expected = expected * 3 + 7 * k
    (state,) = browser.run_program(program, [np.array([5], np.uint32)])
    assert state[0] == expected


def test_webgpu_reports_validation_errors(browser: Browser) -> None:
    good = wgsl.add_program(4)
    read_only = ShaderLaunch("add", wgsl.ADD, "main", (0, 1, 2), (), (1, 1, 1))
    program = GpuProgram("wgsl", good.buffers, (0, 1), (2,), (read_only,))
    with pytest.raises(Exception, match="ReadOnlyStorage"):
        browser.run_program(program, [np.zeros(4, np.float32)] * 2)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_webgl_runs_a_program(browser: Browser, rng: np.random.Generator, dtype: str) -> None:
    buffers = [glsl.buffer("input", (10, 100), dtype), glsl.buffer("output", (10, 100), dtype)]
    step = glsl.launch(buffers, (0,), (1,), "  o0 = texelFetch(t0, at0(texel), 0); o0 += o0;")
    x = rng.integers(0, 100, (10, 100)).astype(dtype)
    (doubled,) = browser.run_program(glsl.program(buffers, step), [x])
    assert doubled.dtype == dtype
    np.testing.assert_array_equal(doubled, x + x)


def test_webgl_runs_a_loop_with_copies(browser: Browser) -> None:
    buffers = [
        glsl.buffer("input", (4,), "int32"),
        glsl.buffer("temporary", (4,), "int32"),
        glsl.buffer("output", (4,), "int32"),
    ]
    body = "  o0 = texelFetch(t0, at0(texel), 0) * 3 + u[0] * u[1];"
    step = glsl.launch(buffers, (1,), (2,), body, uniforms=(0, 7))
    steps = (CopyBuffer(0, 2), Repeat(5, (CopyBuffer(2, 1), step)))
    expected = np.arange(4)
    for k in range(5):
        expected = expected * 3 + 7 * k
    (state,) = browser.run_program(glsl.program(buffers, *steps), [np.arange(4, dtype=np.int32)])
    np.testing.assert_array_equal(state, expected)
