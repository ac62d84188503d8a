"""The adapters that programs for GPUs are tried on, and one way to run them on each.

In: kernels with their arguments. Out: the arrays that each adapter computes. A browser opens once
for all the kernels of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import Struct

import tilewright as tw
from tests.web.firefox import Firefox
from tilewright.compiler.runtime import runtime
from tilewright.runtime_web.runner.options import BrowserOptions
from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

if TYPE_CHECKING:
    from tilewright.ir.artifact import GpuProgram

Array = np.ndarray[Any, Any]


class Job(Struct, frozen=True, eq=False):
    """A program with the values of its constants and inputs."""

    program: GpuProgram
    constants: tuple[Array, ...]
    inputs: tuple[Array, ...]


Run = Callable[[Sequence[Job]], list[Sequence[Array]]]


class Adapter(Struct, frozen=True):
    """`run` gives the results of each job; `needs` is the mark of what must be installed."""

    target: str
    needs: str
    run: Run


def job(function: Callable[..., Any], arguments: Sequence[Array], target: str) -> Job:
    """`function` compiled for a target with its default schedules."""
    made = tw.kernel(function).compile(*arguments, target=target).specialization
    assert len(made.traced.input_names) == len(arguments)
    return Job(made.artifact.program, made.artifact.constants, tuple(arguments))


def _on(opened: Callable[[], AbstractContextManager[Any]]) -> Run:
    """Runs jobs on a device that is opened for them."""

    def run(jobs: Sequence[Job]) -> list[Sequence[Array]]:
        with opened() as device:
            return [device.load(j.program, j.constants)(j.inputs) for j in jobs]

    return run


def _chromium_webgpu() -> WebGpuBrowserDevice:
    return WebGpuBrowserDevice(BrowserOptions(default_limits=True))


def _firefox_webgl() -> WebGlBrowserDevice:
    return WebGlBrowserDevice(BrowserOptions(timeout_s=60), Firefox)


ADAPTERS: Mapping[str, Adapter] = {
    "wgpu": Adapter("wgsl", "wgsl", _on(lambda: nullcontext(runtime().webgpu))),
    "chromium-webgpu": Adapter("wgsl", "chromium", _on(_chromium_webgpu)),
    "egl": Adapter("glsl", "glsl", _on(lambda: nullcontext(runtime().webgl))),
    "chromium-webgl": Adapter("glsl", "chromium", _on(WebGlBrowserDevice)),
    "firefox-webgl": Adapter("glsl", "firefox", _on(_firefox_webgl)),
}

by_adapter = pytest.mark.parametrize(
    "adapter",
    [pytest.param(name, marks=getattr(pytest.mark, a.needs)) for name, a in ADAPTERS.items()],
)
"""Runs a test once for each adapter, by name; it is skipped where that cannot run."""
