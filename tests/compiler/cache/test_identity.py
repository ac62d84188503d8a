"""In a checkout every source file is a part of the key: no edit can give an old artifact."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tilewright
from tilewright.compiler.cache.artifacts import compiler_identity, host_identity

PACKAGE = Path(tilewright.__file__).parent
PRINT = "from tilewright.compiler.cache.artifacts import compiler_identity as i; print(i())"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A package of links to folders, as in the repository."""
    package = tmp_path / "src" / "tilewright"
    package.mkdir(parents=True)
    shutil.copy(PACKAGE / "__init__.py", package)
    for folder in ("compiler", "ir", "codegen_cpu"):
        shutil.copytree(PACKAGE / folder, tmp_path / folder)
        (package / folder).symlink_to(tmp_path / folder, target_is_directory=True)
    return tmp_path


def identity(checkout: Path) -> str:
    """As a process of this checkout finds it."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        env=environment,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def edit_in_place(checkout: Path) -> None:
    file = checkout / "ir/passes/fold_constants.py"
    data = bytearray(file.read_bytes())
    data[3] ^= 1  # of the same length
    file.write_bytes(data)


def add(checkout: Path) -> None:
    (checkout / "ir/lower/another.py").write_text("")


def remove(checkout: Path) -> None:
    (checkout / "ir/parser.py").unlink()


def rename(checkout: Path) -> None:
    (checkout / "ir/parser.py").rename(checkout / "ir/reader.py")


def restore_an_old_version(checkout: Path) -> None:
    os.utime(checkout / "ir/text/style.py", (1e9, 1e9))


@pytest.mark.parametrize("change", [edit_in_place, add, remove, rename, restore_an_old_version])
def test_each_change_of_a_source_file_counts(
    change: Callable[[Path], None], checkout: Path
) -> None:
    before = identity(checkout)
    assert identity(checkout) == before
    change(checkout)
    assert identity(checkout) != before


def test_derived_files_do_not_count(checkout: Path) -> None:
    before = identity(checkout)
    (checkout / "ir/__pycache__").mkdir(exist_ok=True)
    (checkout / "ir/__pycache__/x.pyc").write_bytes(b"x")
    (checkout / "ir/node_modules").mkdir()
    (checkout / "ir/node_modules/x.js").write_text("x")
    assert identity(checkout) == before


def cpuinfo(folder: Path, **changed: str) -> Path:
    """Two processors as Linux describes them, on x86 and on Arm at once."""
    facts = {
        **{"processor": "0", "vendor_id": "V", "cpu family": "6", "model": "1", "model name": "M"},
        **{"stepping": "3", "cpu MHz": "2000", "flags": "a b", "CPU implementer": "0x41"},
        **{"CPU architecture": "8", "CPU variant": "0x1", "CPU part": "0xd0c", "CPU revision": "1"},
        **{"Features": "fp asimd"},
    } | {name.replace("_", " ") if name != "vendor_id" else name: v for name, v in changed.items()}
    lines = "".join(f"{name}\t: {value}\n" for name, value in facts.items())
    file = folder / "cpuinfo"
    file.write_text(lines + "\n" + lines.replace("M", "N"))
    return file


def test_every_fact_of_the_processor_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")

    def host(**changed: str) -> str:
        monkeypatch.setattr(
            "tilewright.compiler.cache.artifacts._CPUINFO", cpuinfo(tmp_path, **changed)
        )
        return host_identity.__wrapped__()

    facts = ("vendor_id", "cpu_family", "model", "model_name", "stepping", "flags")
    arm = ("implementer", "architecture", "variant", "part", "revision")
    names = (*facts, *(f"CPU_{name}" for name in arm), "Features")
    found = {host(**{name: "other"}) for name in names} | {host()}
    assert len(found) == len(names) + 1
    assert host(cpu_MHz="3000", processor="1") == host()
    assert "N" not in host()  # one processor is enough, and reading all of them takes long


def test_the_system_counts_where_it_tells_nothing_of_its_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("tilewright.compiler.cache.artifacts._CPUINFO", "/no such file")
    found = {host_identity.__wrapped__()}
    for name in ("machine", "processor", "node"):
        with monkeypatch.context() as patch:
            patch.setattr(platform, name, lambda: "other")
            found.add(host_identity.__wrapped__())
    for name in ("platform", "byteorder"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, "other")
            found.add(host_identity.__wrapped__())
    assert len(found) == 6


def test_every_answer_of_macos_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("brand_string", "features", "leaf7_features", "extfeatures")
    answers = {f"machdep.cpu.{n}".encode(): b"x" for n in names} | {b"hw.cpufamily": b"\1\2"}

    class Library:
        @staticmethod
        def sysctlbyname(name: bytes, answer: Any, size: Any, _new: Any, _length: Any) -> int:
            if name not in answers:
                return -1
            answer.raw = answers[name].ljust(len(answer), b"?")
            size._obj.value = len(answers[name])
            return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library)
    before = host_identity.__wrapped__()
    found = {before}
    for name, value in list(answers.items()):
        answers[name] = value + b"y"
        found.add(host_identity.__wrapped__())
        del answers[name]
        found.add(host_identity.__wrapped__())
        answers[name] = value
    assert len(found) == 1 + 2 * len(answers)
    assert "hw.cpufamily 0102" in before


def test_the_order_in_which_folders_are_listed_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = compiler_identity.__wrapped__()
    scan = os.scandir

    class Listing(list[os.DirEntry[str]]):
        def __enter__(self) -> Listing:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", lambda path: Listing(list(scan(path))[::-1]))
    assert compiler_identity.__wrapped__() == before


def test_versions_count_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {compiler_identity.__wrapped__()}
    monkeypatch.setattr("tilewright.compiler.cache.artifacts.__version__", "99.0")
    found.add(compiler_identity.__wrapped__())
    monkeypatch.setattr("llvmlite.__version__", "99.0")
    found.add(compiler_identity.__wrapped__())
    assert len(found) == 3


def test_an_installed_package_is_known_by_its_version(
    tmp_path: Path,
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "src" / "tilewright")  # follows the links
    assert identity(tmp_path).count("\n") == 1
    assert tilewright.__version__ in compiler_identity()
