"""What a notebook shows of a kernel, and that a cell that is run again compiles anew."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tilewright as tw
from tilewright.compiler.display import kernel_html

X = np.ones((4, 5), np.float32)


class Balanced(HTMLParser):
    """Collects the text, and fails where tags do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(html: str) -> str:
    parser = Balanced()
    parser.feed(html)
    assert not parser.open
    return parser.text


@tw.kernel
def clipped(x, top=1):
    return np.where(x < top, x, 0)


def test_before_the_first_call() -> None:
    text = text_of(kernel_html(clipped.on("wasm")))
    assert "clipped(x, top=1)" in text
    assert "on wasm" in text
    assert "not compiled yet" in text


def test_arguments_results_and_stages() -> None:
    clipped(X)
    text = text_of(kernel_html(clipped))
    assert "compiled for cpu" in text
    assert "f32[4, 5]" in text
    for stage in ("graph", "program"):
        assert f"{stage}, " in text
    assert " < " in text  # escaped in the HTML


def test_long_stages_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilewright.compiler.display._MOST_LINES", 2)
    clipped(X)
    assert "more lines: stage('graph')" in text_of(kernel_html(clipped))


def test_a_cell_that_is_run_again_compiles_anew() -> None:
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell()
    cell = """
import numpy as np, tilewright as tw
@tw.kernel
def add(x):
    return x + {}
y = add(np.zeros(3, np.float32))
"""
    for number in (1, 2):
        assert shell.run_cell(cell.format(number)).success
        np.testing.assert_array_equal(shell.user_ns["y"], number)


def test_a_global_changed_in_another_cell_compiles_anew() -> None:
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell()
    shell.run_cell("import numpy as np, tilewright as tw\nSTEP = 1")
    shell.run_cell("@tw.kernel\ndef add(x):\n    return x + STEP")
    for number in (1, 5):
        assert shell.run_cell(f"STEP = {number}\ny = add(np.zeros(3, np.float32))").success
        np.testing.assert_array_equal(shell.user_ns["y"], number)


def test_an_error_shows_the_line_of_the_cell() -> None:
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell()
    cell = """
import numpy as np, tilewright as tw
@tw.kernel
def bad(x):
    return x + np.ones(7, np.float32)
bad(np.zeros(3, np.float32))
"""
    result = shell.run_cell(cell)
    assert isinstance(result.error_in_exec, tw.ShapeError)
    assert "return x + np.ones(7, np.float32)" in str(result.error_in_exec)


def test_notebooks_ask_the_objects_themselves() -> None:
    kernel = tw.kernel(lambda x: x * 2)
    assert "not compiled yet" in text_of(kernel._repr_html_())
    kernel(X)
    shown = text_of(kernel._repr_html_())
    assert "compiled for cpu in " in shown
    assert " ms" in shown
    compiled = kernel.compile(tw.f32[4, 5], target="wgsl")
    shown = text_of(compiled._repr_html_())
    assert "compiled for wgsl in " in shown
    assert "@compute" in shown


def test_a_loaded_kernel_shows_its_code(tmp_path: Path) -> None:
    tw.kernel(lambda x: x * 2).compile(tw.f32[4, 5]).save(tmp_path / "k.tw")
    shown = text_of(tw.load(tmp_path / "k.tw")._repr_html_())
    assert "float32[4, 5]" in shown
    assert "source, " in shown
