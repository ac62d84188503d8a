"""A lock between processes: held for as long as a file is open, so it goes with its process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_OPEN: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_POLL_SECONDS: Final = 0.005


@contextmanager
def locked(path: str, patience: float) -> Iterator[bool]:
    """Hold the lock named `path` while the body runs.

    False, and no lock, where its holder keeps it for more than `patience` seconds, or where the
    file system has none.
    """
    handle = None
    try:
        with suppress(OSError):
            handle = os.open(path, _OPEN, 0o600)
        yield handle is not None and _acquire(handle, patience)
    finally:
        if handle is not None:
            os.close(handle)


def _acquire(handle: int, patience: float) -> bool:
    end = time.monotonic() + patience
    while True:
        try:
            return _take(handle)
        except (BlockingIOError, PermissionError):  # the latter on Windows
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_SECONDS)
        except OSError:
            return False


def _take(handle: int) -> bool:
    """Lock at once, or raise."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True
