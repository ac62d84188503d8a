"""Rows 78 to 84: the command line as a process, files that cannot be read or written, Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from tests.bad_inputs.calls import HEAVY
from tilewright.compiler.cli import main
from tilewright.compiler.runtime import runtime

KERNEL = """
import numpy as np, tilewright as tw

@tw.kernel
def softplus(x):
    return np.log1p(np.exp(x))
"""
PROGRAM = "import sys; from tilewright.compiler.cli import main; sys.exit(main())"
COMMAND = (sys.executable, "-c", PROGRAM)
ODD_NAMES = [
    *("a b.py", "new\nline.py", "-dash.py", "ключ.py", "quote'.py"),
    os.fsdecode(b"bad\xff.py"),
]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("show", "k.py")` in the folder; nothing may be a traceback or a part of a file."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(runtime(), "cache", runtime().cache)

    def run_command(*arguments: str) -> Done:
        code = main(arguments)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert not [name for name in os.listdir(folder) if name.startswith(".")]
        return Done(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "k.py").write_text(KERNEL)
    return tmp_path


def test_row_78_no_arguments(run: Run) -> None:
    done = run()
    assert done.code == 2
    assert "Usage: tilewright" in done.out + done.err


@pytest.mark.parametrize("name", ODD_NAMES)
def test_row_79_names_of_files(run: Run, folder: Path, name: str) -> None:
    (folder / name).write_text(KERNEL)
    done = run("show", "--arg", "x=f32[3]", "--", name)
    assert (done.code, done.err) == (0, "")
    missing = run("show", "--", f"{name}x")
    assert missing.code == 3
    assert missing.err.startswith("error: cannot read ")
    assert "No such file" in missing.err
    assert "help: did you mean" in missing.err


def test_row_79_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(KERNEL.encode())))
    done = run("show", "-", "--arg", "x=f32[3]")
    assert (done.code, done.err) == (0, "")
    assert "`-` for standard input" in " ".join(run("show", "-h").out.split())


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this system has no /dev/zero")
def test_row_79_a_file_without_end(run: Run) -> None:
    done = run("show", "/dev/zero")
    assert done.code == 3
    assert "'/dev/zero' is no Python file: it is longer than 16777216 bytes" in done.err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_row_79_a_file_that_may_not_be_read(run: Run, folder: Path) -> None:
    (folder / "k.py").chmod(0)
    done = run("show", "k.py")
    assert done.code == 3
    assert "cannot read 'k.py': Permission denied" in done.err


def test_row_79_arrays_that_are_none(run: Run, folder: Path) -> None:
    description = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776000,), }"
    description = description.ljust(117) + b"\n"
    huge = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(description)) + description
    (folder / "huge.npy").write_bytes(huge)
    (folder / "pickle.npy").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    for name, said in (
        ("huge.npy", "cannot read 'huge.npy': Unable to allocate"),
        ("pickle.npy", "'pickle.npy' is not a .npy file\nhelp: write one with np.save"),
        ("none.npy", "cannot read 'none.npy': No such file"),
        (".", "cannot read '.': Is a directory"),
    ):
        done = run("show", "k.py", "--arg", f"x=@{name}")
        assert done.code == 3
        assert said in done.err
    assert not (folder / "pwned").exists()


BENCH = ("bench", "k.py", "--arg", "x=f32[8]", "--seconds", "0", "--against", "numpy")


@pytest.mark.parametrize("place", ["missing/out.json", "/dev/full", ""])
def test_row_80_places_that_take_no_file(run: Run, folder: Path, place: str) -> None:
    done = run(*BENCH, "--json", place)
    assert done.code == 1
    assert f"error: cannot write {place!r}" in done.err
    assert sorted(os.listdir(folder)) == ["k.py"]


def test_row_80_links_and_modes_stay(run: Run, folder: Path) -> None:
    (folder / "old.json").write_text("old")
    (folder / "old.json").chmod(0o640)
    (folder / "link.json").symlink_to("old.json")
    assert run(*BENCH, "--json", "link.json").code == 0
    assert (folder / "link.json").is_symlink()
    assert (folder / "old.json").read_text().startswith("{")
    assert stat.S_IMODE((folder / "old.json").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are POSIX")
def test_row_80_a_disk_that_fills_up_leaves_the_old_file(folder: Path) -> None:
    (folder / "old.tw").write_text("old")
    program = """
import resource, sys, tilewright as tw
kernel = tw.kernel(lambda a: a + 1).compile(tw.f32[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    kernel.save("old.tw")
except tw.OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout == "cannot write 'old.tw': File too large\n"
    assert (folder / "old.tw").read_text() == "old"
    assert sorted(os.listdir(folder)) == ["k.py", "old.tw"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for other processes")
def test_row_82_interrupts_at_random_moments(run: Run, folder: Path) -> None:
    cache = folder / "cache"
    rng = random.Random(0)
    arguments = ("bench", "k.py", "--arg", "x=f32[500,500]", "--seconds", "9", "--against", "numpy")
    for _ in range(100 if HEAVY else 3):
        process = subprocess.Popen(
            [*COMMAND, "--cache-dir", str(cache), *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(rng.uniform(0.1, 2))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        if process.returncode != -signal.SIGINT:  # else Python itself was not up yet
            assert process.returncode == 130
            assert told.rstrip().endswith("interrupted")
    assert not list(cache.rglob("*.tmp"))
    assert run("--cache-dir", str(cache), "cache", "info").code == 0


@pytest.mark.skipif(os.name != "posix", reason="homes and modes of POSIX")
@pytest.mark.parametrize("place", ["no home", "a home that is not there", "a file", "open to all"])
def test_row_84_without_a_place_for_the_cache(folder: Path, place: str) -> None:
    (folder / "file").touch()
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    where = {
        "no home": {"HOME": "", "XDG_CACHE_HOME": ""},
        "a home that is not there": {"HOME": "/proc/none", "XDG_CACHE_HOME": ""},
        "a file": {"XDG_CACHE_HOME": str(folder / "file")},
        "open to all": {"TILEWRIGHT_CACHE_DIR": str(folder / "open")},
    }[place]
    done = subprocess.run(
        [*COMMAND, "show", "k.py", "--arg", "x=f32[8]", "--stage", "llvm"],
        cwd=folder,
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "define i32 @tw_main" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("CacheWarning") <= 1
    assert not list((folder / "open").iterdir())


def test_row_84_no_directory_at_all(run: Run) -> None:
    done = run("--cache-dir", "", "cache", "info")
    assert done.code == 2
    assert "Invalid value for '--cache-dir': it is empty" in done.err
