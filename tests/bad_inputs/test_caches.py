"""Rows 85 to 93: whatever happens to the disk cache, calls of kernels give the right result.

`tests/compiler/cache` tests the cache by itself, call by call; here kernels are called on top.
"""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tests.bad_inputs.calls import HEAVY, X
from tilewright.compiler.cache import ArtifactCache, files
from tilewright.compiler.runtime import runtime


def roots(a: Any) -> Any:
    return np.sqrt(np.abs(a)) + 1


def squares(a: Any) -> Any:
    return a * a + 1


FUNCTIONS = (roots, squares)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty cache, which kernels use during the test."""
    monkeypatch.setattr(runtime(), "cache", ArtifactCache.default(tmp_path / "cache"))
    return tmp_path / "cache"


def check_calls(folder: Path | None = None) -> None:
    """New kernels, as a new process would make them, give the right results."""
    if folder is not None:
        runtime().cache = ArtifactCache.default(folder)
    for function in FUNCTIONS:
        np.testing.assert_allclose(tw.kernel(function)(X), function(X), rtol=1e-6)


def entries(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.rglob("*")) if f.is_file() and len(f.name) == 64]


class Planted:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("planted",)


DAMAGE = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "truncated": lambda data: data[:-7],
    "longer": lambda data: data + b"\0",
    "bit in the header": lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:],
    "bit in the payload": lambda data: data[:-9] + bytes([data[-9] ^ 64]) + data[-8:],
    "zeros": lambda data: bytes(len(data)),
    "a pickle": lambda data: pickle.dumps(Planted()),
    "a shared object": lambda data: b"\x7fELF\x02\x01\x01" + data,
    "text": lambda data: b"<html>not found</html>",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_rows_85_86_damaged_entries_are_made_again(
    cache: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_calls()
    good = {path: path.read_bytes() for path in entries(cache)}
    assert len(good) >= 4  # code, and how a call gets to it, of two kernels
    for path, data in good.items():
        path.write_bytes(DAMAGE[damage](data))
    monkeypatch.chdir(cache)
    with warnings.catch_warnings(action="error"):
        check_calls(cache)
    assert not (cache / "planted").exists()
    assert {path: path.read_bytes() for path in entries(cache)} == good
    assert len(list(cache.rglob("*.bad"))) == len(good)


def test_row_85_entries_that_changed_places_are_misses(cache: Path) -> None:
    check_calls()
    good = {path: path.read_bytes() for path in entries(cache)}
    for path, other in zip(good, [*list(good)[1:], next(iter(good))], strict=True):
        path.write_bytes(good[other])
    check_calls(cache)
    assert {path: path.read_bytes() for path in entries(cache)} == good


class Faulty(types.ModuleType):
    """The module `os`, one of whose functions fails from its n-th call on."""

    def __init__(self, name: str, after: int, code: int) -> None:
        super().__init__("os")
        self.name = name
        self.left = after
        self.code = code

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name != self.name:
            return real

        def faulty(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **kwargs)

        return faulty


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace", "makedirs", "stat", "close"])
def test_row_89_a_medium_that_fails(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    for after in (0, 1, 3):
        folder = cache / str(after)
        monkeypatch.setattr(files, "os", Faulty(name, after, code))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            check_calls(folder)
        assert len(told) <= 1
        assert all(issubclass(w.category, tw.CacheWarning) for w in told)
        monkeypatch.setattr(files, "os", os)
        check_calls(folder)  # nothing that is only half there is found
        assert not list(folder.rglob("*.bad"))


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are POSIX")
def test_row_89_files_that_may_not_grow(tmp_path: Path) -> None:
    program = """
    import resource, numpy as np, tilewright as tw
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
    x = np.ones(3, np.float32)
    assert (tw.kernel(lambda a: a + 1)(x) == 2).all()
    assert (tw.kernel(lambda a: a + 2)(x) == 3).all()
    """
    told = script(program, tmp_path)
    assert told.count("CacheWarning: ") == 1
    assert "File too large" in told
    assert not [f for f in (tmp_path / "tilewright").rglob("*") if f.is_file() and f.stat().st_size]


# In child processes, forked from one that has imported everything but compiled nothing.
CHILDREN = """
import os, shutil, signal, sys
from pathlib import Path
import numpy as np
import tilewright as tw
import tilewright.compiler.driver, tilewright.compiler.trace.run, tilewright.codegen_cpu.backend
from tilewright.compiler.cache import ArtifactCache, files
from tilewright.compiler.runtime import runtime
FUNCTIONS = [lambda a, k=k: np.sqrt(a) * k + a for k in range(8)]
X = np.arange(6, dtype=np.float32)

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(work())
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(99)
    return pid

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def calls(folder, functions):
    runtime().cache = cache = ArtifactCache.default(Path(folder))
    for function in functions:
        assert np.allclose(tw.kernel(function)(X), function(X))
    return cache.misses
"""


def script(program: str, folder: Path) -> str:
    """What a program writes to stderr; its cache is below `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_row_90_killed_before_any_call_to_the_system(tmp_path: Path) -> None:
    program = """
    class Deadly:
        def __init__(self, left):
            self.left = left
        def __getattr__(self, name):
            real = getattr(os, name)
            if not callable(real):
                return real
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real

    def deadly(left):
        files.os = Deadly(left)
        return calls("cache", FUNCTIONS[:2]) * 0

    left, killed = 0, 0
    while ended(child(lambda: deadly(left))) == -signal.SIGKILL:
        killed += 1
        assert ended(child(lambda: calls("cache", FUNCTIONS[:2]))) <= 4
        shutil.rmtree("cache")
        left += STEP
    assert killed > 8, killed
    assert not list(Path("cache").rglob("*.bad"))
    """
    step = f"STEP = {1 if HEAVY else 4}\n"
    script(CHILDREN + step + textwrap.dedent(program), tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_row_91_many_processes_and_one_empty_cache(tmp_path: Path) -> None:
    program = """
    alone = ended(child(lambda: calls("alone", FUNCTIONS)))
    readable, writable = os.pipe()

    def wait_then_call():
        os.close(writable)
        os.read(readable, 1)  # until the parent closes its end
        return calls("cache", FUNCTIONS)

    children = [child(wait_then_call) for _ in range(COUNT)]
    os.close(writable)
    misses = [ended(pid) for pid in children]
    assert max(misses) < 99, misses  # which is how a child says that it failed
    assert sum(misses) <= 1.5 * alone, (misses, alone)
    assert ended(child(lambda: calls("cache", FUNCTIONS))) == 0
    """
    count = f"COUNT = {32 if HEAVY else 6}\n"
    script(CHILDREN + count + textwrap.dedent(program), tmp_path)
