"""The tables of reserved names against the compilers of a browser."""

import pytest

from tilewright.codegen_wgsl.keywords import KEYWORDS, PREDECLARED, RESERVED_WORDS, is_reserved
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

pytestmark = pytest.mark.chromium


def declaring(name: str) -> str:
    return f"@compute @workgroup_size(1) fn main() {{ let {name} = 1; }}"


def accepted(webgpu_browser: WebGpuBrowserDevice, names: list[str]) -> list[str]:
    said = webgpu_browser.logs([declaring(name) for name in names])
    return [name for name, messages in zip(names, said, strict=True) if not messages]


def test_tint_refuses_every_reserved_name(webgpu_browser: WebGpuBrowserDevice) -> None:
    names = sorted(KEYWORDS | RESERVED_WORDS | {"__", "__x"})
    assert accepted(webgpu_browser, names) == []
    assert all(is_reserved(name) for name in names)


def test_predeclared_names_may_be_hidden(webgpu_browser: WebGpuBrowserDevice) -> None:
    names = sorted(PREDECLARED)
    assert accepted(webgpu_browser, names) == names


def test_ordinary_names_are_free(webgpu_browser: WebGpuBrowserDevice) -> None:
    names = ["x", "acc0", "main_", "_x", "v12"]
    assert accepted(webgpu_browser, names) == names
    assert not any(is_reserved(name) for name in names)
