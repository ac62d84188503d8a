"""Opening, losing and sharing a device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tilewright.codegen_glsl import context as context_module
from tilewright.codegen_glsl import device as device_module
from tilewright.codegen_glsl import probe as probe_module
from tilewright.codegen_glsl.context import GlContext
from tilewright.codegen_glsl.device import GlDevice, GlOptions
from tilewright.ir.errors import DeviceError, DeviceLostError

pytestmark = pytest.mark.glsl


def run_python(code: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own; None removes a variable."""
    variables = {**os.environ, **{k: v for k, v in environment.items() if v is not None}}
    for name in [name for name, value in environment.items() if value is None]:
        variables.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env=variables,
        check=False,
    )


def test_facts_meet_what_webgl_2_guarantees(device: GlDevice) -> None:
    facts = device.facts
    assert facts.renderer
    assert facts.max_texture_size >= 2048
    assert facts.max_draw_buffers >= 4
    assert facts.max_texture_units >= 16


@pytest.mark.parametrize(
    ("name", "index", "wrong", "message"),
    [
        ("_FLOATS", 0, np.float32(np.float16(1.1)), "product 1.1 \\* 1.1 came back as"),
        ("_FLOATS", 1, np.float32(0), "float32 value 1e-8 came back as"),
        ("_INTS", 0, np.int32(16777216), "int32 value 16777217 came back as"),
    ],
)
def test_self_test_notices_lost_bits(
    monkeypatch: pytest.MonkeyPatch, name: str, index: int, wrong: np.generic, message: str
) -> None:
    """Values that a device with 16-bit or float-only textures would have stored."""
    values = getattr(probe_module, name).copy()
    values[index] = wrong
    monkeypatch.setattr(probe_module, name, values)
    with pytest.raises(DeviceError, match=message):
        GlDevice()


@pytest.mark.parametrize("error", [DeviceError("no"), KeyboardInterrupt()])
def test_a_context_that_fails_its_test_is_given_back(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Its memory and its thread too: a program may go on to try the next device."""

    class FakeContext:
        released = 0

        def release(self) -> None:
            self.released += 1

    context = FakeContext()

    def probe(*_: object) -> None:
        raise error

    monkeypatch.setattr(device_module, "open_context", lambda *_: context)
    monkeypatch.setattr(device_module, "probe", probe)
    others = set(threading.enumerate())
    with pytest.raises(type(error)):
        GlDevice()
    assert context.released == 1
    for thread in set(threading.enumerate()) - others:
        thread.join(30)
        assert not thread.is_alive()


def test_missing_extension_names_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "_REQUIRED_EXTENSION", "GL_TEST_absent")
    with pytest.raises(DeviceError, match=r"GL_TEST_absent is missing; found .*OpenGL") as caught:
        GlDevice()
    assert "target 'cpu'" in str(caught.value)


def test_no_such_device_says_what_to_install() -> None:
    with pytest.raises(
        DeviceError, match=r"EGL gave no OpenGL 3\.3 context on device 99"
    ) as caught:
        GlDevice(GlOptions(device_index=99))
    assert "apt install libegl1" in str(caught.value)
    assert "egl_vendor.d" in str(caught.value)


def test_missing_package_says_what_to_install() -> None:
    done = run_python(
        """
        import sys
        sys.modules["moderngl"] = None
        from tilewright.codegen_glsl.device import GlDevice
        from tilewright.ir.errors import DeviceError
        try:
            GlDevice()
        except DeviceError as error:
            print(error)
        """
    )
    assert "package moderngl, which is missing" in done.stdout, done.stderr
    assert "help: pip install moderngl" in done.stdout


def test_runtime_directory_is_private_and_only_for_opening() -> None:
    done = run_python(
        """
        import os
        from tilewright.ir.runtime_directory import runtime_directory
        from tilewright.codegen_glsl.device import GlDevice
        with runtime_directory():
            path = os.environ["XDG_RUNTIME_DIR"]
            print(oct(os.stat(path).st_mode & 0o777))
        GlDevice().close()
        print("XDG_RUNTIME_DIR" in os.environ, os.path.exists(path))
        """,
        XDG_RUNTIME_DIR=None,
    )
    assert (done.stdout.split(), done.stderr) == (["0o700", "False", "False"], "")


def test_process_ends_cleanly_with_a_device_open() -> None:
    done = run_python(
        """
        import numpy as np
        from tilewright.codegen_glsl.device import GlDevice
        from tilewright.codegen_glsl.device_array import GlDeviceArray
        device = GlDevice()
        array = GlDeviceArray.upload(device, np.arange(5))
        print(array.numpy())
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0 1 2 3 4]\n", "")


