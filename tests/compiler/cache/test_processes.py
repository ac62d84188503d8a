"""Many processes on one cache: killed while they write, racing to make, evicting under readers."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tilewright.compiler.cache.files import SystemFiles
from tilewright.compiler.cache.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="ends processes by POSIX signals")

KEY = hashlib.sha256(b"key").hexdigest()
OLD, NEW = b"old" * 30_000, b"new" * 40_000


@contextmanager
def processes(code: str, count: int, *arguments: object) -> Iterator[list[subprocess.Popen[str]]]:
    """`count` Python processes that run `code`; each gets its number, then the arguments."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(number), *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


class KilledFiles(SystemFiles):
    """kill -9 before the given call of the file system, in the middle of the data for `write`."""

    def __init__(self, calls_left: int) -> None:
        self.calls_left = calls_left

    def __getattribute__(self, name: str) -> object:
        if name in ("create", "write", "close", "rename"):
            self.calls_left -= 1
            if self.calls_left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__getattribute__(name)

    def write(self, handle: int, data: bytes | memoryview) -> int:
        return super().write(handle, data[: len(data) // 2 + 1])


@pytest.mark.parametrize("calls", range(25))
def test_killed_before_each_call_of_a_write(calls: int, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, OLD)
    child = os.fork()
    if child == 0:
        Store(tmp_path, files=KilledFiles(calls)).put(KEY, NEW)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed == (calls < 19)  # 16 writes of ever half the rest, and three other calls
    assert Store(tmp_path).get(KEY) == (OLD if killed else NEW)
    store.put(KEY, b"newer")
    assert store.get(KEY) == b"newer"


WRITER = """
import sys
from pathlib import Path
from tilewright.compiler.cache.store import Store
_, number, directory, key = sys.argv
store = Store(Path(directory))
while True:
    for data in (b"old" * 30_000, b"new" * 40_000):
        store.put(key, data)
        print("put", flush=True)
"""


def test_killed_at_random_moments(tmp_path: Path) -> None:
    generator = random.Random(3)
    store = Store(tmp_path)
    for _ in range(5):
        with processes(WRITER, 2, tmp_path, KEY) as running:
            for process in running:
                assert process.stdout
                process.stdout.readline()
            for process in running:
                time.sleep(generator.random() * 0.02)
                process.kill()
                assert store.get(KEY) in (OLD, NEW)
    assert store.get(KEY) in (OLD, NEW)
    assert not [file for file in store.scan() if file.path.endswith(".bad")]


RACER = """
import hashlib, sys, time
from pathlib import Path
from tilewright.compiler.cache import ArtifactCache
from tilewright.codegen_cpu.artifact import CpuArtifact
_, number, directory, start = sys.argv
cache = ArtifactCache.default(Path(directory))
made = 0
def make():
    global made
    made += 1
    time.sleep(0.05)
    return CpuArtifact(code, (), (), (), (), 0)
while time.time() < float(start):
    time.sleep(0.001)
for k in range(8):
    code = bytes([k]) * 10_000
    key = hashlib.sha256(code).hexdigest()
    assert cache.artifact(key, (), make).code == code
print(made)
"""


def test_eight_processes_make_eight_artifacts_once(tmp_path: Path) -> None:
    """Each process needs all; without waiting for each other they would make 64."""
    with processes(RACER, 8, tmp_path / "cache", time.time() + 2) as running:
        outputs = [process.communicate(timeout=60)[0] for process in running]
        assert [process.returncode for process in running] == [0] * 8
    assert 8 <= sum(map(int, outputs)) <= 12


CROWD = """
import hashlib, random, sys, warnings
from pathlib import Path
from tilewright.compiler.cache.store import Store
warnings.simplefilter("error")
_, number, directory = sys.argv
store = Store(Path(directory), most_bytes=40 * 4096)
generator = random.Random(int(number))
found = 0
for _ in range(150):
    content = bytes([generator.randrange(60)])
    key = hashlib.sha256(content).hexdigest()
    data = store.get(key)
    assert data is None or data == content * 3000
    found += data is not None
    if data is None:
        store.put(key, content * 3000)
    if generator.random() < 0.01:
        store.clear()
print(found)
"""


def test_readers_writers_evictors_and_clearers_do_not_disturb_each_other(tmp_path: Path) -> None:
    with processes(CROWD, 6, tmp_path / "cache") as running:
        outputs = [process.communicate(timeout=120)[0] for process in running]
        assert [process.returncode for process in running] == [0] * 6
    assert sum(map(int, outputs)) > 50
    store = Store(tmp_path / "cache", most_bytes=40 * 4096)
    assert sum(4096 for _ in store.scan()) <= 50 * 4096
    assert not [file for file in store.scan() if not file.is_entry]
