"""Finding a browser on this machine, and starting it without a window.

In: what the caller accepts (`BrowserOptions`). Out: a `Browser` whose page has connected to its
channel, or a `DeviceError` that says what was tried and what to install. Playwright starts the
browser and ends it with this process, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tilewright.ir.errors import DeviceError
from tilewright.runtime_web.runner.channel import Channel

if TYPE_CHECKING:
    from playwright.sync_api import Browser as PlaywrightBrowser
    from playwright.sync_api import Playwright

    from tilewright.runtime_web.runner.options import BrowserOptions

INSTALL_HELP: Final = (
    "pip install 'tilewright[browser]', and install Chromium, Chrome or Edge, or run "
    "`playwright install chromium`"
)
_COMMANDS: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
# Where a command does not find them: Playwright knows their usual places, and has one of its own.
_CHANNELS: Final = ("chrome", "msedge", "chromium")
_FLAGS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu-watchdog",  # a long kernel is not a fault
    "--disable-dawn-features=timestamp_quantization",
    "--disable-quic",
    "--disable-sync",
    "--enable-unsafe-webgpu",  # WebGPU where Chromium does not yet offer it, as on Linux
    "--enable-features=Vulkan",
    "--ignore-gpu-blocklist",
    "--no-first-run",
)
_SOFTWARE_FLAGS: Final = (
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
    "--use-webgpu-adapter=swiftshader",
)
# Without a display, Chromium on Linux draws with the GPU only through Vulkan.
_LINUX_GPU_FLAGS: Final = ("--use-angle=vulkan", "--disable-vulkan-surface")
_GPU_DEVICES: Final = ("dri/renderD*", "nvidia[0-9]*", "dxg")


class Browser:
    """A running browser, its page and the connection to it. Made, used and closed on one thread."""

    def __init__(self, options: BrowserOptions, software: bool) -> None:
        start = _playwright()
        self.channel = Channel()
        self._playwright: Playwright | None = None
        self._browser: PlaywrightBrowser | None = None
        self.pid = 0
        try:
            self._playwright = start()
            self._browser = _launch(self._playwright, options, software)
            self.version = f"{self._browser.browser_type.name} {self._browser.version}"
            # Not `new_page`: Playwright would look at every byte of the connection.
            session = self._browser.new_browser_cdp_session()
            self.pid = _main_process(session.send("SystemInfo.getProcessInfo"))
            session.send("Target.createTarget", {"url": self.channel.address})
            self.channel.connect(options.open_s)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """As `close`, for a browser that may not answer."""
        if self.pid and self._browser is not None and self._browser.is_connected():
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End the browser; it may have ended already."""
        self.channel.close()
        for thing, end in ((self._browser, "close"), (self._playwright, "stop")):
            if thing is not None:
                _quietly(getattr(thing, end))


def has_gpu() -> bool:
    """Whether a GPU may be there. Looking is cheap; asking a driver that is not takes seconds, and
    has been seen to hang."""
    if not sys.platform.startswith("linux"):
        return True  # browsers of these systems find what there is, or software, by themselves
    return any(next(Path("/dev").glob(pattern), None) for pattern in _GPU_DEVICES)


def flags(software: bool) -> list[str]:
    """The command line of a browser that computes in software, or on the GPU."""
    if software:
        return [*_FLAGS, *_SOFTWARE_FLAGS]
    return [*_FLAGS, *(_LINUX_GPU_FLAGS if platform.system() == "Linux" else ())]


def choices(executable: str) -> Iterator[dict[str, Any]]:
    """Which browsers to try, as Playwright's arguments."""
    if executable:
        yield {"executable_path": executable}
        return
    for command in _COMMANDS:
        found = shutil.which(command)
        if found is not None:
            yield {"executable_path": found}
    for channel in _CHANNELS:
        yield {"channel": channel}


def _launch(playwright: Playwright, options: BrowserOptions, software: bool) -> PlaywrightBrowser:
    from playwright.sync_api import Error

    tried: list[str] = []
    for choice in choices(options.executable):
        try:
            return playwright.chromium.launch(
                **choice,
                args=flags(software),
                headless=True,
                # Chromium's sandbox cannot be had by root.
                chromium_sandbox=getattr(os, "geteuid", lambda: 1)() != 0,
                timeout=options.open_s * 1000,
                handle_sigint=False,  # Ctrl-C ends a call, not the device
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            tried.append(f"{next(iter(choice.values()))} ({_first_line(error)})")
    raise DeviceError(f"no browser could be started; tried {'; '.join(tried)}", help=INSTALL_HELP)


def _playwright() -> Any:
    """What starts Playwright, once it is sure that the packages are there."""
    try:
        import websockets.sync.server  # noqa: F401
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise DeviceError(
            f"running in a browser needs the packages playwright and websockets: {error}",
            help=INSTALL_HELP,
        ) from None
    return sync_playwright().start


def _main_process(answer: dict[str, Any]) -> int:
    """The process that all others of a browser end with."""
    found: int = next(p["id"] for p in answer["processInfo"] if p["type"] == "browser")
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _quietly(end: Any) -> None:
    try:
        end()
    except Exception:  # of a browser that was killed, or a driver that is gone: nothing to end
        return