def test_a_forked_child_is_told_to_open_its_own(device: GlDevice) -> None:
    child = os.fork()
    if child == 0:  # no pytest machinery may run here
        status = 1
        try:
            device.run(lambda context: None)
        except DeviceError as error:
            status = 0 if "forked child" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    device.run(GlContext.check)


def test_jobs_run_on_one_thread_that_is_not_the_callers(device: GlDevice) -> None:
    seen = {device.run(lambda context: threading.get_ident()) for _ in range(3)}
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_a_job_may_run_another(device: GlDevice) -> None:
    assert device.run(lambda outer: device.run(lambda inner: inner is outer))


def test_an_error_in_a_job_reaches_its_caller_and_no_other(device: GlDevice) -> None:
    def fail(context: GlContext) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        device.run(fail)
    assert device.run(lambda context: 3) == 3


def test_driver_error_is_reported_once(device: GlDevice) -> None:
    def provoke(context: GlContext) -> None:
        context.gl.texture((1 << 20, 1), 4).release()
        context.check()

    with pytest.raises(DeviceError, match="reported GL_INVALID_VALUE"):
        device.run(provoke)
    device.run(GlContext.check)


def test_lost_device_is_opened_again() -> None:
    with GlDevice() as own:
        first = own.run(lambda context: context)
        own.lose()
        second = own.run(lambda context: context)
        assert second is not first
        second_again = own.run(lambda context: context)
        assert second_again is second


def test_context_that_the_driver_reports_lost_is_replaced() -> None:
    def lose(context: GlContext) -> None:
        raise DeviceLostError("as the driver's reset would")

    with GlDevice() as own:
        first = own.run(lambda context: context)
        with pytest.raises(DeviceLostError):
            own.run(lose)
        assert own.run(lambda context: context) is not first


def test_a_job_that_takes_too_long_costs_the_device() -> None:
    release = threading.Event()
    with GlDevice(GlOptions(timeout_s=0.2)) as own:
        start = time.monotonic()
        with pytest.raises(DeviceLostError, match=r"longer than 0\.2 s"):
            own.run(lambda context: release.wait(30))
        assert time.monotonic() - start < 5
        assert own.run(lambda context: 5) == 5
    release.set()


def test_closed_device_refuses_work() -> None:
    own = GlDevice()
    own.close()
    own.close()
    with pytest.raises(DeviceError, match="the device is closed"):
        own.run(lambda context: None)


def test_a_dropped_device_ends_its_thread() -> None:
    own = GlDevice()
    thread = own.run(lambda context: threading.current_thread())
    assert thread.is_alive()
    del own
    thread.join(10)
    assert not thread.is_alive()


def test_an_interrupt_while_waiting_leaves_the_device_usable(device: GlDevice) -> None:
    """Ctrl-C returns at once; the job that was under way ends by itself."""
    begun, release = threading.Event(), threading.Event()
    main = threading.get_ident()

    def slow(context: GlContext) -> None:
        begun.set()
        release.wait(30)

    def interrupt() -> None:
        begun.wait(30)
        signal.pthread_kill(main, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        device.run(slow)
    helper.join()
    release.set()
    assert device.run(lambda context: 7) == 7


def test_two_devices_at_once(device: GlDevice) -> None:
    with GlDevice() as other:
        for each in (device, other, device):
            each.run(GlContext.check)


class Vendors:
    """A folder that lists its files in an order of its own."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def glob(self, pattern: str) -> list[Path]:
        return [Path(n) for n in self.names if Path(n).match(pattern)]

    def __str__(self) -> str:
        return "/vendors"


def test_vendors_are_named_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "_VENDORS", Vendors("50_mesa.json", "10_x.json", "a.txt"))
    assert context_module._found_vendors() == "EGL vendors in /vendors: 10_x.json, 50_mesa.json"
    monkeypatch.setattr(context_module, "_VENDORS", Vendors())
    assert context_module._found_vendors() == "EGL vendors in /vendors: none"


def test_what_waits_for_reuse_is_a_part_of_the_memory() -> None:
    options = GlOptions()
    assert 0 < options.idle_bytes < options.memory_bytes


@pytest.mark.parametrize("changed", [None, 4, 5])
def test_self_test_looks_for_nan_and_minus_zero(
    monkeypatch: pytest.MonkeyPatch, changed: int | None
) -> None:
    """Values that a device which lost one of them would have given back."""
    values = probe_module._FLOATS.copy()
    if changed is not None:
        values[changed] = 0
    monkeypatch.setattr(probe_module, "_FLOATS", values)
    with GlDevice() as own:
        assert own.facts.keeps_nan == (changed is None)
