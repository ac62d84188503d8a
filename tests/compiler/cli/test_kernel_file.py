"""Which kernel `FILE.py:KERNEL` names, and what is said about files that have none."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.compiler.cli.conftest import KERNELS, Run
from tilewright.compiler.cli.failures import BadFileError, ExitCode
from tilewright.compiler.cli.kernel_file import KernelPath, load_kernel, load_kernels, split_path

HEADER = "import tilewright as tw\n"
ONE = HEADER + "@tw.kernel\ndef double(x):\n    return x + x\n"


@pytest.mark.parametrize(
    ("text", "file", "kernel"),
    [
        ("k.py", "k.py", None),
        ("k.py:softmax", "k.py", "softmax"),
        ("a b/k.py:softmax", "a b/k.py", "softmax"),
        (r"C:\k.py", r"C:\k.py", None),
        (r"C:\k.py:softmax", r"C:\k.py", "softmax"),
        ("-:softmax", "-", "softmax"),
        ("k.py:", "k.py:", None),
        ("k.py:1", "k.py:1", None),
        (":softmax", ":softmax", None),
        ("k.py:ключ", "k.py", "ключ"),
    ],
)
def test_split(text: str, file: str, kernel: str | None) -> None:
    assert split_path(text) == KernelPath(file, kernel)


def test_a_file_whose_name_has_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k:softmax").write_text(ONE)
    assert split_path("k:softmax") == KernelPath("k:softmax")


@pytest.mark.parametrize("name", ["k.py", "a b.py", "new\nline.py", "-dash.py", "ключ.py"])
def test_the_only_kernel_of_a_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(ONE)
    assert load_kernel(KernelPath(str(file))).__name__ == "double"


def test_all_kernels_in_their_order_and_each_once(tmp_path: Path) -> None:
    file = tmp_path / "k.py"
    file.write_text(ONE + "again = double\n@tw.kernel\ndef half(x):\n    return x / 2\n")
    assert list(load_kernels(KernelPath(str(file)))) == ["double", "half"]
    assert load_kernel(KernelPath(str(file), "again")).__name__ == "double"


def test_neighbours_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "tw_neighbour.py").write_text("FACTOR = 3\n")
    file = tmp_path / "k.py"
    file.write_text("from tw_neighbour import FACTOR\n" + ONE)
    assert load_kernel(KernelPath(str(file))).__name__ == "double"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ONE.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source)))
    assert load_kernel(KernelPath("-")).__name__ == "double"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no kernel"),
        ("def f(x):\n    return x\n", "put @tw.kernel above a function"),
        ("x = (\n", "is not Python: line 1"),
        ("\0", "is not Python"),
        ("import not_a_module_at_all\n", "line 1: ModuleNotFoundError"),
        ("\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)\n", "line 2: SystemExit"),
    ],
)
def test_files_without_a_kernel(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "k.py"
    file.write_text(content)
    with pytest.raises(BadFileError) as caught:
        load_kernel(KernelPath(str(file)))
    assert message in str(caught.value)
    assert repr(str(file)) in str(caught.value)


def test_a_file_that_is_missing(run: Run) -> None:
    done = run("show", str(KERNELS.with_name("kernel.py")))
    assert done.code == ExitCode.BAD_FILE
    assert "No such file" in done.err
    assert f"did you mean {str(KERNELS)!r}?" in done.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (str(KERNELS.parent), "Is a directory"),
        ("new\nline.py", r"'new\nline.py'"),
        ("null\0byte.py", "null byte"),
        ("", "cannot read ''"),
    ],
)
def test_files_that_cannot_be_read(run: Run, name: str, message: str) -> None:
    done = run("show", name)
    assert done.code == ExitCode.BAD_FILE
    assert message in done.err


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("sofmax", "did you mean 'softmax'?"),
        ("qqq", "its kernels: softmax, scaled"),
        ("plain", "put @tw.kernel above it"),
        ("np", "has no kernel 'np'"),
    ],
)
def test_kernels_that_are_not_there(run: Run, kernel: str, message: str) -> None:
    done = run("show", f"{KERNELS}:{kernel}")
    assert done.code == ExitCode.BAD_FILE
    assert message in done.err


def test_several_kernels_and_none_named(run: Run) -> None:
    done = run("show", str(KERNELS))
    assert done.code == ExitCode.BAD_FILE
    assert f"name one: {KERNELS}:softmax" in done.err
