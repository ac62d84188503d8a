"""What the compilers of browsers say of shaders: they must catch what is wrong."""

import numpy as np
import pytest

from tests.codegen_glsl import programs as glsl
from tests.codegen_wgsl import programs as wgsl
from tilewright.ir.artifact import GpuProgram, ShaderLaunch
from tilewright.ir.errors import DeviceError
from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

pytestmark = pytest.mark.chromium

GLSL_BAD = glsl.HEADER + "out vec4 o; void main() { o = vec4(1); int x = 1.0; }"
GLSL_GOOD = glsl.HEADER + "out vec4 o; void main() { o = vec4(1); }"


def test_tint_accepts_and_refuses(webgpu_browser: WebGpuBrowserDevice) -> None:
    too_large = "@compute @workgroup_size(512) fn main() {}"
    good, bad, large = webgpu_browser.logs([wgsl.ADD, wgsl.ADD + "fn f( {", too_large])
    assert good == []
    assert bad[0].startswith("error 8:7: ")
    assert "512" in large[0]


def test_tint_refuses_what_naga_lets_pass(webgpu_browser: WebGpuBrowserDevice) -> None:
    # A barrier in control flow that is not uniform: naga does not analyse that.
    source = wgsl.SUM.replace("workgroupBarrier();", "if (lane < half) { workgroupBarrier(); }")
    (said,) = webgpu_browser.logs([source])
    assert "uniform control flow" in said[0]


def test_angle_accepts_and_refuses(webgl_browser: WebGlBrowserDevice) -> None:
    good, bad = webgl_browser.logs([GLSL_GOOD, GLSL_BAD])
    assert good == []
    assert "ERROR: 0:7" in bad[0]


def test_webgpu_reports_a_shader_that_misses_its_layout(
    webgpu_browser: WebGpuBrowserDevice,
) -> None:
    good = wgsl.add_program(4)
    read_only = ShaderLaunch("add", wgsl.ADD, "main", (0, 1, 2), (), (1, 1, 1))
    program = GpuProgram("wgsl", good.buffers, (0, 1), (2,), (read_only,))
    with pytest.raises(DeviceError, match=r"shader 'add' was refused by chromium"):
        webgpu_browser.load(program)
    ones = np.ones(4, np.float32)
    np.testing.assert_array_equal(webgpu_browser.load(good)([ones, ones])[0], 2 * ones)


def test_every_device_has_the_default_limits(webgpu_browser: WebGpuBrowserDevice) -> None:
    limits = webgpu_browser.info.limits
    assert (limits.storage_buffers, limits.workgroup_storage) == (8, 16384)
    assert limits.workgroup_invocations == 256
