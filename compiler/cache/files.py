"""The calls that the cache makes on the file system, and what makes a file trustworthy.

`file_calls.Files` is the interface: each call is one step that can fail, be interrupted or race
with another process, so a simulation can put a fault between any two. `SystemFiles` is the real
one. Paths are text: joining `pathlib` objects would take longer than reading a small entry.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tilewright.compiler.cache.file_calls import FileFacts

_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO in an entry's place must not block
)
_CREATE: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


class RefusedFileError(Exception):
    """The file exists, but must not be read: its kind, size, owner or mode is not ours."""


class SystemFiles:
    """The `Files` of the operating system."""

    def now(self) -> float:
        return time.time()

    def unique(self) -> str:
        return os.urandom(8).hex()

    def objection(self, directory: str) -> str | None:
        facts = os.stat(directory)
        return _objection(facts) if stat.S_ISDIR(facts.st_mode) else "it is not a directory"

    def make_directory(self, path: str) -> None:
        os.makedirs(path, 0o700, exist_ok=True)

    def scan(self, directory: str) -> list[FileFacts]:
        from tilewright.compiler.cache.file_calls import FileFacts

        found = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # a peer has just removed it
                        facts = entry.stat(follow_symlinks=False)
                        found.append(FileFacts(entry.name, facts.st_size, facts.st_mtime))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return found

    def read(self, path: str, most: int) -> tuple[bytes, float]:
        try:
            handle = os.open(path, _READ)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise RefusedFileError("it is a symbolic link") from None
            raise
        # What is checked is the open file, so nobody can exchange it after the check.
        try:
            facts = os.fstat(handle)
            reason = _objection(facts)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
                reason = "it is not a plain file of a usual size"
            if reason:
                raise RefusedFileError(reason)
            return FileIO(handle, closefd=False).readall(), facts.st_mtime
        finally:
            os.close(handle)

    def create(self, path: str) -> int:
        return os.open(path, _CREATE, 0o600)

    def write(self, handle: int, data: bytes | memoryview) -> int:
        return os.write(handle, data)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def touch(self, path: str) -> None:
        os.utime(path)

    def remove(self, path: str) -> None:
        os.unlink(path)


def file_stamp(path: str) -> tuple[int, int]:
    """Size and time of change of a file, which tell whether it has changed; zeros where none is."""
    try:
        facts = os.stat(path)
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


def _objection(facts: os.stat_result) -> str | None:
    """Machine code is loaded only from files that nobody else can have written.

    Files of root's are fine: root could as well replace Python. On Windows the user's profile,
    where caches lie, is protected by access lists, and these bits mean nothing.
    """
    if os.name != "posix":
        return None
    if facts.st_uid not in (0, os.geteuid()):
        return f"it belongs to another user (number {facts.st_uid})"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write to it (its mode is {stat.S_IMODE(facts.st_mode):o})"
    return None
