"""The Firefox of this machine, compiling and running fragment shaders.

In: GLSL ES 3.00 sources, or programs. Out: the log of each, or its results. Playwright drives only
a Firefox of its own build, so the system's opens a page that is served here, and posts what it
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
PAGE = """<!doctype html><script type="module">
%s
const post = (said) => fetch("/said", { method: "POST", body: JSON.stringify(said) });
try {
  for (let k = 1; k <= %d; k++) {
    const file = await (await fetch(`/${k}`)).json();
    %s
  }
} catch (error) { post(String(error)); }
</script>"""


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
    said = _answers("await post([harness.compileGlsl(file)]);", sources, patience_s)
    return [log for (log,) in said]


def run_in_firefox(programs: Sequence[Any], patience_s: float = 60) -> list[list[str]]:
    """What `harness.runProgram` gives for each of these; `patience_s` is for one of them."""
    return _answers("await post(await harness.runProgram(file));", programs, patience_s)


def _answers(script: str, files: Sequence[Any], patience_s: float) -> list[Any]:
    """What a page posts that runs `script` for each file."""
    command = firefox_command()
    answers: Queue[Any] = Queue()
    page = PAGE % (HARNESS.read_text(encoding="utf-8"), len(files), script)
    handler = _handler([page.encode(), *(json.dumps(file).encode() for file in files)], answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/"
            with _display() as display, _visit([command, "--display", display], address):
                return [_next(answers, patience_s) for _ in files]
        finally:
            server.shutdown()


def _next(answers: Queue[Any], patience_s: float) -> Any:
    try:
        said = answers.get(timeout=patience_s)
    except Empty:
        raise FirefoxError(f"no answer within {patience_s:.0f} s") from None
    if isinstance(said, str):
        raise FirefoxError(said)
    return said


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
def _visit(command: list[str], address: str) -> Iterator[None]:
    """Firefox on a page, with a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="tilewright-firefox-") as profile:
        (Path(profile) / "user.js").write_text(PREFERENCES, encoding="utf-8")
        arguments = [*command, "--no-remote", "--profile", profile, address]
        with subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield
            finally:
                process.terminate()


def _handler(
    bodies: Sequence[bytes], answers: Queue[Any]
) -> type[http.server.BaseHTTPRequestHandler]:
    """Serves the first body as ``/``, the others by their numbers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = self.path[1:] or "0"
            found = number.isdigit() and int(number) < len(bodies)
            self._answer(bodies[int(number)] if found else b"")

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
