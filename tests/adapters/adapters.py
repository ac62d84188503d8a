"""The adapters that programs for GPUs are tried on, and one way to run them on each.

In: kernels with their arguments. Out: the arrays that each adapter computes. A browser opens once
for all the kernels of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class Adapter(Struct, frozen=True):
    """`run` gives the results of each job; `needs` is the mark of what must be installed."""

    target: str
    needs: str
    run: Callable[[Sequence[Job]], list[Sequence[Array]]]


def job(function: Callable[..., Any], arguments: Sequence[Array], target: str) -> Job:
    """`function` compiled for a target with its default schedules."""
    made = tw.kernel(function).compile(*arguments, target=target).specialization
    assert len(made.traced.input_names) == len(arguments)
    return Job(made.artifact.program, made.artifact.constants, tuple(arguments))


def _wgpu(jobs: Sequence[Job]) -> list[Sequence[Array]]:
    device = runtime().webgpu
    return [device.load(j.program, j.constants)(j.inputs) for j in jobs]


def _egl(jobs: Sequence[Job]) -> list[Sequence[Array]]:
    device = runtime().webgl
    return [device.load(j.program, j.constants)(j.inputs) for j in jobs]


def _chromium_webgl(jobs: Sequence[Job]) -> list[Sequence[Array]]:
    with WebGlBrowserDevice() as device:
        return [device.load(j.program, j.constants)(j.inputs) for j in jobs]


def _chromium_webgpu(jobs: Sequence[Job]) -> list[Sequence[Array]]:
    with WebGpuBrowserDevice(BrowserOptions(default_limits=True)) as device:
        return [device.load(j.program, j.constants)(j.inputs) for j in jobs]


def _firefox(jobs: Sequence[Job]) -> list[Sequence[Array]]:
    with WebGlBrowserDevice(BrowserOptions(timeout_s=60), Firefox) as device:
        return [device.load(j.program, j.constants)(j.inputs) for j in jobs]


ADAPTERS: Mapping[str, Adapter] = {
    "wgpu": Adapter("wgsl", "wgsl", _wgpu),
    "chromium-webgpu": Adapter("wgsl", "chromium", _chromium_webgpu),
    "egl": Adapter("glsl", "glsl", _egl),
    "chromium-webgl": Adapter("glsl", "chromium", _chromium_webgl),
    "firefox-webgl": Adapter("glsl", "firefox", _firefox),
}

by_adapter = pytest.mark.parametrize(
    "adapter",
    [pytest.param(name, marks=getattr(pytest.mark, a.needs)) for name, a in ADAPTERS.items()],
)
"""Runs a test once for each adapter, by name; it is skipped where that cannot run."""
