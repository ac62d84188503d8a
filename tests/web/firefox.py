"""What the Firefox of this machine says about fragment shaders.

In: GLSL ES 3.00 sources. Out: the log of each. Playwright drives only a Firefox of its own build,
so the system's opens a page that is served here, compiles what the page holds and posts what it
found. Nothing else is fetched. Without a display Firefox has no WebGL: it gets a virtual one.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests.browser import HARNESS

PREFERENCES = """
user_pref("webgl.force-enabled", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"""
SCRIPT = """
const post = (said) => fetch("/said", { method: "POST", body: JSON.stringify(said) });
try { post(SOURCES.map(harness.compileGlsl)); } catch (error) { post(String(error)); }
"""


class FirefoxError(Exception):
    """Firefox did not answer, or cannot do what was asked."""


def firefox_command() -> str:
    """The Firefox of this machine; `FirefoxError` says what is missing."""
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None or shutil.which("Xvfb") is None:
        raise FirefoxError("install firefox-esr and xvfb")
    return found


def compile_in_firefox(sources: Sequence[str], patience_s: float = 60) -> list[str]:
    """The log of compiling and linking each source; empty where all is well."""
    command = firefox_command()
    answers: Queue[Any] = Queue()
    listed = json.dumps(list(sources)).replace("</", "<\\/")
    harness = HARNESS.read_text(encoding="utf-8")
    page = f"<!doctype html><script>{harness}\nconst SOURCES = {listed};{SCRIPT}</script>"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(page, answers)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/"
            with _display() as display:
                said = _visit([command, "--display", display], address, answers, patience_s)
        finally:
            server.shutdown()
    if isinstance(said, str):
        raise FirefoxError(said)
    return list(said)


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


def _visit(command: list[str], address: str, answers: Queue[Any], patience_s: float) -> Any:
    with tempfile.TemporaryDirectory(prefix="tilewright-firefox-") as profile:
        (Path(profile) / "user.js").write_text(PREFERENCES, encoding="utf-8")
        arguments = [*command, "--no-remote", "--profile", profile, address]
        with subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                return answers.get(timeout=patience_s)
            except Empty:
                raise FirefoxError(f"no answer within {patience_s:.0f} s") from None
            finally:
                process.terminate()


def _handler(page: str, answers: Queue[Any]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page.encode() if self.path == "/" else b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.put(json.loads(body))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Not on the terminal of the tests."""

    return Handler
