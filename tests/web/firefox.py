"""The Firefox of this machine, as a browser that runs programs (`runtime_web/runner/session.py`).

Playwright drives only a Firefox of its own build, so the system's opens the page of the channel by
itself. Without a display Firefox has no WebGL: it gets a virtual one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tilewright.runtime_web.runner.channel import Channel
from tilewright.runtime_web.runner.options import BrowserOptions

PREFERENCES = """
user_pref("webgl.force-enabled", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"""


class FirefoxError(Exception):
    """Firefox cannot do what was asked."""


def firefox_command() -> str:
    """The Firefox of this machine; `FirefoxError` says what is missing."""
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None or shutil.which("Xvfb") is None:
        raise FirefoxError("install firefox-esr and xvfb")
    return found


class Firefox:
    """A running Firefox with a profile and a display of its own; what renders is its choice."""

    version = "Firefox"

    def __init__(self, options: BrowserOptions, software: bool) -> None:
        command = firefox_command()
        with ExitStack() as stack:
            self.channel = Channel()
            stack.callback(self.channel.close)
            display = stack.enter_context(_display())
            arguments = [command, "--display", display]
            self.pid = stack.enter_context(_visit(arguments, self.channel.address))
            self.channel.connect(options.open_s)
            self._all = stack.pop_all()

    def close(self) -> None:
        """End Firefox and its display."""
        self._all.close()

    kill = close


@contextmanager
def _display() -> Iterator[str]:
    """The name of a virtual display."""
    reader, writer = os.pipe()
    arguments = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "640x480x24"]
    with (
        open(reader, encoding="ascii") as names,
        subprocess.Popen(
            [*arguments, "-nolisten", "tcp"], pass_fds=(writer,), stderr=subprocess.DEVNULL
        ) as server,
    ):
        os.close(writer)
        try:
            yield f":{names.readline().strip()}"
        finally:
            server.terminate()


@contextmanager
def _visit(command: list[str], address: str) -> Iterator[int]:
    """Firefox on a page, with a profile of its own; its process."""
    with tempfile.TemporaryDirectory(prefix="tilewright-firefox-") as profile:
        (Path(profile) / "user.js").write_text(PREFERENCES, encoding="utf-8")
        arguments = [*command, "--no-remote", "--profile", profile, address]
        with subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield process.pid
            finally:
                process.terminate()
