"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tilewright.compiler.cache.file_lock import locked

HOLDER = """
import sys
from tilewright.compiler.cache.file_lock import locked
with locked(sys.argv[1], 0) as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time_and_the_next_when_the_first_has_gone(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with locked(path, 0) as first, locked(path, 0.02) as second:
        assert first
        assert not second
    with locked(path, 0) as third:
        assert third


@pytest.mark.parametrize("kill", [False, True])
def test_a_lock_goes_with_its_process(tmp_path: Path, kill: bool) -> None:
    path = str(tmp_path / "lock")
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "True\n"
        with locked(path, 0) as held:
            assert not held
        if kill:
            holder.kill()
        else:
            holder.stdin.close()
        with locked(path, 30) as held:
            assert held


@pytest.mark.parametrize("place", ["missing/lock", ".", "link"])
def test_where_no_lock_can_be_had_the_body_runs_without(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with locked(str(tmp_path / place), 0) as held:
        assert not held
    assert not (tmp_path / "elsewhere").exists()
