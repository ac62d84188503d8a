"""Fixtures and rules that every test shares.

* A test marked `wgsl`, `glsl`, `wasm`, `node`, `chromium`, `firefox` or `typescript` is skipped,
  with the reason, where that cannot run; with TILEWRIGHT_REQUIRE_ALL=1 (set by `make test`) it
  fails instead, so that a machine that lost a driver cannot pass by testing less.
* The disk cache of a test run is its own: an artifact that an older compiler left behind would
  otherwise make a broken one look right.
* New outputs hold junk: memory that the last call gave back would often hold the right elements.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tilewright.codegen_cpu import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from tests.browser import Browser
    from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
    from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

# CI tries the same examples every time: a new find belongs to whoever runs the tests by hand.
hypothesis.settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Where interrupts are ignored, as under nohup, they would be by all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_new_output = execute._empty


def _output_of_junk(spec: Any, symbols: Any) -> np.ndarray:
    array = _new_output(spec, symbols)
    array.reshape(-1).view("u1").fill(0xA5)
    return array


execute._empty = _output_of_junk

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"

TSC = ROOT / "tests" / "web" / "node_modules" / ".bin" / "tsc"  # of npm --prefix tests/web install

# Programs that succeed where a target can run. They run in a process of their own because a broken
# driver may crash instead of raising.
PROBES = {
    "wgsl": "import wgpu; wgpu.gpu.request_adapter_sync().request_device_sync()",
    "glsl": "import moderngl; moderngl.create_context(standalone=True, backend='egl').release()",
    "wasm": "import wasmtime; wasmtime.Engine()",
    "node": "import subprocess; subprocess.run(['node', '--version'], check=True)",
    "chromium": """
import shutil
import websockets
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    # A system's Chromium, else playwright's own; root in a container has no sandbox.
    p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"]).close()
""",
    "typescript": f"import subprocess; subprocess.run([{str(TSC)!r}, '--version'], check=True)",
    "firefox": "from tests.web.firefox import firefox_command; firefox_command()",
}


@functools.cache
def why_unavailable(target: str) -> str | None:
    """The last line that the probe of `target` printed while it failed, or None if it succeeded."""
    probe = subprocess.run(
        [sys.executable, "-c", PROBES[target]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if probe.returncode == 0:
        return None
    lines = probe.stderr.strip().splitlines()
    return lines[-1] if lines else f"the probe ended with status {probe.returncode}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files instead of comparing with them",
    )


def pytest_configure(config: pytest.Config) -> None:
    own = Path(tempfile.mkdtemp(prefix="tilewright-tests-"))  # mode 0700, as XDG asks for
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(own))  # Vulkan and EGL loaders complain without it
    home_cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    # Browsers and Mesa's compiled shaders stay where they are; only our own cache moves.
    os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(home_cache / "ms-playwright"))
    os.environ.setdefault("MESA_SHADER_CACHE_DIR", str(home_cache))
    os.environ["XDG_CACHE_HOME"] = str(own / "cache")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names that differ between processes could not be run again, nor shared among workers."""
    for item in items:
        if " object at 0x" in item.nodeid:
            raise pytest.UsageError(f"the name of a test holds an address: {item.nodeid}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for target in PROBES:
        if item.get_closest_marker(target) is None:
            continue
        reason = why_unavailable(target)
        if reason is None:
            continue
        if os.environ.get("TILEWRIGHT_REQUIRE_ALL") == "1":
            pytest.fail(f"{target} cannot run here: {reason}", pytrace=False)
        pytest.skip(f"{target} cannot run here: {reason}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium for pages, started once: Playwright cannot run twice on one thread."""
    from tests.browser import Browser

    with Browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def webgl_browser() -> Iterator[WebGlBrowserDevice]:
    """WebGL in a browser of its own."""
    from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice

    with WebGlBrowserDevice() as opened:
        yield opened


@pytest.fixture(scope="session")
def webgpu_browser() -> Iterator[WebGpuBrowserDevice]:
    """WebGPU in a browser of its own. Default limits: what passes runs on every device."""
    from tilewright.runtime_web.runner.options import BrowserOptions
    from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

    with WebGpuBrowserDevice(BrowserOptions(default_limits=True)) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of models and images beside the repository, which a plain clone does not have."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("shared models and images are absent")
    return folder


class Golden:
    """Compares text with `tests/golden/<path>.txt`: `golden("wgsl/softmax", source)`."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def __call__(self, path: str, text: str) -> None:
        file = GOLDEN / f"{path}.txt"
        text = text.rstrip("\n") + "\n"
        if self.update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        name = file.relative_to(ROOT)
        if not file.exists():
            pytest.fail(f"{name} does not exist; `pytest --update-golden` writes it")
        expected = file.read_text(encoding="utf-8")
        assert text == expected, f"differs from {name}; `pytest --update-golden` rewrites it"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=request.config.getoption("--update-golden"))
