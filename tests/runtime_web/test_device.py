"""The life of a browser that runs programs: opened, killed, forked, timed out, ended with us."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.codegen_glsl.programs import buffer, elementwise, launch, program
from tests.codegen_wgsl.programs import add_program
from tilewright.ir.errors import DeviceError, DeviceLostError, LimitError
from tilewright.runtime_web.runner import launch as launch_module
from tilewright.runtime_web.runner import session as session_module
from tilewright.runtime_web.runner.device import BrowserDevice
from tilewright.runtime_web.runner.device_array import BrowserArray
from tilewright.runtime_web.runner.options import BrowserOptions
from tilewright.runtime_web.runner.program import LoadedBrowserProgram
from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
from tilewright.runtime_web.runner.webgpu import WebGpuBrowserDevice

pytestmark = pytest.mark.chromium

DOUBLE = elementwise("a * 2.0", (9,), "float32", "float32")
X = np.arange(9, dtype=np.float32)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def children(pid: int) -> list[int]:
    """Every process below `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="ascii").split()):
            found += [child, *children(child)]
    return found


def browsers(pid: int) -> list[int]:
    """Those of them that are browsers, the main one first."""
    return [child for child in children(pid) if b"--headless" in command_line(child)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(b"--headless" in command_line(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_facts_meet_what_webgl_2_guarantees(webgl_browser: WebGlBrowserDevice) -> None:
    facts = webgl_browser.facts
    assert facts.max_texture_size >= 2048
    assert facts.max_draw_buffers >= 4
    assert facts.max_texture_units >= 16
    assert facts.keeps_nan
    assert "chromium" in webgl_browser.runner
    assert facts.renderer in repr(webgl_browser.upload(X))


def victims(device: BrowserDevice[Any], kind: str) -> list[int]:
    """The processes of a device's browser: the main one, or those of a type."""
    main = device.run(lambda session: session.pid)
    if kind == "browser":
        return [main]
    found = [pid for pid in children(main) if f"--type={kind}".encode() in command_line(pid)]
    assert found
    return found


def chain(double: LoadedBrowserProgram, value: BrowserArray, inputs: int) -> None:
    """Many calls: a page may answer a few more when its browser has ended."""
    for _ in range(10_000):
        (value,) = double([value] * inputs, outputs_on_device=True)


@pytest.mark.parametrize(
    ("opened", "kind"),
    [
        (WebGlBrowserDevice, "browser"),
        (WebGlBrowserDevice, "gpu-process"),
        (WebGpuBrowserDevice, "gpu-process"),
        (WebGpuBrowserDevice, "renderer"),
    ],
)
def test_whatever_is_killed_in_a_chain_costs_its_arrays_and_one_call(
    opened: type[BrowserDevice[Any]], kind: str
) -> None:
    program, inputs = (DOUBLE, 1) if opened is WebGlBrowserDevice else (add_program(9), 2)
    with opened() as own:
        double = own.load(program)
        (kept,) = double([X] * inputs, outputs_on_device=True)
        for pid in victims(own, kind):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(DeviceLostError, match=r"has ended|was lost"):
            chain(double, kept, inputs)
        np.testing.assert_array_equal(double([X] * inputs)[0], X * 2)
        with pytest.raises(DeviceLostError, match="values are gone"):
            kept.numpy()
        np.testing.assert_array_equal(double([X] * inputs)[0], X * 2)


@pytest.mark.parametrize("opened", [WebGlBrowserDevice, WebGpuBrowserDevice])
def test_results_of_a_call_in_which_the_device_is_lost_are_never_wrong(
    opened: type[BrowserDevice[Any]],
) -> None:
    """Until a browser tells of a loss, WebGL reads zeros and reports no error."""
    program, inputs = (DOUBLE, 1) if opened is WebGlBrowserDevice else (add_program(9), 2)
    with opened() as own:
        double = own.load(program)
        found: list[np.ndarray] = []
        begun = threading.Event()

        def calls() -> None:
            with contextlib.suppress(DeviceLostError):
                while True:
                    found.append(double([X] * inputs)[0])
                    begun.set()

        caller = threading.Thread(target=calls)
        doomed = victims(own, "gpu-process")
        caller.start()
        begun.wait(30)
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        caller.join(60)
        assert not caller.is_alive()
        for result in found:
            np.testing.assert_array_equal(result, X * 2)


def test_software_takes_the_place_of_a_gpu_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[bool] = []

    def opener(options: BrowserOptions, software: bool) -> launch_module.Browser:
        tried.append(software)
        if not software:
            raise DeviceError("the driver hangs")
        return launch_module.Browser(options, software)

    monkeypatch.setattr(session_module, "has_gpu", lambda: True)
    with WebGlBrowserDevice(opener=opener) as own:
        np.testing.assert_array_equal(own.load(DOUBLE)([X])[0], X * 2)
        assert own.facts.is_software
    assert tried == [False, True]
    with pytest.raises(DeviceError, match="the driver hangs"):
        WebGlBrowserDevice(BrowserOptions(adapter="hardware"), opener)


def test_webgpu_keeps_to_its_memory() -> None:
    """One program's three buffers fit, a second copy of its result does not."""
    with WebGpuBrowserDevice(BrowserOptions(memory_bytes=3 << 20, idle_bytes=1 << 20)) as own:
        add = own.load(add_program(1 << 18))
        ones = np.ones(1 << 18, np.float32)
        (kept,) = add([ones, ones], outputs_on_device=True)
        with pytest.raises(LimitError, match=r"needs 1048576 bytes; \d+ of 3145728 bytes"):
            add([ones, ones])
        np.testing.assert_array_equal(kept.numpy(), 2 * ones)
        del kept
        np.testing.assert_array_equal(add([ones, ones])[0], 2 * ones)
        assert own.statistics()["idle"] <= 1 << 20


def test_a_lost_context_is_noticed_and_replaced() -> None:
    with WebGlBrowserDevice() as own:
        double = own.load(DOUBLE)
        own.run(lambda session: session.request("lose"))
        with pytest.raises(DeviceLostError, match="context was lost"):
            double([X])
        np.testing.assert_array_equal(double([X])[0], X * 2)


def test_a_request_that_takes_too_long_costs_the_device() -> None:
    """A draw that loops for many seconds, on one texel."""
    slow = (
        "  float x = 1.0;\n  for (int k = 0; k < u[0]; ++k) x = x * 0.5 + sin(x);\n  o0 = vec4(x);"
    )
    buffers = [buffer("output", (1,))]
    step = launch(buffers, (), (0,), slow, uniforms=(2_000_000_000,))
    with WebGlBrowserDevice(BrowserOptions(timeout_s=1)) as own:
        double, endless = own.load(DOUBLE), own.load(program(buffers, step))
        start = time.monotonic()
        with pytest.raises(DeviceLostError, match=r"longer than 1 s"):
            endless([])
        assert time.monotonic() - start < 10
        np.testing.assert_array_equal(double([X])[0], X * 2)


def test_closed_device_refuses_work_and_leaves_no_browser() -> None:
    before = set(browsers(os.getpid()))
    own = WebGlBrowserDevice()
    mine = [pid for pid in browsers(os.getpid()) if pid not in before]
    assert mine
    own.close()
    own.close()
    wait_until_gone(mine)
    with pytest.raises(DeviceError, match="the device is closed"):
        own.upload(X)


def test_a_dropped_device_ends_its_browser() -> None:
    before = set(browsers(os.getpid()))
    own = WebGlBrowserDevice()
    mine = [pid for pid in browsers(os.getpid()) if pid not in before]
    del own
    wait_until_gone(mine)


def test_a_forked_child_is_told_to_open_its_own(webgl_browser: WebGlBrowserDevice) -> None:
    child = os.fork()
    if child == 0:  # no pytest machinery may run here
        status = 1
        try:
            webgl_browser.upload(X)
        except DeviceError as error:
            status = 0 if "forked child" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(webgl_browser.upload(X).numpy(), X)


def test_an_interrupt_while_waiting_leaves_the_device_usable(
    webgl_browser: WebGlBrowserDevice,
) -> None:
    main = threading.get_ident()
    begun, release = threading.Event(), threading.Event()

    def slow(session: object) -> None:
        begun.set()
        release.wait(30)

    def interrupt() -> None:
        begun.wait(30)
        time.sleep(0.2)  # until the main thread waits
        signal.pthread_kill(main, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        webgl_browser.run(slow)
    helper.join()
    release.set()
    np.testing.assert_array_equal(webgl_browser.upload(X).numpy(), X)


OPEN = """
    import os, sys, time
    import numpy as np
    from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
    device = WebGlBrowserDevice()
    array = device.upload(np.arange(5))
    print(array.numpy(), flush=True)
    if sys.argv[1:]:
        time.sleep(60)
"""


def test_two_processes_with_a_browser_each_end_cleanly() -> None:
    command = [sys.executable, "-c", textwrap.dedent(OPEN)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [(*one.communicate(timeout=120), one.returncode) for one in both]
    assert said == [("[0 1 2 3 4]\n", "", 0)] * 2


def test_a_killed_process_leaves_no_browser_behind() -> None:
    command = [sys.executable, "-c", textwrap.dedent(OPEN), "stay"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "[0 1 2 3 4]\n"
        left = browsers(process.pid)
        assert left
        process.kill()
    wait_until_gone(left)


@pytest.mark.parametrize("package", ["playwright", "websockets"])
def test_missing_package_says_what_to_install(package: str) -> None:
    done = run_python(
        f"""
        import sys
        sys.modules["{package}"] = None
        from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice
        from tilewright.ir.errors import DeviceError
        try:
            WebGlBrowserDevice()
        except DeviceError as error:
            print(error)
        """
    )
    assert "needs the packages playwright and websockets" in done.stdout, done.stderr
    assert "pip install 'tilewright[browser]'" in done.stdout


def test_no_browser_says_what_was_tried() -> None:
    with pytest.raises(DeviceError, match=r"no browser could be started; tried /nonexistent") as e:
        WebGlBrowserDevice(BrowserOptions(executable="/nonexistent"))
    assert "playwright install chromium" in str(e.value)


def test_a_gpu_is_asked_for_only_where_one_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "_GPU_DEVICES", ())
    monkeypatch.setattr(sys, "platform", "linux")
    assert not launch_module.has_gpu()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert launch_module.has_gpu()
    assert "--use-angle=swiftshader" in launch_module.flags(software=True)
    assert not any("swiftshader" in flag for flag in launch_module.flags(software=False))
