"""In a checkout every source file is a part of the key: no edit can give an old artifact."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tilewright
from tilewright.compiler.cache.identity import compiler_identity

PACKAGE = Path(tilewright.__file__).parent
PRINT = "from tilewright.compiler.cache.identity import compiler_identity as i; print(i())"


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
    assert identity(checkout) == before


def test_an_installed_package_is_known_by_its_version(
    tmp_path: Path,
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "src" / "tilewright")  # follows the links
    assert identity(tmp_path).count("\n") == 1
    assert tilewright.__version__ in compiler_identity()
