"""Which GPU device this process opens, if not the first or fastest one that is found."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from tilewright.ir.errors import DeviceError

RUNNERS: Final = ("auto", "native", "browser")


class DeviceChoice(Struct, frozen=True):
    """`adapter` is a part of the name, driver or API of a WebGPU adapter; `egl_device` the number
    of an EGL device. Without `software` a processor that plays a GPU is refused. `runner` is one of
    `RUNNERS`, and `browser` the executable of one, if not the first that is found. With
    `half_float` WebGL devices keep floats in 16 bits."""

    adapter: str = ""
    egl_device: int = 0
    software: bool = True
    runner: str = RUNNERS[0]
    browser: str = ""
    half_float: bool = False


def choose_device(
    *,
    adapter: str = "",
    egl_device: int = 0,
    software: bool = True,
    runner: str = RUNNERS[0],
    browser: str = "",
    half_float: bool = False,
) -> None:
    """Say which device the targets "wgsl" and "glsl" open at their first call.

    `adapter` is a part of what ``tilewright targets`` prints of a WebGPU adapter: its name, kind,
    driver or API. `egl_device` is the number of an EGL device. With ``software=False`` a processor
    that plays a GPU (lavapipe, llvmpipe, SwiftShader) is refused. `runner` is ``"native"`` for
    this process (the wgpu package, OpenGL through EGL), ``"browser"`` for a headless Chromium,
    Chrome or Edge, whose executable `browser` may name, or ``"auto"`` for the first that works.
    With `half_float` target "glsl" keeps floats in 16 bits, which devices can that cannot draw to
    float textures: every array of floats is then rounded to 11 bits when it is stored.

    The call that opens the device raises a `DeviceError` where there is no such one; so does this
    function once a device is open.

    >>> import tilewright as tw
    >>> tw.choose_device(adapter="NVIDIA", software=False)
    >>> tw.choose_device()  # the fastest adapter, and the first EGL device
    """
    from tilewright.compiler.runtime import runtime

    if not isinstance(adapter, str):
        raise TypeError(f"adapter is {adapter!r}; it is a part of an adapter's name, a str")
    if isinstance(egl_device, bool) or not isinstance(egl_device, int) or egl_device < 0:
        raise ValueError(f"egl_device is {egl_device!r}; it is a number from 0")
    if not isinstance(browser, str):
        raise TypeError(f"browser is {browser!r}; it is the path of an executable, a str")
    if runner not in RUNNERS:
        raise ValueError(f"runner is {runner!r}; it is one of {', '.join(RUNNERS)}")
    if not isinstance(half_float, bool):
        raise TypeError(f"half_float is {half_float!r}; it is a bool")
    if runtime().has_open_device:
        raise DeviceError(
            "a device is open already",
            help="choose it before the first kernel runs on it, or in a process of its own",
        )
    runtime().device_choice = DeviceChoice(
        adapter, egl_device, software, runner, browser, half_float
    )
