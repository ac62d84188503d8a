"""Kernels as users call them, with a browser chosen to run the GPU targets."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tilewright.compiler.runners import open_device
from tilewright.ir.errors import DeviceError, RunnerWarning
from tilewright.runtime_web.runner.launch import has_gpu
from tilewright.runtime_web.runner.options import BrowserOptions
from tilewright.runtime_web.runner.webgl import WebGlBrowserDevice

PROGRAM = """
    import sys
    import numpy as np
    import tilewright as tw
    from benchmarks.gallery import entries
    from tilewright.compiler.runtime import runtime

    target, *names = sys.argv[1:]
    tw.choose_device(runner="browser")
    wanted = [entry for entry in entries() if entry.name in names]
    assert len(wanted) == len(names), [entry.name for entry in entries()]
    for entry in wanted:
        tw.testing.check(tw.kernel(entry.kernel), entry.inputs(), targets=[target])

    x = np.linspace(-2, 2, 1000, dtype=np.float32).reshape(10, 100)
    scale = tw.kernel(lambda a: 2 * a).on(target)
    total = tw.kernel(lambda a: a.sum(axis=0)).on(target)
    there = tw.device_array(x, target)
    for _ in range(20):
        there = scale(there)
    assert type(there).__name__ == {"glsl": "GlslBrowserArray", "wgsl": "WgslBrowserArray"}[target]
    np.testing.assert_allclose(total(there).numpy(), (x * 2**20).sum(axis=0), rtol=1e-5, atol=16)
    narrow = tw.kernel(lambda a: a + 1).on(target)
    bytes_there = tw.device_array(np.arange(1000, dtype=np.uint8), target)
    twice = narrow(narrow(bytes_there))  # packed on the way, where that is how kernels read
    np.testing.assert_array_equal(twice.numpy(), np.arange(2, 1002).astype(np.uint8))
    flip = tw.kernel(lambda a: a[:, ::-1]).on(target)
    for dtype in ("bool", "int8", "uint8", "int16", "uint16", "float16"):
        for shape in ((1, 1), (1, 3), (2, 4), (3, 5), (5, 4, 3), (5, 7, 3), (0, 3)):
            x = (np.arange(np.prod(shape)) % 97).astype(dtype).reshape(shape)
            there = flip(tw.device_array(x, target))
            np.testing.assert_array_equal(flip(x), x[:, ::-1])
            np.testing.assert_array_equal(there.read().numpy(), x[:, ::-1])
            np.testing.assert_array_equal(flip(there).numpy(), x)
            if target == "wgsl":
                assert there.spec.packed == 4 // x.dtype.itemsize, (dtype, shape)
    print((runtime().webgl if target == "glsl" else runtime().webgpu).runner)
"""
GALLERY = ("softmax", "argmax_rows", "top_k", "iou_matrix", "game_of_life")


@pytest.mark.chromium
@pytest.mark.parametrize("target", ["glsl", "wgsl"])
def test_kernels_of_the_gallery_run_and_chain_in_a_browser(target: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), target, *GALLERY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("chromium ")


@pytest.mark.chromium
def test_targets_says_which_browser_runs_what() -> None:
    command = [sys.executable, "-m", "tilewright.compiler.cli.probe", "glsl"]
    choice = json.dumps({"runner": "browser"})
    done = subprocess.run([*command, choice], capture_output=True, text=True, timeout=100)
    report = json.loads(done.stdout)
    assert report["usable"], report
    assert any("WebGL 2.0" in f and ", through chromium 1" in f for f in report["facts"]), report


@pytest.mark.chromium
@pytest.mark.skipif(has_gpu(), reason="there may be a GPU here")
def test_software_is_refused_where_it_is_not_wanted() -> None:
    with pytest.raises(DeviceError, match=r"software was not allowed") as caught:
        WebGlBrowserDevice(BrowserOptions(adapter="hardware")).close()
    assert "cpu" in str(caught.value)


class Opened:
    """Stands for a device."""

    def __init__(self, runner: str) -> None:
        self.runner = runner

    def load(self, program: Any, constants: Any, names: Any) -> Any:
        raise NotImplementedError

    def synchronize(self) -> None:
        raise NotImplementedError


def missing() -> Opened:
    raise DeviceError("no driver", help="install one")


def no_browser() -> Opened:
    raise DeviceError("no browser")


def native() -> Opened:
    return Opened("native")


def browser() -> Opened:
    return Opened("browser")


def test_the_native_runner_comes_first_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert open_device("glsl", "auto", native, browser).runner == "native"
    assert open_device("glsl", "browser", native, browser).runner == "browser"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert open_device("glsl", "auto", native, browser).runner == "browser"
    assert open_device("wgsl", "auto", native, browser).runner == "native"
    assert open_device("glsl", "native", native, browser).runner == "native"


def test_a_browser_in_its_place_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    said = "^target 'glsl' runs in a browser, as EGL cannot run it here: no driver$"
    with pytest.warns(RunnerWarning, match=said):
        opened = open_device("glsl", "auto", missing, browser)
    assert opened.runner == "browser"


def test_where_nothing_runs_both_reasons_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DeviceError) as caught:
        open_device("wgsl", "auto", missing, no_browser)
    assert str(caught.value) == (
        "no driver\nnote: a browser cannot run it here either: no browser\nhelp: install one"
    )
    with pytest.raises(DeviceError, match=r"^no driver\nhelp: install one$"):
        open_device("wgsl", "native", missing, browser)
