"""Every shader of the gallery through the compilers of browsers, one session for each.

Tint is Chromium's for WGSL, ANGLE that of Chromium and Firefox for GLSL ES 3.00. Wgpu's naga and
Mesa, which the other tests use, let pass what these refuse.
"""

from __future__ import annotations

import pytest

from tests.web.firefox import Firefox
from tests.web.gallery_shaders import gallery_shaders, scheduled_shaders
from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

BROKEN = "#version 300 es\nprecision highp float;\nout vec4 o;\nvoid main() { o = 1; }"


@pytest.mark.chromium
def test_tint_takes_every_kernel(webgpu_browser: WebGpuBrowserDevice) -> None:
    shaders = gallery_shaders("wgsl")
    assert len(shaders) > 40
    said = webgpu_browser.logs(list(shaders.values()), pipelines=False)
    assert {name: text for name, text in zip(shaders, said, strict=True) if text} == {}


@pytest.mark.chromium
def test_angle_takes_every_kernel(webgl_browser: WebGlBrowserDevice) -> None:
    shaders = gallery_shaders("glsl")
    assert len(shaders) > 40
    said = webgl_browser.logs(list(shaders.values()))
    assert {name: text for name, text in zip(shaders, said, strict=True) if text} == {}


@pytest.mark.chromium
@pytest.mark.parametrize("seed", range(2))
def test_angle_takes_other_schedules(webgl_browser: WebGlBrowserDevice, seed: int) -> None:
    shaders = scheduled_shaders("glsl", seed)
    assert len(shaders) > 100
    said = webgl_browser.logs(list(shaders.values()))
    assert {name: text for name, text in zip(shaders, said, strict=True) if text} == {}


@pytest.mark.firefox
def test_firefox_takes_every_kernel() -> None:
    """With its own schedules and with others."""
    shaders = {**gallery_shaders("glsl"), **scheduled_shaders("glsl", 0)}
    with WebGlBrowserDevice(opener=Firefox) as firefox:
        *said, broken = firefox.logs([*shaders.values(), BROKEN])
    assert {name: text for name, text in zip(shaders, said, strict=True) if text} == {}
    assert "ERROR: 0:4" in broken[0]
