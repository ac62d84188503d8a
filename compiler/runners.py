"""What runs the shaders of the GPU targets: a package in this process, or a headless browser.

A native runner (EGL, the wgpu package) comes first where there is one. A browser takes its place
where it cannot run, which is said, or when it is asked for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from tilewright.ir.errors import DeviceError, RunnerWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from tilewright.compiler.gpu_results import LoadedOnGpu
    from tilewright.ir.artifact import GpuProgram

_HERE: Final = "linux"
_THROUGH: Final = {"glsl": "EGL", "wgsl": "wgpu"}


class GpuDevice(Protocol):
    """What the compiler asks of an open device, whatever runs it. Arrays that programs leave there
    have `shape`, `dtype` and ``numpy()``."""

    @property
    def runner(self) -> str:
        """What runs the shaders."""

    def load(
        self, program: GpuProgram, constants: Sequence[np.ndarray], names: Sequence[str]
    ) -> LoadedOnGpu:
        """The program, ready to be called; `names` are what errors call its inputs."""

    def synchronize(self) -> None:
        """Wait until all the work submitted so far is done."""


Native = TypeVar("Native", bound=GpuDevice)
InBrowser = TypeVar("InBrowser", bound=GpuDevice)


def open_device(
    target: str,
    runner: str,
    native: Callable[[], Native],
    browser: Callable[[], InBrowser],
) -> Native | InBrowser:
    """The device of `target` that `runner` asks for (`device_choice.RUNNERS`)."""
    if runner == "browser" or (runner == "auto" and not _has_native(target)):
        return browser()
    try:
        return native()
    except DeviceError as error:
        if runner == "native":
            raise
        return _instead(target, error, browser)


def _instead(target: str, why: DeviceError, browser: Callable[[], InBrowser]) -> InBrowser:
    try:
        opened = browser()
    except DeviceError as error:
        note = (f"a browser cannot run it here either: {error.message}", None)
        raise DeviceError(why.message, notes=[note], help=why.help) from None
    warnings.warn(
        f"target {target!r} runs in a browser, as {_THROUGH[target]} cannot run it here: "
        f"{why.message}",
        RunnerWarning,
        stacklevel=2,
    )
    return opened


def _has_native(target: str) -> bool:
    """EGL comes with the drivers of Linux alone."""
    return target != "glsl" or sys.platform.startswith(_HERE)
