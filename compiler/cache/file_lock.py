"""A lock between processes, without which the work is done all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_POLL_SECONDS: Final = 0.005
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def locked(path: str, patience: float) -> Iterator[bool]:
    """Hold the lock named `path` while the body runs.

    False, and no lock, where its holder keeps it for more than `patience` seconds, or where the
    file system has none.
    """
    import portalocker  # not by a process that finds all that it needs

    lock = portalocker.Lock(path, timeout=patience, check_interval=_POLL_SECONDS, opener=_open)
    try:
        lock.acquire()
    except (OSError, portalocker.LockException):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | _NO_LINKS, 0o600)
