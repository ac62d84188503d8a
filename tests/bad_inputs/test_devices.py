"""Rows 97 to 99: devices that are missing, fail or go away.

`tests/codegen_wgsl` and `tests/codegen_glsl` test the devices themselves; here kernels are called.
"""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import force_setattr

import tilewright as tw
from tests.bad_inputs.calls import X
from tilewright.codegen_wgsl.device import Device
from tilewright.compiler.runtime import runtime

GPU = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("wgsl", "glsl")]

CALL = """
import sys
import numpy as np
import tilewright as tw
kernel = tw.kernel(lambda a: a + 1)
x = np.arange(6, dtype=np.float32)
try:
    kernel.on(sys.argv[1])(x)
except tw.DeviceError as error:
    print(error)
assert (kernel(x) == x + 1).all()
assert kernel.compile(x, target=sys.argv[1]).source  # which needs no device
"""
NATIVE = """
import tilewright as tw
tw.choose_device(runner="native")
"""
WITHOUT_PACKAGES = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("wgpu", "moderngl", "wasmtime"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def told(program: str, target: str, **environment: str) -> str:
    """What the program prints, in a process that sees no devices."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), target],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_row_97_an_unknown_target_lists_what_there_is() -> None:
    with pytest.raises(tw.UnsupportedError) as caught:
        tw.kernel(lambda a: a).on("cuda")
    assert str(caught.value) == (
        "there is no target 'cuda'\nhelp: the targets are cpu, wasm, wgsl, glsl"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="hides the drivers of Linux")
@pytest.mark.parametrize("target", GPU)
def test_row_97_no_driver(target: str) -> None:
    nowhere = dict.fromkeys(
        (
            *("VK_ICD_FILENAMES", "VK_DRIVER_FILES", "LIBGL_DRIVERS_PATH"),
            "__EGL_VENDOR_LIBRARY_FILENAMES",
        ),
        "/nonexistent",
    )
    message = told(NATIVE + CALL, target, **nowhere)
    assert "no WebGPU adapter was found; adapters: none" in message or "found 0 devices" in message
    assert "help: install a" in message
    assert "cpu" in message


@pytest.mark.parametrize(
    ("target", "package"), [("wgsl", "wgpu"), ("glsl", "moderngl"), ("wasm", "wasmtime")]
)
def test_row_97_a_package_that_is_not_installed(target: str, package: str) -> None:
    assert told(WITHOUT_PACKAGES + NATIVE + CALL, target).endswith(f"help: pip install {package}\n")


def chosen(target: str, **choice: object) -> str:
    """What a call on a target tells, with this choice of a device."""
    words = ", ".join(f"{name}={value!r}" for name, value in {**choice, "runner": "native"}.items())
    return told(f"import tilewright as tw\ntw.choose_device({words})\n{CALL}", target)


@pytest.mark.parametrize("target", GPU)
def test_row_97_software_is_refused_where_it_is_not_wanted(target: str) -> None:
    message = chosen(target, software=False)
    assert "llvmpipe" in message
    assert "software was not allowed" in message
    assert "cpu" in message


@pytest.mark.wgsl
def test_row_97_an_adapter_that_is_not_there() -> None:
    message = chosen("wgsl", adapter="GeForce")
    assert "no WebGPU adapter whose name contains 'GeForce' was found; adapters: " in message


@pytest.mark.glsl
def test_row_97_an_egl_device_that_is_not_there() -> None:
    assert "on device 99" in chosen("glsl", egl_device=99)


@pytest.mark.wgsl
def test_an_adapter_is_chosen_by_a_part_of_its_name() -> None:
    assert chosen("wgsl", adapter="llvmpipe") == ""


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"adapter": 1}, TypeError),
        ({"egl_device": -1}, ValueError),
        ({"egl_device": "0"}, ValueError),
        ({"browser": 1}, TypeError),
        ({"runner": "gpu"}, ValueError),
        ({"half_float": 1}, TypeError),
    ],
)
def test_choices_that_mean_nothing(choice: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        tw.choose_device(**choice)


@pytest.mark.parametrize("target", GPU)
def test_an_open_device_is_not_chosen_again(target: str) -> None:
    tw.device_array(X, target)
    with pytest.raises(tw.DeviceError, match="a device is open already"):
        tw.choose_device(software=False)


@pytest.mark.parametrize("package", ["moderngl"])
def test_row_97_without_its_package_or_a_browser_both_are_told(package: str) -> None:
    hidden = WITHOUT_PACKAGES.replace('"wasmtime"', '"playwright"')
    message = told(hidden + CALL, "glsl")
    assert f"package {package}, which is missing" in message
    assert "note: a browser cannot run it here either: running in a browser needs" in message
    assert message.endswith(f"help: pip install {package}\n")


@pytest.mark.chromium
def test_row_97_a_browser_takes_the_place_of_a_missing_package_and_that_is_said() -> None:
    program = (
        WITHOUT_PACKAGES
        + """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
"""
        + textwrap.indent(CALL, "    ")
        + """
print(*(f"{w.category.__name__}: {w.message}" for w in said))
"""
    )
    message = told(program, "glsl")
    assert message.startswith(
        "RunnerWarning: target 'glsl' runs in a browser, as EGL cannot run it here: "
    )


def lose(target: str) -> None:
    """As a driver's reset would."""
    if target == "wgsl":
        device = runtime().webgpu
        assert isinstance(device, Device)
        device.raw.destroy()
    else:
        runtime().webgl.lose()


def outcome(call: Callable[[], Any]) -> Any:
    """The result of a call, or None if the device turned out to be lost."""
    try:
        return call()
    except tw.DeviceLostError as error:
        assert error.help or "lost" in str(error)  # noqa: PT017 (either outcome is right)
        return None


@pytest.mark.parametrize("target", GPU)
def test_row_98_a_lost_device_costs_at_most_one_call(target: str) -> None:
    kernel = tw.kernel(lambda a: np.exp(-a)).on(target)
    before = kernel(X)
    for _ in range(3):
        lose(target)
        got = outcome(lambda: kernel(X))
        np.testing.assert_array_equal(kernel(X) if got is None else got, before)
    np.testing.assert_array_equal(X, np.arange(6))
    np.testing.assert_array_equal(tw.kernel(lambda a: a * 3).on(target)(X), X * 3)


@pytest.mark.parametrize("target", GPU)
def test_row_98_arrays_on_a_lost_device_say_so_and_never_hold_others_values(target: str) -> None:
    kernel = tw.kernel(lambda a: a + 1).on(target)
    lost = tw.device_array(X, target)
    lose(target)
    outcome(lambda: kernel(X))  # by now the loss is known
    for use in (lost.numpy, lambda: kernel(lost)):
        with pytest.raises(tw.DeviceLostError, match="lost"):
            use()
    again = tw.device_array(X, target)
    np.testing.assert_array_equal(kernel(again).numpy(), X + 1)


FORKED = """
    import os, signal, sys
    import numpy as np
    import tilewright as tw

    x = np.ones(4, np.float32)
    kernel = tw.kernel(lambda a: a + 1)
    there = kernel.on(sys.argv[1])
    array = tw.device_array(x, sys.argv[1])
    assert (there(x) == 2).all()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        assert (kernel(x) == 2).all()
        for use in (lambda: there(x), lambda: there(x + 1), lambda: there(array), array.numpy):
            try:
                use()
            except tw.DeviceError as error:
                assert "cannot be used in its forked child" in str(error), error
            else:
                os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (there(x) == 2).all()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("target", GPU)
def test_a_forked_child_is_told_that_the_device_is_its_parents(target: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FORKED), target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", GPU)
def test_device_arrays_keep_their_shape_and_refuse_float64(target: str) -> None:
    for value in (np.float32(3), np.zeros((0, 2), np.float32), X[::-2], [True, False]):
        array = tw.device_array(value, target)
        assert (array.shape, array.dtype) == (np.shape(value), np.asarray(value).dtype)
        np.testing.assert_array_equal(array.numpy(), value)
    with pytest.raises(tw.UnsupportedError, match=r"has no float64\nhelp: pass array.astype"):
        tw.device_array(X.astype(np.float64), target)


@pytest.mark.parametrize("target", GPU)
def test_device_arrays_are_neither_copied_nor_pickled(target: str) -> None:
    array = tw.device_array(X, target)
    for use in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"cannot leave its device; copy or pickle its .numpy"):
            use(array)
    np.testing.assert_array_equal(array.numpy(), X)


def test_rows_98_99_errors_of_devices_are_one_family() -> None:
    assert issubclass(tw.DeviceLostError, tw.DeviceError)
    assert issubclass(tw.DeviceError, RuntimeError)


@pytest.mark.wgsl
def test_row_99_a_shader_that_does_not_compile_shows_log_and_source() -> None:
    """As when a saved shader meets a driver that is too old: the shader of a file is changed."""
    compiled = tw.kernel(lambda a: a * 1.25 + 1).compile(tw.f32[6], target="wgsl")
    program = compiled.specialization.artifact.program
    launch = program.steps[0]
    force_setattr(launch, "source", launch.source.replace("fn main", "fn mian"))
    for _ in range(2):
        with pytest.raises(tw.DeviceError) as caught:
            compiled(X)
        assert "mian" in str(caught.value)
        assert launch.name in str(caught.value)
    np.testing.assert_array_equal(tw.kernel(lambda a: a + 1).on("wgsl")(X), X + 1)


@pytest.mark.glsl
def test_row_99_a_fragment_shader_that_does_not_compile() -> None:
    compiled = tw.kernel(lambda a: a * 1.25 + 1).compile(tw.f32[6], target="glsl")
    launch = compiled.specialization.artifact.program.steps[0]
    force_setattr(launch, "source", launch.source.replace("void main", "vodi main"))
    for _ in range(2):
        with pytest.raises(tw.DeviceError) as caught:
            compiled(X)
        assert launch.name in str(caught.value)
    np.testing.assert_array_equal(tw.kernel(lambda a: a + 1).on("glsl")(X), X + 1)


@pytest.mark.wgsl
def test_arrays_on_another_device_are_refused() -> None:
    on_device = tw.device_array(np.ones(3, np.float32), "wgsl")
    kernel = tw.kernel(lambda x: x + 1)
    with pytest.raises(tw.DTypeError, match="an argument lies on the device of wgsl, and"):
        kernel(on_device)
    with pytest.raises(tw.DTypeError, match="out cannot be given together with device arrays"):
        kernel.on("wgsl")(on_device, out=np.empty(3, np.float32))
    np.testing.assert_array_equal(kernel.on("wgsl")(on_device).numpy(), np.full(3, 2, np.float32))
